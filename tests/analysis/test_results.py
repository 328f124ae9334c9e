"""Means, paired differences and what enters neither, held against hand-made records and hand-made numbers."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from study_records import PSASC, SGD, STUDY, collect, make, parse, statuses, summary, write

from psasc_bench import records
from psasc_bench.analysis import results
from psasc_bench.records import Record
from psasc_bench.study import Cell, Study

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
    cells = results.summarise(results.read_runs(study, tmp_path, {})[0], "dp-sgd").set_index(["method", "epsilon"])
    assert cells.loc["dp-psasc", "difference_mean"].to_dict() == pytest.approx({1.0: 0.2, 3.0: 0.1})


def test_cell_describes_and_decides_nothing(study: Study, runs: Path) -> None:
    cells = summary(study, runs)
    assert cells.loc["dp-psasc", "difference_sd"] == pytest.approx(math.sqrt(3e-4))
    assert not {"verdict", "sign", "difference_p", "difference_p_holm", "effect_size"} & set(cells)


def test_pairs_that_are_identical_are_counted(tmp_path: Path) -> None:
    study = parse()
    for seed, ours in enumerate([0.5, 0.6, 0.5]):
        write(tmp_path, make(study, SGD, seed, 0.5), make(study, PSASC, seed, ours))
    assert summary(study, tmp_path)["identical"].to_dict() == {"dp-sgd": 0, "dp-psasc": 2}


def test_controls_are_described_beside_the_reference(tmp_path: Path) -> None:
    study = parse(methods=STUDY["methods"] | {"noise-only": {"C": 0.1}})
    for seed, gain in enumerate([0.10, 0.11, 0.12]):
        write(tmp_path, make(study, SGD, seed, 0.5), make(study, Cell("digits", "noise-only", 3.0), seed, 0.5 - gain))
    assert summary(study, tmp_path).loc["noise-only", "difference_mean"] == pytest.approx(-0.11)


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
    changed = study.methods["dp-psasc"].having({"C": 0.2, "s": 2, "r": 0.5})
    other = study.model_copy(update={"methods": {**study.methods, "dp-psasc": changed}})
    return {
        "source": dataclasses.replace(made, fingerprint="0" * 16),
        "spec": dataclasses.replace(made, spec=other.spec(PSASC, made.spec.seed)),
        "generation": dataclasses.replace(made, generation=records.GENERATION - 1),
        "divergence": dataclasses.replace(made, status="diverged", reason="parameters not finite at step 8"),
    }[way]


@pytest.mark.parametrize(
    ("way", "status"),
    [("source", "stale"), ("spec", "stale"), ("generation", "stale"), ("divergence", "diverged")],
)
def test_run_that_is_not_current_enters_no_mean_and_is_listed(way: str, status: str, runs: Path) -> None:
    study = parse(train=[])  # what is trained may not be stale
    write(runs, spoil(make(study, PSASC, 1, 0.99), way, study))
    assert statuses(study, runs) == ["done", status, "done"]
    row = summary(study, runs).loc["dp-psasc"]
    assert (row["n"], row[status], row["n_pairs"]) == (2, 1, 2)
    assert row["accuracy_mean"] == pytest.approx((0.54 + 0.74) / 2)
    assert row["difference_mean"] == pytest.approx(0.04)
    collect(study, runs, runs.parent)
    assert f"digits/dp-psasc/eps-3/seed-1: {status}" in (runs.parent / "README.md").read_text()


def test_stale_run_of_a_data_set_that_is_trained_is_named_and_nothing_is_written(study: Study, runs: Path) -> None:
    write(runs, spoil(make(study, PSASC, 1, 0.99), "spec", study))
    with pytest.raises(ValueError, match=r"^digits/dp-psasc/eps-3/seed-1: its record is of other settings"):
        collect(study, runs, runs.parent)
    assert not list(runs.parent.glob("*.csv"))


def test_run_that_is_withheld_enters_no_mean_and_says_why(study: Study, runs: Path) -> None:
    why = {"digits/dp-psasc/eps-3/seed-1": "it spent epsilon 4 of 3"}
    table, _ = results.read_runs(study, runs, why)
    withheld = table.set_index(["method", "seed"]).loc[("dp-psasc", 1)]
    assert (withheld["status"], withheld["reason"]) == ("failed", "it spent epsilon 4 of 3")
    assert np.isnan(withheld["test_accuracy"])
    assert results.summarise(table, "dp-sgd").set_index("method").loc["dp-psasc", "n"] == 2


def test_missing_run_enters_no_mean_and_is_listed(study: Study, runs: Path) -> None:
    (runs / "digits/dp-psasc/eps-3/seed-1.json").unlink()
    assert statuses(study, runs) == ["done", "missing", "done"]
    assert summary(study, runs).loc["dp-psasc", ["n", "missing"]].to_list() == [2, 1]
    collect(study, runs, runs.parent)
    assert "digits/dp-psasc/eps-3: missing: seeds 1\n" in (runs.parent / "README.md").read_text()


def test_stale_run_shows_no_number_in_any_table(runs: Path) -> None:
    study = parse(train=[])
    write(runs, spoil(make(study, PSASC, 1, 0.98765), "source", study))
    collect(study, runs, runs.parent)
    assert not [path for path in runs.parent.glob("*.*") if "0.98765" in path.read_text()]


def test_run_that_diverged_without_an_accuracy_can_be_collected(study: Study, runs: Path) -> None:
    lost = dataclasses.replace(
        spoil(make(study, PSASC, 1, 0.1), "divergence", study), result={"test_accuracy": None, "test_loss": None}
    )
    records.write(
        lost, [{"epoch": 1, "step": 4, "test_accuracy": math.nan, "test_loss": math.nan}], runs / lost.spec.name()
    )
    collect(study, runs, runs.parent)
    table = pd.read_csv(runs.parent / "runs.csv").set_index(["method", "seed"])
    assert table.loc[("dp-psasc", 1), "reason"] == "parameters not finite at step 8"
    assert np.isnan(table.loc[("dp-psasc", 1), "test_accuracy"])


def test_comparisons_and_the_answer_are_collected(study: Study, runs: Path) -> None:
    """Of 360 test examples one is .28 points: the digits are compared and decide nothing."""
    collect(study, runs, runs.parent)
    compared = pd.read_csv(runs.parent / "comparisons.csv")
    assert compared[["dataset_title", "method", "reference", "n"]].to_numpy().tolist() == [
        ["Handwritten digits", "dp-psasc", "dp-sgd", 3]
    ]
    assert compared.loc[0, "mean"] == pytest.approx(0.03)
    assert not compared.loc[0, "decides"]
    assert compared.loc[0, ["sign", "within", "gain_excluded", "p_holm"]].isna().all()
    assert pd.read_csv(runs.parent / "answer.csv").empty
    assert set(pd.read_csv(runs.parent / "runs.csv")["test_examples"]) == {360}


def test_study_without_any_run_yet_has_tables_that_say_so(study: Study, tmp_path: Path) -> None:
    collect(study, tmp_path / "runs", tmp_path)
    assert list(pd.read_csv(tmp_path / "runs.csv")["status"]) == ["missing"] * 6
    assert list(pd.read_csv(tmp_path / "summary.csv")["missing"]) == [3, 3]
    assert pd.read_csv(tmp_path / "comparisons.csv").empty  # nothing has been compared
    assert pd.read_csv(tmp_path / "answer.csv").empty
    assert (tmp_path / "README.md").read_text().count("digits: none of its 6 runs is there") == 1
