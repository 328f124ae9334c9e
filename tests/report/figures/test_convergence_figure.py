"""The figure of convergence: differences to the reference by data set and budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_tables import Tables, marked, title, written
from matplotlib.colors import to_rgb
from scipy import stats

from psasc_bench.report import plots, style
from psasc_bench.report.figures import convergence


def crossing(*values: float) -> float:
    return convergence.crossing(pd.Series(values, index=range(1, len(values) + 1)))


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ((1, 1, -1), 2.5),
        ((3, -1, 1, -3), 3.25),
        ((1, 0, -1), 2.0),
        ((1, 0, 1), np.nan),
        ((-1, -1), np.nan),
        ((0, 0), np.nan),
        ((1, -1e-15, 1), np.nan),  # the rounding of zero
    ],
)
def test_last_crossing_is_where_the_line_through_the_means_changes_its_side(values: list[float], epoch: float) -> None:
    assert crossing(*values) == pytest.approx(epoch, nan_ok=True)


def planted(folder: Path) -> Path:
    """The method under test is 1 point ahead in the first two epochs and 1 behind in the others, but for .1 a seed."""
    curves = pd.read_csv(folder / "curves.csv")
    mine = curves["method"] == "dp-psasc"
    theirs = curves[curves["method"] == "dp-sgd"].set_index(["dataset", "epsilon", "seed", "epoch"])["test_accuracy"]
    keys = pd.MultiIndex.from_frame(curves.loc[mine, theirs.index.names])
    ahead = np.where(curves.loc[mine, "epoch"] <= 2, 0.01, -0.01) + 0.001 * curves.loc[mine, "seed"]
    curves.loc[mine, "test_accuracy"] = theirs.loc[keys].to_numpy() + ahead
    curves.to_csv(folder / "curves.csv", index=False)
    return folder


def test_differences_are_paired_by_seed_and_epoch_with_their_interval_and_last_crossing(tables: Tables) -> None:
    folder = planted(tables(methods=["dp-sgd", "mine", "dp-psasc"]))
    upper, lower = plots.figure("convergence", plots.Tables(folder)).axes[::2]
    (mean,) = marked(lower, "dp-psasc")
    assert np.allclose(mean.get_ydata(), [1.1, 1.1, -0.9, -0.9, -0.9])
    half = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    (band,) = lower.collections  # of the method under test alone
    assert np.allclose(band.get_facecolor()[0][:3], to_rgb(style.KNOWN["dp-psasc"].color))
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(1.1 + half)
    assert "3" in [text.get_text().strip() for text in lower.texts]  # between 2 and 3, at 2.55
    (reference,) = marked(upper, "dp-sgd")
    curves = pd.read_csv(folder / "curves.csv").query("method == 'dp-sgd' and epsilon == 1")
    assert np.allclose(reference.get_ydata(), 100 * curves.groupby("epoch")["test_accuracy"].mean())
    assert "minus that of DP-SGD at the same epoch" in written("convergence", folder)


def test_convergence_has_a_panel_for_the_extreme_budgets_of_each_data_set_on_one_scale(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["first", "second"], epsilons=[1.0, 3.0, 8.0])
    drawn = plots.figure("convergence", plots.Tables(folder))
    upper = [axes for axes in drawn.axes if title(axes)]
    assert [title(axes) for axes in upper] == ["First, ε = 1", "First, ε = 8", "Second, ε = 1", "Second, ε = 8"]
    assert len({axes.get_ylim() for axes in drawn.axes if axes not in upper}) == 1


def test_without_a_reference_the_accuracies_themselves_are_drawn(tables: Tables) -> None:
    folder = tables(methods=["mine", "nonprivate"], epsilons=[8.0])
    (axes,) = plots.figure("convergence", plots.Tables(folder)).axes
    curves = pd.read_csv(folder / "curves.csv").query("method == 'mine'")
    (line,) = marked(axes, "mine", ["mine", "nonprivate"])
    assert np.allclose(line.get_ydata(), 100 * curves.groupby("epoch")["test_accuracy"].mean())
    assert "minus" not in written("convergence", folder)
