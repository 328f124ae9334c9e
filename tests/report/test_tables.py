"""What the figures read of the tables, and what they say of that which is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, text, write_tables, written

from psasc_bench.analysis import results, statistics
from psasc_bench.report import plots
from psasc_bench.report.tables import averages


def test_unfinished_runs_are_counted_below_the_figure(tables: Tables) -> None:
    lost = {("auto-s", 1.0, 0): "missing", ("auto-s", 1.0, 1): "diverged", ("dp-sgd", 8.0, 0): "stale"}
    found = written("accuracy", tables(status=lambda key: lost.get(key, "done")))
    assert "Runs that enter no mean: 1 missing, 1 stale, 1 diverged." in found
    assert "1 to 3 seeds" in found


def test_a_complete_study_mentions_no_unfinished_runs(study: Path) -> None:
    assert "enter no mean" not in text(study / "figures" / "convergence.svg")


def test_one_seed_has_no_interval_and_says_so(tables: Tables) -> None:
    assert "One seed, hence no interval." in written("accuracy", tables(methods=["dp-sgd"], seeds=1))


def test_bands_are_the_tables_own_t_intervals() -> None:
    curves = pd.DataFrame(
        {"dataset": "digits", "epsilon": 1.0, "method": "dp-sgd", "epoch": 1, "loss": [0.1, 0.4, 0.9]}
    )
    band = averages(curves["loss"], curves)["digits", 1.0, "dp-sgd"].loc[1]
    assert np.allclose(band[["mean", "low", "high"]], statistics.t_interval(curves["loss"].to_numpy()))


def test_what_a_diverged_run_did_is_not_drawn(tables: Tables) -> None:
    found = plots.Tables(tables(methods=["dp-sgd"], status=lambda key: "done" if key[2] else "diverged"))
    assert set(found.read("curves")["status"]) == {"done", "diverged"}
    assert set(found.curves["status"]) == {"done"}


def test_what_has_no_run_is_named_once(tmp_path: Path) -> None:
    gone = {("dp-sgd", 1.0), ("mine", 1.0), ("mine", 8.0)}
    folder = write_tables(
        tmp_path / "results", methods=["dp-sgd", "mine"], status=lambda key: "missing" if key[:2] in gone else "done"
    )
    assert plots.Tables(folder).gaps() == ["No finished run: Digits (ε = 1; My method at ε = 8)."]


def test_a_data_set_without_a_run_is_left_out_and_named(tables: Tables) -> None:
    folder = tables(datasets=["digits", "empty"])
    for name in ("runs", "curves"):
        table = pd.read_csv(folder / f"{name}.csv")
        gone = table["dataset"] == "empty"
        table = table[~gone] if name == "curves" else table.assign(status=table["status"].mask(gone, "missing"))
        table.to_csv(folder / f"{name}.csv", index=False)
    results.summarise(pd.read_csv(folder / "runs.csv"), "dp-sgd").to_csv(folder / "summary.csv", index=False)
    for figure in ("accuracy", "convergence", "differences", "norms"):
        found = written(figure, folder)
        assert found.count("Empty") == 1, figure
        assert "No finished run: Empty." in found


def test_one_data_set_can_be_drawn_alone(tables: Tables) -> None:
    folder = tables(datasets=["digits", "mnist"])
    for dataset, panels in ((None, 4), ("mnist", 2)):
        assert len(plots.figure("accuracy", plots.Tables(folder, dataset)).axes) == panels
