"""The figure of differences to DP-SGD: intervals, p-values and verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, written

from psasc_bench.analysis import p_text
from psasc_bench.report import plots


def test_differences_are_the_summarys_with_their_intervals_in_the_margin_of_a_tie(study: Path) -> None:
    summary = pd.read_csv(study / "summary.csv").set_index(["method", "epsilon"])
    (axes,) = plots.figure("differences", plots.Tables(study)).axes
    found = [line.get_xdata()[0] for line in marked(axes, "mine")]
    assert np.allclose(found, 100 * summary.loc["mine", "difference_mean"])
    segments = np.concatenate([lines.get_segments() for lines in axes.collections if len(lines.get_segments())])
    ends = 100 * summary.loc[["auto-s", "dp-psasc", "mine"], ["difference_low", "difference_high"]]
    assert np.allclose(np.sort(segments[:, :, 0].ravel()), np.sort(ends.to_numpy().ravel()))
    (margin,) = axes.patches
    assert np.allclose([margin.get_x(), margin.get_width()], [-0.2, 0.4])


def test_differences_say_p_and_verdict(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine", "dp-psasc"], seeds=8)
    summary = pd.read_csv(folder / "summary.csv")
    told = dict(zip(summary["verdict"], summary["difference_p_holm"], strict=True))
    assert "better" in told
    assert f"p {p_text(told['better'])}, better" in written("differences", folder)


def test_one_pair_has_no_interval_and_a_missing_one_no_point(tables: Tables) -> None:
    missing = ("mine", 8)
    folder = tables(
        methods=["dp-sgd", "mine", "dp-psasc"], seeds=1, status=lambda key: "missing" if key[:2] == missing else "done"
    )
    (axes,) = plots.figure("differences", plots.Tables(folder)).axes
    assert [text.get_text() for text in axes.texts] == ["one pair", "one pair", "one pair", "no pair"]
    assert not any(len(segment) for lines in axes.collections for segment in lines.get_segments())


def test_budget_that_has_not_begun_is_not_spelt_out_row_by_row(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], seeds=1, status=lambda key: "missing" if key[1] == 8 else "done")
    (axes,) = plots.figure("differences", plots.Tables(folder)).axes
    assert [text.get_text() for text in axes.texts] == ["one pair"]
