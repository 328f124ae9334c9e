"""The figure of accuracies over the grid of a sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, title, written

from psasc_bench.report import plots


def test_robustness_has_the_mean_of_each_setting_and_the_share_near_the_best(study: Path) -> None:
    """Of the fixture's grid, two of four settings are within a point: those with the smaller r."""
    drawn = plots.figure("robustness", plots.Tables(study))
    grid = pd.read_csv(study / "sweeps.csv").query("method == 'mine' and evaluation == 'validation'")
    means = 100 * grid.pivot_table(index="learning_rate", columns="r", values="accuracy")
    panels = [axes for axes in drawn.axes if axes.images]
    (mine,) = [axes for axes in panels if title(axes) == "My method: 50 %"]
    assert np.allclose(mine.images[0].get_array(), means)
    assert [text.get_text() for text in mine.texts] == [f"{mean:.1f}" for mean in means.to_numpy().ravel()]
    assert len({(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in panels}) == 1  # of one data set


def test_robustness_marks_settings_without_a_result_and_leaves_those_not_tried_blank(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"])
    sweeps = pd.read_csv(folder / "sweeps.csv")
    trial = sweeps["settings"] == "learning_rate=1,r=0.1"
    sweeps.loc[trial & (sweeps["seed"] == 100), "status"] = "diverged"
    sweeps = sweeps[sweeps["settings"] != "learning_rate=0.5,r=1"]
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    axes = plots.figure("robustness", plots.Tables(folder)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["90.4", "\N{MULTIPLICATION SIGN}", "88.2"]
    assert "Runs that enter no mean: 1 diverged." in written("robustness", folder)


def test_sweeps_without_a_result_are_drawn_as_that(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"])
    sweeps = pd.read_csv(folder / "sweeps.csv").assign(status="missing", accuracy=np.nan)
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    for figure in ("robustness", "momentum"):
        assert "Nothing to draw: no sweep has" in written(figure, folder)
