"""The figure of differences to DP-SGD: a panel per method, one scale for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, title, written
from matplotlib.axes import Axes

from psasc_bench.report import plots

METHODS = ["Auto-S", "DP-PSASC", "My method"]


def panels(folder: Path) -> dict[str, Axes]:
    return {title(axes): axes for axes in plots.figure("differences", plots.Tables(folder)).axes}


def test_differences_are_the_summarys_with_their_intervals_over_the_margin(study: Path) -> None:
    summary = pd.read_csv(study / "summary.csv").set_index(["method", "epsilon"]).loc["mine"]
    drawn = panels(study)
    assert list(drawn) == METHODS
    axes = drawn["My method"]
    assert np.allclose([line.get_xdata()[0] for line in marked(axes, "mine")], 100 * summary["difference_mean"])
    segments = np.concatenate([lines.get_segments() for lines in axes.collections])
    assert np.allclose(segments[:, :, 0], 100 * summary[["difference_low", "difference_high"]])
    (margin,) = axes.patches
    assert np.allclose([margin.get_x(), margin.get_width()], [-0.2, 0.4])
    assert "p " not in " ".join(text.get_text() for text in axes.texts)


def test_all_panels_have_one_scale_and_what_is_cut_is_said(tables: Tables) -> None:
    folder = tables(datasets=["digits", "mnist", "third"], epsilons=[1, 2, 3, 8])
    assert "Arrowhead" not in written("differences", folder)
    summary = pd.read_csv(folder / "summary.csv")
    far = (summary["method"] == "mine") & (summary["dataset"] == "third") & (summary["epsilon"] == 8)
    ends = [f"difference_{end}" for end in ("mean", "low", "high")]
    summary.loc[far, ends] = -0.2272, -0.23, -0.22
    summary.to_csv(folder / "summary.csv", index=False)
    drawn = panels(folder)
    ((left, right),) = {axes.get_xlim() for axes in drawn.values()}
    assert left == -right > -5
    axes = drawn["My method"]
    assert any(line.get_xdata()[0] == left and not line.get_clip_on() for line in axes.lines)
    assert "\N{MINUS SIGN}22.72" in [text.get_text() for text in axes.texts]
    assert "Arrowhead: the interval goes on (1 of 36)." in written("differences", folder)


def test_one_pair_has_no_interval_and_a_missing_one_no_row(tables: Tables) -> None:
    missing = ("mine", 8)
    folder = tables(
        methods=["dp-sgd", "mine", "dp-psasc"], seeds=1, status=lambda key: "missing" if key[:2] == missing else "done"
    )
    drawn = panels(folder)
    assert [len(marked(drawn["My method"], "mine")), len(marked(drawn["DP-PSASC"], "dp-psasc"))] == [1, 2]
    assert not any(len(lines.get_segments()) for axes in drawn.values() for lines in axes.collections)


def test_budget_that_has_not_begun_has_no_row(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], seeds=1, status=lambda key: "missing" if key[1] == 8 else "done")
    (axes,) = panels(folder).values()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ε = 1"]
