"""The figure of accuracies: means, intervals, yardsticks and published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_tables import ACCURACY, Tables, text, written

from psasc_bench.report import plots, style


def test_a_control_far_below_is_written_instead_of_squashing_the_rest(study: Path) -> None:
    assert "Below the axis: noise only, 12 to 12 %" in text(study / "figures" / "accuracy.svg")
    assert plots.figure("accuracy", plots.Tables(study)).axes[0].get_ylim()[0] > 50


def test_the_interval_of_a_yardstick_does_not_widen_the_axis(tables: Tables) -> None:
    folder = tables()
    before = plots.figure("accuracy", plots.Tables(folder)).axes[0].get_ylim()
    summary = pd.read_csv(folder / "summary.csv")
    summary.loc[summary["method"] == "nonprivate", ["accuracy_low", "accuracy_high"]] = -1, 3
    summary.to_csv(folder / "summary.csv", index=False)
    assert plots.figure("accuracy", plots.Tables(folder)).axes[0].get_ylim() == before


def test_a_control_near_the_methods_is_drawn(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACCURACY, "noise-only", 0.78)
    found = written("accuracy", tables())
    assert "noise only" in found
    assert "Below the axis" not in found


def test_points_are_the_summary_in_percent(study: Path) -> None:
    summary = pd.read_csv(study / "summary.csv").set_index(["method", "epsilon"])
    upper, lower = plots.figure("accuracy", plots.Tables(study)).axes
    marker = style.KNOWN["dp-psasc"].marker
    for axes, name in ((upper, "accuracy_mean"), (lower, "difference_mean")):
        (line,) = [line for line in axes.lines if line.get_marker() == marker]
        assert np.allclose(line.get_ydata(), 100 * summary.loc["dp-psasc", name])


def test_intervals_do_not_cover_each_other(study: Path) -> None:
    axes = plots.figure("accuracy", plots.Tables(study)).axes[0]
    places = np.concatenate([line.get_xdata() for line in axes.lines if line.get_linestyle() == "None"])
    assert len(places) == 8  # four methods at two budgets
    assert np.diff(np.sort(places)).min() > 0.05
