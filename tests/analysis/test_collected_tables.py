"""The tables and the report that are collected from records, and which records are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shipped_methods import SHIPPED
from study_records import PSASC, SGD, STUDY, collect, make, parse, write

from psasc_bench import methods
from psasc_bench.analysis import read_table, read_times, results
from psasc_bench.report.formats import MINUS
from psasc_bench.study import Study

# ------------------------------------------------------------------------------------------------ damage


def test_record_cut_short_is_named(study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"dp-psasc/eps-3/seed-1\.json: .*delete it and run the workflow again"):
        collect(study, runs, runs.parent)
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
        collect(study, runs, runs.parent)


@pytest.mark.parametrize(
    "content", [None, b"", b'a,b\n1,"2', b"\xff\xfe\xff"], ids=["absent", "empty", "cut", "binary"]
)
def test_damaged_curve_is_named(content: bytes | None, study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"dp-psasc/eps-3/seed-1\.csv: not the curve of a run"):
        collect(study, runs, runs.parent)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"test_accuracy": 0.61', '"test_accuracy": 0.99'),
        ('"test_accuracy": 0.61', '"test_accuracy": 0.61, "method": "dp-sgd"'),
        ('"nonfinite_examples": 0', '"test_accuracy": 0.99'),
        ('"total": 1.0', '"total": "x"'),
    ],
)
def test_record_changed_by_hand_is_named(old: str, new: str, study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(
        ValueError, match=r"dp-psasc/eps-3/seed-1\.json: .* run record \(.*; delete it and run the workflow again"
    ):
        collect(study, runs, runs.parent)


def test_folder_called_like_a_record_is_passed_over(study: Study, runs: Path) -> None:
    path = runs / "digits/dp-psasc/eps-3/seed-1.json"
    path.unlink()
    path.mkdir()
    assert list(results.read_runs(study, runs, {})[0]["status"]).count("missing") == 1


# ------------------------------------------------------------------------------------------------ tables and report


def test_runs_table_has_what_was_spent_and_on_what(study: Study, runs: Path) -> None:
    collect(study, runs, runs.parent)
    table = pd.read_csv(runs.parent / "runs.csv").set_index(["method", "seed"])
    row = table.loc[("dp-psasc", 2)]
    assert (row["test_accuracy"], row["noise_multiplier"], row["sensitivity"], row["epsilon_pld"]) == (
        0.74,
        1.5,
        0.1,
        3,
    )
    assert (row["learning_rate"], row["momentum"], row["delta"], row["steps_taken"]) == (0.5, 0.9, 1e-5, 8)
    assert (row["implementation"], row["model"], row["epochs"]) == ("dp-psasc", "digits_cnn", 2)
    assert row["settings"] == "C=0.2,s=2,r=0.1,iterates=1,decay=0.1"


def test_curves_have_a_row_per_run_and_epoch(study: Study, runs: Path) -> None:
    _, curves = results.read_runs(study, runs, {})
    assert len(curves) == 2 * 3 * 2
    assert not curves.duplicated(["dataset", "epsilon", "method", "seed", "epoch"]).any()


def test_report_has_the_numbers_in_percent(study: Study, runs: Path) -> None:
    collect(study, runs, runs.parent)
    text = (runs.parent / "README.md").read_text()
    assert "## Handwritten digits" in text
    # half-widths by hand: 4.302653 * .1 / sqrt(3) = .24841 and 4.302653 * .0173205 / sqrt(3) = .04303
    assert "60.00 [35.16, 84.84]" in text
    assert "+3.00 [\N{MINUS SIGN}1.30, +7.30]" in text
    # of 360 test images one is more than the margin
    assert f"| +3.00 [{MINUS}1.30, +7.30] | decides nothing |" in text
    assert "Runs that enter no mean" not in text


def test_tables_are_the_same_bytes_from_the_same_records(study: Study, runs: Path) -> None:
    for name in ("a", "b"):
        collect(study, runs, runs.parent / name)
    for path in (runs.parent / "a").iterdir():
        assert path.read_bytes() == (runs.parent / "b" / path.name).read_bytes()


def test_when_where_and_in_what_time_runs_were_made_is_said_in_a_table_of_its_own(study: Study, tmp_path: Path) -> None:
    """Or else no reproduction, however exact, would give the tables that are shipped."""
    here = {"commit": "a" * 40, "modified": False, "device": "cpu", "cpu": "EPYC", "torch": "2.9"}
    there = {"commit": "b" * 40, "modified": True, "device": "cuda", "cpu": "Xeon", "torch": "2.8"}
    for name, seconds, memory, day, where in (("one", 1.0, 600.0, "24", here), ("other", 7.5, 701.5, "25", there)):
        noted = where | {"peak_memory_mib": memory, "ended": f"2026-11-{day}T10:00:00+00:00", "data_sha256": "0"}
        made = {"seconds": {"total": seconds, "diagnostics": seconds / 10}, "provenance": noted}
        runs = tmp_path / name / "runs"
        write(runs, *(make(study, cell, seed, 0.5 + seed / 10, **made) for cell in (SGD, PSASC) for seed in range(3)))
        collect(study, runs, tmp_path / name / "results")
    one, other = (tmp_path / name / "results" for name in ("one", "other"))
    unlike = {path.name for path in one.iterdir() if path.read_bytes() != (other / path.name).read_bytes()}
    assert unlike == {"times.csv"}
    times = read_table(other / "times.csv")
    assert len(times) == 6
    assert times.iloc[0].to_dict() == {
        "dataset": "digits",
        "epsilon": 3.0,
        "method": "dp-sgd",
        "seed": 0,
        "status": "done",
        "seconds": 7.5,
        "seconds_diagnostics": 0.75,
        "peak_memory_mib": 701.5,
        **there,
        "ended": "2026-11-25T10:00:00+00:00",
    }


def test_times_are_read_from_the_records_where_no_table_has_them(study: Study, runs: Path) -> None:
    """As in a fresh clone, which has the records that are shipped, but no table that is made with them."""
    fresh = read_times(runs.parent)
    collect(study, runs, runs.parent)
    columns = ["dataset", "epsilon", "method", "seed", "status", "seconds", "peak_memory_mib"]
    key = ["method", "seed"]
    tables = (table.sort_values(key)[columns].reset_index(drop=True) for table in (fresh, read_times(runs.parent)))
    pd.testing.assert_frame_equal(*tables)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in STUDY["methods"]])
def test_any_other_method_appears_in_every_table(name: str, runs: Path) -> None:
    needed = {key: 0.1 for key in methods.describe(methods.load(name)) if "=" not in key}
    study = parse(methods=STUDY["methods"] | {name: needed})
    (cell,) = (cell for cell in study.cells() if cell.method == name)
    write(runs, *(make(study, cell, seed, 0.4321) for seed in (0, 1, 2)))
    collect(study, runs, runs.parent)
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


def test_weights_are_told_by_epsilon_where_settings_differ_by_it() -> None:
    own = {"methods": ["dp-psasc"], "epsilons": [1, 3], "overrides_by_epsilon": {1: {"dp-psasc": {"C": 0.4}}}}
    tuned = STUDY["datasets"]["digits"] | own | {"title": "Tuned"}
    table = results.weights(parse(datasets=STUDY["datasets"] | {"tuned": tuned}))
    found = table.drop_duplicates(["dataset", "epsilon", "method"]).fillna({"epsilon": 0})
    assert [tuple(row) for row in found[["dataset", "epsilon", "method", "sensitivity"]].to_numpy()] == [
        ("digits", 0, "dp-sgd", 0.1),
        ("digits", 0, "dp-psasc", 0.1),
        ("tuned", 1, "dp-psasc", 0.2),
        ("tuned", 3, "dp-psasc", 0.1),
    ]


def test_study_of_controls_alone_has_no_weights(tmp_path: Path) -> None:
    study = parse(methods={"nonprivate": {}})
    collect(study, tmp_path / "runs", tmp_path)
    assert "nonprivate" in (tmp_path / "summary.csv").read_text()
    assert (tmp_path / "weights.csv").read_text().strip() == ""


# ------------------------------------------------------------------------------------------------ what must be said


def test_records_of_unlike_data_are_not_put_into_one_mean(study: Study, runs: Path) -> None:
    other = {"peak_memory_mib": 1.0, "commit": None, "data_sha256": "another"}
    write(runs, make(study, PSASC, 2, 0.74, provenance=other))
    with pytest.raises(ValueError, match=r"runs.digits: records of unlike data in one folder \(5 on 0, 1 on another\)"):
        results.read_runs(study, runs, {})


def test_reason_of_a_diverged_run_is_given(study: Study, runs: Path, tmp_path: Path) -> None:
    write(runs, make(study, PSASC, 2, 0.1, status="diverged", reason="parameters not finite at step 8"))
    collect(study, runs, tmp_path)
    said = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "* digits/dp-psasc/eps-3/seed-2: diverged (parameters not finite at step 8)" in said


@pytest.mark.parametrize(("delta", "warned"), [(1e-5, False), (1e-3, True)])
def test_delta_of_one_over_the_examples_is_called_no_privacy(delta: float, warned: bool, tmp_path: Path) -> None:
    # the ledger's sampling rate of .25 at 256 expected examples is that of 1,024 of them
    study = parse(datasets={"digits": STUDY["datasets"]["digits"] | {"delta": delta}})
    write(tmp_path / "runs", *(make(study, cell, seed, 0.5) for cell in (SGD, PSASC) for seed in range(3)))
    collect(study, tmp_path / "runs", tmp_path)
    said = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert ("Delta is not below 1/1024" in said) == warned
