"""A method, an update rule, a network and a source in files outside the project: through the whole workflow, and known
by content."""

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
    "methods": {
        "dp-sgd": {"C": 0.1},
        "my-method": {"file": "my_method.py", "C": 0.1},
        "my-rule": {"file": "my_method.py", "C": 0.1, "optimiser": {"file": "my_rule.py"}},
    },
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
    """A study with all of its code, whose method and update rule are what the command writes."""
    (folder / "more").mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "more" / "nets.py").write_text(NET)
    (folder / "more" / "layers_of_mine.py").write_text(HELPER)
    (folder / "more" / "source.py").write_text(SOURCE)
    for asked in (("method", "my-method"), ("optimiser", "my-rule")):
        command = [sys.executable, "-m", "psasc_bench", "new", *asked]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
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
    asked += ["figures/accuracy.svg", "figures/forest.svg", "results/tables/accuracy.tex"]
    snakemake(project, "--", *asked, study=str(folder / "study.yaml"))
    for name in asked:
        text = (project / name).read_text()
        assert "My method" in text, name
        assert "My rule" in text, name
        assert "blobs" in text.lower(), name
    assert "model `nets.py::net`" in (project / "results" / "README.md").read_text()
    with (project / "results" / "claims.csv").open() as file:
        assert "my-rule" in {row["method"] for row in csv.DictReader(file)}
    runs = project / "results" / "runs"
    (path, _) = sorted((runs / "blobs" / "my-method" / "eps-8").glob("*.json"))
    made = record.read(path)
    assert made.status == "done"
    assert str(tmp_path) not in json.dumps(made.spec.to_json())
    everyone = {"dp-sgd done": 2, "my-method done": 2, "my-rule done": 2}
    assert statuses(project, folder) == everyone

    moved = tmp_path / "moved"
    shutil.move(folder, moved)
    (moved / "my_method.py").rename(moved / "renamed.py")
    study = {name: said | ({"file": "renamed.py"} if "file" in said else {}) for name, said in STUDY["methods"].items()}
    (moved / "study.yaml").write_text(yaml.safe_dump(STUDY | {"methods": study}))
    assert statuses(project, moved) == everyone
    verified = [sys.executable, "-m", "psasc_bench", "verify", "--methods", str(moved / "renamed.py")]
    said = subprocess.run(verified, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    assert said.stdout == "6 records verified: none overspent its budget\n"

    for file, old, new, stale in (
        ("renamed.py", "gamma: float = 0.01", "gamma: float = 0.02", ["my-method", "my-rule"]),
        ("my_rule.py", "(1 - self.beta) * gradient", "self.beta * gradient", ["my-rule"]),
        ("more/layers_of_mine.py", "nn.Tanh", "nn.ReLU", list(STUDY["methods"])),
        ("more/source.py", "default_rng(0)", "default_rng(1)", list(STUDY["methods"])),
        ("more/source.py", "random = np", "# why\n    random = np", []),
    ):
        before = (moved / file).read_text()
        (moved / file).write_text(before.replace(old, new))
        expected = {f"{name} {'stale' if name in stale else 'done'}": 2 for name in STUDY["methods"]}
        assert statuses(project, moved) == expected, file
        (moved / file).write_text(before)


UNSOUND = {
    "understated": """
    def statistic(self, norms: Tensor) -> Tensor:
        return (norms <= self.C).to(norms.dtype)[:, None]
""",
    "peeking": """
    def statistic(self, norms: Tensor) -> Tensor:
        SEEN[:] = [float(norms.max())]
        return super().statistic(norms)

    def advance(self, released: Tensor) -> Self:
        return replace(super().advance(released), C=max(1e-6, min(1e6, *SEEN, 1e6)))
""",
}
QUANTILE = """
from dataclasses import dataclass, replace
from typing import Self

from psasc_bench.methods.base import PerLayer, Tensor
from psasc_bench.methods.quantile import Quantile

SEEN = []


@dataclass(frozen=True, kw_only=True)
class Mine(Quantile):
    title = "{title}"
"""
LAYERS = """
from dataclasses import dataclass

from psasc_bench.methods.base import PerLayer, Tensor


@dataclass(frozen=True, kw_only=True)
class Mine(PerLayer):
    title = "beyond the claim"
    C: float

    def layer_weights(self, norms: Tensor) -> Tensor:
        return self.C / norms.clamp(min=self.C)

    def sensitivity(self) -> float:
        return self.C
"""
READS = """
import gc
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Reads(UpdateRule):
    title = "reads gradients"

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        sums = [one.total for one in gc.get_objects() if type(one).__name__ == "GradientSum"]
        return next((one for one in sums if one.shape == gradient.shape), gradient), state
"""
CAUGHT = {
    "understated": "statistic supremum is 2,",
    "peeking": "state is",
    "layers": "layers' supremum is",
    "reads": "post-processing is",
}


def test_four_planted_bugs_are_caught_before_training_and_leave_no_record(project: Path, tmp_path: Path) -> None:
    """A statistic of understated sensitivity, a state that peeks, layers beyond the claim, a rule that reads gradients;
    beside a sound method, which is trained."""
    folder = in_a_folder(tmp_path / "elsewhere")
    for name, body in UNSOUND.items():
        (folder / f"{name}.py").write_text(QUANTILE.format(title=name) + body)
    (folder / "layers.py").write_text(LAYERS)
    (folder / "reads.py").write_text(READS)
    study = {"dp-sgd": {"C": 0.1}, "reads": {"method": "dp-sgd", "C": 0.1, "optimiser": {"file": "reads.py"}}}
    study |= {name: {"file": f"{name}.py", "C": 0.1} for name in ("understated", "peeking", "layers")}
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | {"methods": study, "seeds": [0]}))
    runs = [f"results/runs/blobs/{name}/eps-8/seed-0.json" for name in study]
    said = snakemake(project, "--", *runs, study=str(folder / "study.yaml"), status=1)
    for what in CAUGHT.values():
        (line,) = {line for line in said.splitlines() if what in line}
        assert "fails the battery and is not trained: " in line
    assert "Traceback" not in said
    found = {path.parts[-3] for path in (project / "results" / "runs").rglob("*.json")}
    assert found == {"dp-sgd"}
