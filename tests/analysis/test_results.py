"""The tables, held against hand-made records and hand-made numbers."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from psasc_bench import methods
from psasc_bench.analysis import results
from psasc_bench.privacy.accounting import Budget
from psasc_bench.records import record
from psasc_bench.records.record import Record
from psasc_bench.study import config
from psasc_bench.study.study import Cell, Study

STUDY: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "epsilons": [3],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Handwritten digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 2,
            "delta": 1e-5,
            "learning_rate": 0.5,
            "momentum": 0.9,
        }
    },
}
SGD, PSASC = Cell("digits", "dp-sgd", 3.0), Cell("digits", "dp-psasc", 3.0)


def parse(**changes: Any) -> Study:
    return config.parse_study(STUDY | changes, source="study.yaml")


@pytest.fixture
def study() -> Study:
    return parse()


def make(study: Study, cell: Cell, seed: int, accuracy: float, **changes: Any) -> Record:
    spec = study.spec(cell, seed)
    budget = Budget(
        epsilon=cell.epsilon,
        delta=spec.delta,
        sampling_rate=0.25,
        steps=8,
        noise_multiplier=1.5,
        epsilon_rdp=cell.epsilon,
        epsilon_pld=cell.epsilon,
    )
    made = Record(
        spec=spec,
        fingerprint=methods.fingerprint(methods.load(cell.method)),
        status="done",
        reason=None,
        result={"test_accuracy": accuracy, "test_loss": 1.0},
        ledger=record.ledger(budget, sensitivity=0.1, steps_taken=8),
        nonprivate={"nonfinite_examples": 0},
        seconds={"total": 1.0},
        provenance={"peak_memory_mib": 1.0, "commit": None, "data_sha256": "0"},
    )
    return dataclasses.replace(made, **changes)


def write(runs: Path, *records: Record) -> None:
    for made in records:
        accuracy = made.result["test_accuracy"]
        curve = [{"epoch": epoch, "step": 4 * epoch, "test_accuracy": accuracy, "test_loss": 1.0} for epoch in (1, 2)]
        record.write(made, curve, runs / made.spec.name())


@pytest.fixture
def runs(study: Study, tmp_path: Path) -> Path:
    """DP-SGD has .50 .60 .70, DP-PSASC .54 .61 .74: differences of .04 .01 .04."""
    folder = tmp_path / "runs"
    for seed, (sgd, psasc) in enumerate([(0.50, 0.54), (0.60, 0.61), (0.70, 0.74)]):
        write(folder, make(study, SGD, seed, sgd), make(study, PSASC, seed, psasc))
    return folder


def summary(study: Study, runs: Path) -> pd.DataFrame:
    return results.summarise(results.read_runs(study, runs)[0]).set_index("method")


def statuses(study: Study, runs: Path) -> list[str]:
    return list(results.read_runs(study, runs)[0].set_index(["method", "seed"]).loc["dp-psasc", "status"])


# ------------------------------------------------------------------------------------------------ summary


def test_mean_is_over_the_seeds(study: Study, runs: Path) -> None:
    cells = summary(study, runs)
    assert cells["accuracy_mean"].to_dict() == pytest.approx({"dp-sgd": 0.6, "dp-psasc": 0.63})
    assert list(cells["n"]) == [3, 3]


def test_difference_is_paired_by_seed(study: Study, runs: Path) -> None:
    """.04 .01 .04 have mean .03 and standard deviation .01732: an interval of +- .04303, where the unpaired one would
    be five times as wide."""
    row = summary(study, runs).loc["dp-psasc"]
    assert row["n_pairs"] == 3
    assert row["difference_mean"] == pytest.approx(0.03)
    assert row["difference_high"] - row["difference_mean"] == pytest.approx(0.04303, abs=1e-5)


def test_seeds_without_a_partner_enter_no_difference(study: Study, runs: Path) -> None:
    (runs / "digits/dp-sgd/eps-3/seed-0.json").unlink()
    row = summary(study, runs).loc["dp-psasc"]
    assert (row["n"], row["n_pairs"]) == (3, 2)
    assert row["difference_mean"] == pytest.approx(0.025)


def test_reference_is_not_compared_with_itself(study: Study, runs: Path) -> None:
    assert np.isnan(summary(study, runs).loc["dp-sgd", "difference_mean"])


def test_difference_is_taken_at_the_same_epsilon(tmp_path: Path) -> None:
    study = parse(epsilons=[1, 3])
    write(tmp_path, make(study, Cell("digits", "dp-sgd", 1.0), 0, 0.1), make(study, SGD, 0, 0.5))
    write(tmp_path, make(study, Cell("digits", "dp-psasc", 1.0), 0, 0.3), make(study, PSASC, 0, 0.6))
    cells = results.summarise(results.read_runs(study, tmp_path)[0]).set_index(["method", "epsilon"])
    assert cells.loc["dp-psasc", "difference_mean"].to_dict() == pytest.approx({1.0: 0.2, 3.0: 0.1})


def test_difference_has_its_size_its_p_and_the_seeds_it_takes(study: Study, runs: Path) -> None:
    """.04 .01 .04: d = sqrt(3), t = 3, p = 1 - 3/sqrt(11), in a family of one."""
    row = summary(study, runs).loc["dp-psasc"]
    assert row["difference_sd"] == pytest.approx(math.sqrt(3e-4))
    assert row["effect_size"] == pytest.approx(math.sqrt(3))
    assert row["difference_p"] == row["difference_p_holm"] == pytest.approx(1 - 3 / math.sqrt(11))
    # sixteen standard deviations squared over the effect squared, and a few more
    assert row["seeds_for_0_5_points"] == pytest.approx(8 * 3e-4 / 0.005**2, rel=0.05)
    assert row["verdict"] == "inconclusive"


def test_p_is_corrected_for_all_contestants_and_budgets_but_not_for_controls(tmp_path: Path) -> None:
    study = parse(epsilons=[1, 3], methods=STUDY["methods"] | {"noise-only": {"C": 0.1}})
    for epsilon, gains in ((1.0, (0.10, 0.11, 0.12)), (3.0, (-0.01, 0.0, 0.01))):
        for seed, gain in enumerate(gains):
            for method, accuracy in (("dp-sgd", 0.5), ("dp-psasc", 0.5 + gain), ("noise-only", 0.1 + gain)):
                write(tmp_path, make(study, Cell("digits", method, epsilon), seed, accuracy))
    cells = results.summarise(results.read_runs(study, tmp_path)[0]).set_index(["method", "epsilon"])
    assert cells.loc[("dp-psasc", 1.0), "difference_p_holm"] == pytest.approx(
        2 * cells.loc[("dp-psasc", 1.0), "difference_p"]
    )
    assert cells["verdict"].dropna().to_dict() == {("dp-psasc", 1.0): "better", ("dp-psasc", 3.0): "inconclusive"}
    assert cells.loc["noise-only", "difference_p_holm"].isna().all()


def test_study_without_the_reference_has_no_differences(tmp_path: Path) -> None:
    study = parse(methods={"dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}})
    write(tmp_path, make(study, PSASC, 0, 0.6))
    row = summary(study, tmp_path).loc["dp-psasc"]
    assert row["accuracy_mean"] == 0.6
    assert row["n_pairs"] == 0


# ------------------------------------------------------------------------------------------------ what enters no mean


def spoil(made: Record, way: str, study: Study) -> Record:
    """The record as it would be after the method, the configuration or the training code has changed, or had the run
    come to nothing."""
    other = study.model_copy(update={"methods": {**study.methods, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.5}}})
    return {
        "source": dataclasses.replace(made, fingerprint="0" * 16),
        "spec": dataclasses.replace(made, spec=other.spec(PSASC, made.spec.seed)),
        "generation": dataclasses.replace(made, generation=record.GENERATION - 1),
        "divergence": dataclasses.replace(made, status="diverged", reason="parameters not finite at step 8"),
    }[way]


@pytest.mark.parametrize(
    ("way", "status"),
    [("source", "stale"), ("spec", "stale"), ("generation", "stale"), ("divergence", "diverged")],
)
def test_run_that_is_not_current_enters_no_mean_and_is_listed(way: str, status: str, study: Study, runs: Path) -> None:
    write(runs, spoil(make(study, PSASC, 1, 0.99), way, study))
    assert statuses(study, runs) == ["done", status, "done"]
    row = summary(study, runs).loc["dp-psasc"]
    assert (row["n"], row[status], row["n_pairs"]) == (2, 1, 2)
    assert row["accuracy_mean"] == pytest.approx((0.54 + 0.74) / 2)
    assert row["difference_mean"] == pytest.approx(0.04)
    results.collect(study, runs, runs.parent)
    assert f"digits/dp-psasc/eps-3/seed-1: {status}" in (runs.parent / "README.md").read_text()


def test_missing_run_enters_no_mean_and_is_listed(study: Study, runs: Path) -> None:
    (runs / "digits/dp-psasc/eps-3/seed-1.json").unlink()
    assert statuses(study, runs) == ["done", "missing", "done"]
    assert summary(study, runs).loc["dp-psasc", ["n", "missing"]].to_list() == [2, 1]
    results.collect(study, runs, runs.parent)
    assert "digits/dp-psasc/eps-3: missing: seeds 1\n" in (runs.parent / "README.md").read_text()


def test_stale_run_shows_no_number_in_any_table(study: Study, runs: Path) -> None:
    write(runs, spoil(make(study, PSASC, 1, 0.98765), "source", study))
    results.collect(study, runs, runs.parent)
    assert not [path for path in runs.parent.glob("*.*") if "0.98765" in path.read_text()]


def test_run_that_diverged_without_an_accuracy_can_be_collected(study: Study, runs: Path) -> None:
    lost = dataclasses.replace(
        spoil(make(study, PSASC, 1, 0.1), "divergence", study), result={"test_accuracy": None, "test_loss": None}
    )
    record.write(lost, [{"epoch": 1, "step": 4, "test_accuracy": 0.1, "test_loss": math.nan}], runs / lost.spec.name())
    results.collect(study, runs, runs.parent)
    table = pd.read_csv(runs.parent / "runs.csv").set_index(["method", "seed"])
    assert table.loc[("dp-psasc", 1), "reason"] == "parameters not finite at step 8"
    assert np.isnan(table.loc[("dp-psasc", 1), "test_accuracy"])


def test_study_without_any_run_yet_has_tables_that_say_so(study: Study, tmp_path: Path) -> None:
    results.collect(study, tmp_path / "runs", tmp_path)
    assert list(pd.read_csv(tmp_path / "runs.csv")["status"]) == ["missing"] * 6
    assert list(pd.read_csv(tmp_path / "summary.csv")["missing"]) == [3, 3]
    assert (tmp_path / "README.md").read_text().count("digits: none of its 6 runs is there") == 1


# ------------------------------------------------------------------------------------------------ damage


def test_record_cut_short_is_named(study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"dp-psasc/eps-3/seed-1\.json: .*delete it and run the workflow again"):
        results.collect(study, runs, runs.parent)
    assert not (runs.parent / "README.md").exists()


@pytest.mark.parametrize("key", ["ledger.noise_multiplier", "ledger.epsilon_pld", "seconds.total", "provenance.commit"])
def test_record_that_lacks_a_number_is_named(key: str, study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.json"
    values = json.loads(path.read_text())
    section, name = key.split(".")
    del values[section][name]
    path.write_text(json.dumps(values))
    with pytest.raises(
        ValueError, match=rf"dp-psasc/eps-3/seed-1\.json: .*{name}.*delete it and run the workflow again"
    ):
        results.collect(study, runs, runs.parent)


@pytest.mark.parametrize(
    "content", [None, b"", b'a,b\n1,"2', b"\xff\xfe\xff"], ids=["absent", "empty", "cut", "binary"]
)
def test_damaged_curve_is_named(content: bytes | None, study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"dp-psasc/eps-3/seed-1\.csv: not the curve of a run"):
        results.collect(study, runs, runs.parent)


# ------------------------------------------------------------------------------------------------ tables and report


def test_runs_table_has_what_was_spent_and_on_what(study: Study, runs: Path) -> None:
    results.collect(study, runs, runs.parent)
    table = pd.read_csv(runs.parent / "runs.csv").set_index(["method", "seed"])
    row = table.loc[("dp-psasc", 2)]
    assert (row["test_accuracy"], row["noise_multiplier"], row["sensitivity"], row["epsilon_pld"]) == (
        0.74,
        1.5,
        0.1,
        3,
    )
    assert (row["learning_rate"], row["momentum"], row["delta"], row["steps_taken"]) == (0.5, 0.9, 1e-5, 8)


def test_curves_have_a_row_per_run_and_epoch(study: Study, runs: Path) -> None:
    _, curves = results.read_runs(study, runs)
    assert len(curves) == 2 * 3 * 2
    assert not curves.duplicated(["dataset", "epsilon", "method", "seed", "epoch"]).any()


def test_report_has_the_numbers_in_percent(study: Study, runs: Path) -> None:
    results.collect(study, runs, runs.parent)
    text = (runs.parent / "README.md").read_text()
    assert "## Handwritten digits" in text
    # half-widths by hand: 4.302653 * .1 / sqrt(3) = .24841 and 4.302653 * .0173205 / sqrt(3) = .04303
    assert "60.00 [35.16, 84.84]" in text
    assert "+3.00 [-1.30, +7.30]" in text
    assert re.search(r"\+7\.30\] \| +0\.095 \| inconclusive \|", text)  # 1 - 3/sqrt(11), a family of one
    assert "Runs that enter no mean" not in text


def test_tables_are_the_same_bytes_from_the_same_records(study: Study, runs: Path) -> None:
    for name in ("a", "b"):
        results.collect(study, runs, runs.parent / name)
    for path in (runs.parent / "a").iterdir():
        assert path.read_bytes() == (runs.parent / "b" / path.name).read_bytes()


@pytest.mark.parametrize("name", [name for name in methods.names() if name not in STUDY["methods"]])
def test_any_other_method_appears_in_every_table(name: str, runs: Path) -> None:
    needed = {key: 0.1 for key in methods.describe(methods.load(name)) if "=" not in key}
    study = parse(methods=STUDY["methods"] | {name: needed})
    (cell,) = (cell for cell in study.cells() if cell.method == name)
    write(runs, *(make(study, cell, seed, 0.4321) for seed in (0, 1, 2)))
    results.collect(study, runs, runs.parent)
    for table in ("runs", "curves", "summary"):
        assert name in set(pd.read_csv(runs.parent / f"{table}.csv")["method"])
    assert methods.load(name).title in (runs.parent / "README.md").read_text()
    assert "43.21" in (runs.parent / "README.md").read_text()


def test_weights_table_is_the_formula(study: Study) -> None:
    table = results.weights(study)
    psasc = table[table["method"] == "dp-psasc"]
    norm = psasc["norm"]
    # double precision throughout
    assert np.allclose(psasc["weight"], 0.2 / (2 * norm + 0.1 / (norm + 0.1)), rtol=1e-12, atol=0)
    assert set(psasc["sensitivity"]) == {0.1}


def test_study_of_controls_alone_has_no_weights(tmp_path: Path) -> None:
    study = parse(methods={"nonprivate": {}})
    results.collect(study, tmp_path / "runs", tmp_path)
    assert "nonprivate" in (tmp_path / "summary.csv").read_text()
    assert (tmp_path / "weights.csv").read_text().strip() == ""


# -------------------------------------------------------------------------------------------- what must be said


def test_records_of_unlike_data_are_not_put_into_one_mean(study: Study, runs: Path) -> None:
    other = {"peak_memory_mib": 1.0, "commit": None, "data_sha256": "another"}
    write(runs, make(study, PSASC, 2, 0.74, provenance=other))
    with pytest.raises(ValueError, match=r"runs.digits: records of unlike data in one folder \(5 on 0, 1 on another\)"):
        results.read_runs(study, runs)


def test_reason_of_a_diverged_run_is_given(study: Study, runs: Path, tmp_path: Path) -> None:
    write(runs, make(study, PSASC, 2, 0.1, status="diverged", reason="parameters not finite at step 8"))
    results.collect(study, runs, tmp_path)
    said = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "* digits/dp-psasc/eps-3/seed-2: diverged (parameters not finite at step 8)" in said


@pytest.mark.parametrize(("delta", "warned"), [(1e-5, False), (1e-3, True)])
def test_delta_of_one_over_the_examples_is_called_no_privacy(delta: float, warned: bool, tmp_path: Path) -> None:
    # the ledger's sampling rate of .25 at 256 expected examples is that of 1,024 of them
    study = parse(datasets={"digits": STUDY["datasets"]["digits"] | {"delta": delta}})
    write(tmp_path / "runs", *(make(study, cell, seed, 0.5) for cell in (SGD, PSASC) for seed in range(3)))
    results.collect(study, tmp_path / "runs", tmp_path)
    said = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert ("Delta is not below 1/1024" in said) == warned
