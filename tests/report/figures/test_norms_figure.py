"""The figure of gradient norms and of the norm at which a weight peaks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, title, written

from psasc_bench.report import plots
from psasc_bench.report.figures import norms


def test_norms_are_those_of_the_curves_and_the_peak_that_of_the_weight(study: Path) -> None:
    axes = plots.figure("norms", plots.Tables(study)).axes[0]
    curves = pd.read_csv(study / "curves.csv").query("epsilon == 1")
    means = curves.groupby(["method", "epoch"]).mean(numeric_only=True)
    for method in ("dp-sgd", "mine", "dp-psasc"):
        (median,) = marked(axes, method)
        assert np.allclose(median.get_ydata(), means.loc[method, "nonprivate_norm_q50"])
    reference, tested = (band.get_paths()[0].vertices[:, 1] for band in axes.collections)
    assert np.allclose([reference.min(), reference.max()], [0.1 / 5, 2])
    assert np.allclose([tested.min(), tested.max()], [0.1 / 5, 2])
    (peak,) = [line for line in axes.lines if len(line.get_ydata()) == 2]
    assert np.allclose(peak.get_ydata(), math.sqrt(0.25) - 0.1, rtol=0.01)  # as near as the table's norms


def test_norms_are_at_the_smallest_and_the_largest_budget(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["a", "b", "c"], epsilons=[1, 2, 8])
    drawn = plots.figure("norms", plots.Tables(folder))
    assert [title(axes) for axes in drawn.axes] == [f"{name}, ε = {epsilon}" for name in "ABC" for epsilon in (1, 8)]


def test_where_that_is_too_much_they_are_near_the_budget_that_most_data_sets_have() -> None:
    alone = {"a": [1, 3], "b": [1, 3], "c": [3, 8], "d": [2, 8]}
    there = [(dataset, epsilon) for dataset, epsilons in alone.items() for epsilon in epsilons]
    assert norms.cells(there) == ([("a", 3), ("b", 3), ("c", 3), ("d", 2)], [])


def test_what_has_no_room_at_all_is_named(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=list("abcdefg"))
    assert len(plots.figure("norms", plots.Tables(folder)).axes) == norms.MOST
    assert "Not shown for want of room: G." in written("norms", folder)
