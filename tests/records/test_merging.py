"""Records of several machines in one folder: equal ones are one, contradicting ones are named, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from psasc_bench import cli, records
from psasc_bench.privacy import Budget
from psasc_bench.records import Record, merge
from psasc_bench.study import RunSpec

ROOT = Path(__file__).parents[2]

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, digits_spec: Callable[..., RunSpec]) -> Make:
    """A record in a folder of its own machine."""

    def make(machine: str, *, seed: int = 0, accuracy: float = 0.9, **changes: Any) -> Path:
        budget = Budget(
            epsilon=3, delta=1e-5, sampling_rate=0.2, steps=5, noise_multiplier=1, epsilon_rdp=2.9, epsilon_pld=2.8
        )
        result = {"test_accuracy": accuracy, "test_loss": 0.5}
        values: dict[str, Any] = {
            "spec": digits_spec(seed=seed),
            "fingerprint": "0123456789abcdef",
            "status": "done",
            "reason": None,
            "result": result,
            "ledger": records.ledger(budget, sensitivity=0.1, steps_taken=5),
            "nonprivate": {"nonfinite_examples": 0},
            "seconds": {"total": len(machine)},
            "provenance": {"cpu": machine, "torch": "2", "commit": "c", "started": "now", "data_sha256": "d"},
        }
        made = Record(**(values | changes))
        records.write(made, [{"epoch": 1, "step": 5, **result}], tmp_path / machine / made.spec.name())
        return tmp_path / machine

    return make


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_records_of_two_machines_come_together(make: Make, tmp_path: Path) -> None:
    sources = [make("one", seed=0), make("other", seed=1)]
    assert merge(sources, tmp_path / "merged") == 2
    assert names(tmp_path / "merged") == {"seed-0.json", "seed-0.csv", "seed-1.json", "seed-1.csv"}
    assert merge(sources, tmp_path / "merged") == 0


def test_equal_records_are_one_wherever_they_were_made(make: Make) -> None:
    target = make("one")
    kept = next(target.rglob("*.json")).read_bytes()
    assert merge([make("other")], target) == 0
    assert next(target.rglob("*.json")).read_bytes() == kept


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"accuracy": 0.8}, "result, curve"),
        ({"fingerprint": "f" * 16}, "fingerprint"),
        ({"generation": 0}, "generation"),
        ({"provenance": {"cpu": "other", "data_sha256": "e"}}, "data"),
    ],
)
def test_contradicting_records_are_named_and_nothing_is_written(
    change: dict[str, Any], named: str, make: Make, tmp_path: Path
) -> None:
    sources = [make("one"), make("other", **change), make("third", seed=1)]
    with pytest.raises(ValueError, match=f"other.*contradicts .*one.* in its {named} .*cpu one.*cpu other"):
        merge(sources, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_every_contradiction_is_named(make: Make, tmp_path: Path) -> None:
    sources = [make("one", seed=seed) for seed in (0, 1)] + [make("other", seed=seed, accuracy=0.1) for seed in (0, 1)]
    with pytest.raises(ValueError, match=r"seed-0.*\n.*seed-1"):
        merge(sources[::2], tmp_path / "merged")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_text("{"), "not a run record"),
        (lambda path: path.with_suffix(".csv").unlink(), "No such file"),
        (lambda path: path.with_suffix(".csv").write_text("epoch,step\n"), "does not end with its test_accuracy"),
        (
            lambda path: path.write_text(path.read_text().replace('"test_accuracy": 0.9', '"test_accuracy": 0.99')),
            "does not end with its test_accuracy",
        ),
        (lambda path: path.rename(path.with_name("seed-07.json")), "No such file"),
    ],
    ids=["record", "no curve", "empty curve", "other result", "away from its curve"],
)
def test_damaged_records_are_named_and_nothing_is_written(
    damage: Callable[[Path], None], said: str, make: Make, tmp_path: Path
) -> None:
    source = make("one")
    damage(next(source.rglob("*.json")))
    with pytest.raises(ValueError, match=f"seed-0.*{said}"):
        merge([source, make("other", seed=1)], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_record_that_is_filed_as_another_run_is_named(make: Make, tmp_path: Path) -> None:
    source = make("one")
    for path in list(source.rglob("seed-0.*")):
        path.rename(path.with_stem("seed-1"))
    with pytest.raises(
        ValueError, match=r"seed-1\.json: it is filed as digits/.*/seed-1 but is the run .*/seed-0; move"
    ):
        merge([source], tmp_path / "merged")


def test_what_is_no_record_by_its_place_is_passed_over(make: Make, tmp_path: Path) -> None:
    source = make("one")
    (record,) = source.rglob("*.json")
    for name in ("notes.json", ".hidden.json", "._seed-0.json", ".ipynb_checkpoints/seed-0.json", "old/seed-0.json"):
        path = record.parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    record.with_name("seed-1.json").mkdir()
    assert records.find(source) == [record]
    assert merge([source], tmp_path / "merged") == 1


def test_command_takes_results_folders(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(make("one"), tmp_path / "elsewhere" / "runs")
    assert cli.main(["merge", "elsewhere"]) == 0
    assert capsys.readouterr().out == "psasc-bench: 1 records copied to results/runs\n"
    assert cli.main(["merge", "elsewhere", "--into", "results"]) == 0
    assert capsys.readouterr().out == "psasc-bench: 0 records copied to results/runs\n"
    assert cli.main(["merge", "nowhere"]) == 2
    assert capsys.readouterr().err == "psasc-bench: error: nowhere: not a folder\n"


def test_records_of_a_study_go_where_the_workflow_keeps_them(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(make("one"), tmp_path / "elsewhere" / "runs")
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config" / "config.yaml", tmp_path / "config")
    (tmp_path / "mine.yaml").write_text("methods: {dp-sgd: {}}\ndatasets: {digits: {}}\nseeds: [0]\nepsilons: [3]\n")
    assert cli.main(["merge", "elsewhere", "--config", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "psasc-bench: 1 records copied to studies/mine/results/runs\n"
