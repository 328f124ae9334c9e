"""A method, a network and a source in files outside the project: through the whole workflow, and known by content."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import environment, new_project, psasc_bench, snakemake

from psasc_bench.records import record

NET = """
from torch import nn

from layers_of_mine import hidden


def net(input_shape, classes):
    return nn.Sequential(nn.Flatten(), *hidden(input_shape[0]), nn.Linear(8, classes))
"""
HELPER = """
from torch import nn


def hidden(inputs):
    return [nn.Linear(inputs, 8), nn.Tanh()]
"""
SOURCE = """
import numpy as np


def blobs():
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 300)
    x = random.normal(size=(300, 5)).astype(np.float32) + y[:, None]
    return {
        "x_train": x[:200], "y_train": y[:200], "x_test": x[200:], "y_test": y[200:], "offset": 1.0, "scale": 2.0
    }
"""
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "my-method": {"file": "my_method.py", "C": 0.1}},
    "datasets": {
        "blobs": {
            "source": {"file": "more/source.py"},
            "title": "Blobs",
            "model": {"file": "more/nets.py", "name": "net"},
            "expected_batch_size": 50,
            "micro_batch_size": 64,
            "epochs": 1,
            "delta": 1e-3,
            "learning_rate": 0.5,
            "momentum": 0.9,
            "share_process": True,
        }
    },
}


def in_a_folder(folder: Path) -> Path:
    """A study with all of its code, whose method is what the command writes."""
    (folder / "more").mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "more" / "nets.py").write_text(NET)
    (folder / "more" / "layers_of_mine.py").write_text(HELPER)
    (folder / "more" / "source.py").write_text(SOURCE)
    asked = [sys.executable, "-m", "psasc_bench", "new", "method", "my-method"]
    subprocess.run(asked, cwd=folder, check=True, capture_output=True)
    return folder


def statuses(project: Path, folder: Path) -> dict[str, int]:
    psasc_bench(project, "status", "--config", str(folder / "study.yaml"))
    with (project / "results" / "status.csv").open() as file:
        found = [(row["method"], row["status"]) for row in csv.DictReader(file)]
    return {f"{method} {status}": found.count((method, status)) for method, status in found}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return new_project(tmp_path / "project", {})


def test_study_of_code_from_elsewhere_ends_in_tables_and_claims_and_knows_it_by_content(
    project: Path, tmp_path: Path
) -> None:
    folder = in_a_folder(tmp_path / "elsewhere")
    asked = ["results/README.md", "results/claims.md", "results/tables/accuracy.csv", "results/explorer.html"]
    snakemake(project, "--", *asked, study=str(folder / "study.yaml"))
    for name in asked:
        assert "My method" in (project / name).read_text(), name
    assert "model `nets.py::net`" in (project / "results" / "README.md").read_text()
    with (project / "results" / "claims.csv").open() as file:
        assert "my-method" in {row["method"] for row in csv.DictReader(file)}
    runs = project / "results" / "runs"
    (path, _) = sorted((runs / "blobs" / "my-method" / "eps-8").glob("*.json"))
    made = record.read(path)
    assert made.status == "done"
    assert str(tmp_path) not in json.dumps(made.spec.to_json())
    everyone = {"dp-sgd done": 2, "my-method done": 2}
    assert statuses(project, folder) == everyone

    moved = tmp_path / "moved"
    shutil.move(folder, moved)
    (moved / "my_method.py").rename(moved / "renamed.py")
    study = STUDY["methods"] | {"my-method": {"file": "renamed.py", "C": 0.1}}
    (moved / "study.yaml").write_text(yaml.safe_dump(STUDY | {"methods": study}))
    assert statuses(project, moved) == everyone
    verified = [sys.executable, "-m", "psasc_bench", "verify", "--methods", str(moved / "renamed.py")]
    said = subprocess.run(verified, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    assert said.stdout == "4 records verified: none overspent its budget\n"

    for file, old, new, stale in (
        ("renamed.py", "gamma: float = 0.01", "gamma: float = 0.02", ["my-method"]),
        ("more/layers_of_mine.py", "nn.Tanh", "nn.ReLU", ["dp-sgd", "my-method"]),
        ("more/source.py", "default_rng(0)", "default_rng(1)", ["dp-sgd", "my-method"]),
        ("more/source.py", "random = np", "# why\n    random = np", []),
    ):
        before = (moved / file).read_text()
        (moved / file).write_text(before.replace(old, new))
        expected = {f"{name} {'stale' if name in stale else 'done'}": 2 for name in ("dp-sgd", "my-method")}
        assert statuses(project, moved) == expected, file
        (moved / file).write_text(before)
