"""`psasc-bench new`: what it writes passes its checks, is trained as it is, and goes over nothing that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_calls import Refused

from psasc_bench import cli, methods
from psasc_bench.records import record

STUDY: dict[str, Any] = {
    "seeds": [0],
    "epsilons": [8],
    "methods": {"mine": {"file": "my_method.py", "C": 0.1, "optimiser": {"file": "my_rule.py", "beta": 0.5}}},
    "datasets": {
        "blobs": {
            "source": {"file": "my_data.py"},
            "title": "Blobs",
            "model": {"file": "my_net.py"},
            "expected_batch_size": 50,
            "micro_batch_size": 64,
            "epochs": 20,
            "delta": 1e-3,
            "learning_rate": 1,
            "momentum": 0,
        }
    },
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status = cli.main(list(arguments))
    printed = capsys.readouterr()
    assert status == 0, printed.err
    return printed.out


def test_one_study_trains_all_that_it_writes(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("method", "my-method"), ("optimiser", "my-rule"), ("model", "my-net"), ("source", "my-data")):
        said = called(capsys, "new", kind, name)
        for check in re.findall(r"psasc-bench (check --file .*)", said):
            assert called(capsys, *check.split()).endswith("all checks passed\n")
        (as_in_a_study,) = re.findall(r"in a study: +(.*), with the path", said)
        assert f"{name.replace('-', '_')}.py" in str(yaml.safe_load(as_in_a_study))
    Path("study.yaml").write_text(yaml.safe_dump(STUDY))
    cell = ["--dataset", "blobs", "--method", "mine", "--epsilon", "8"]
    called(capsys, "train", "--config", "study.yaml", *cell, "--runs", "runs")
    (path,) = Path("runs").rglob("*.json")
    made = record.read(path)
    assert made.status == "done"
    assert made.result["test_accuracy"] > 0.6  # of three classes


def test_it_goes_by_the_name_that_it_is_given_and_writes_over_nothing(
    capsys: pytest.CaptureFixture[str], refused: Refused
) -> None:
    called(capsys, "new", "method", "soft-clip", "--folder", "more")
    assert methods.from_file(Path("more/soft_clip.py")).title == "Soft clip"
    assert refused("new", "method", "soft-clip", "--folder", "more") == [
        "more/soft_clip.py: exists already; take another name, or remove it"
    ]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("method", "dp-sgd", "dp-sgd: there is one of this name"),
        ("optimiser", "heavy_ball", "heavy-ball: there is one of this name"),
        ("model", "digits-cnn", "digits_cnn: there is one of this name"),
        ("source", "image_folder", "image_folder: there is one of this name"),
        ("method", "../x", "'../x': a name is lower-case words of letters and digits, as my-method"),
        ("method", "dataclasses", "'dataclasses': Python has a module of this name; take another"),
        ("method", 300 * "a", "a...: a name has at most 100 characters, this one has 300"),
        ("model", "class", "'class': a name is lower-case words of letters and digits, as my-model"),
    ],
)
def test_name_that_is_taken_or_none_is_refused(kind: str, name: str, words: str, refused: Refused) -> None:
    (line,) = refused("new", kind, name)
    assert words in line
    assert not list(Path().iterdir())
