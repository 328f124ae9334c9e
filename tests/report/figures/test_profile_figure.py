"""The figure of performance profiles and mean ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, written

from psasc_bench import analysis
from psasc_bench.report import plots


def test_profiles_and_ranks_are_those_of_the_analysis(study: Path) -> None:
    left, right = plots.figure("profile", plots.Tables(study)).axes
    profiles = analysis.performance_profiles(pd.read_csv(study / "runs.csv"), "dp-sgd").set_index("method")
    (line,) = marked(left, "mine")
    assert np.allclose(line.get_xdata(), profiles.loc["mine", "threshold"])
    assert np.allclose(line.get_ydata(), 100 * profiles.loc["mine", "share"])
    ranks = pd.read_csv(study / "ranks.csv").set_index("method").loc["mine"]
    (point,) = marked(right, "mine")
    assert np.allclose(point.get_xdata(), ranks["rank"])
    interval = right.collections[list(analysis.ranks(pd.read_csv(study / "runs.csv"))["method"]).index("mine")]
    assert np.allclose(interval.get_segments()[0][:, 0], ranks[["low", "high"]].astype(float))


def test_ranks_on_one_data_set_are_of_that_one(tables: Tables) -> None:
    folder = tables(datasets=["digits", "mnist"])
    runs = pd.read_csv(folder / "runs.csv")
    turned = runs["dataset"].eq("mnist") & ~runs["control"]
    runs.loc[turned, "test_accuracy"] *= -1
    runs.to_csv(folder / "runs.csv", index=False)
    of_one = analysis.ranks(runs[runs["dataset"] == "mnist"]).set_index("method")["rank"]
    _, right = plots.figure("profile", plots.Tables(folder, "mnist")).axes
    assert np.allclose(marked(right, "mine")[0].get_xdata(), of_one["mine"])


def test_without_a_seed_that_all_methods_have_finished_there_is_nothing_to_compare(tables: Tables) -> None:
    folder = tables(
        methods=["dp-sgd", "mine"], status=lambda key: "done" if (key[0] == "mine") == (key[2] > 0) else "failed"
    )
    assert "Nothing to draw: no seed has a finished run of all methods at any budget." in written("profile", folder)
