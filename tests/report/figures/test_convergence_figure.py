"""The figure of convergence: curves by data set and budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, title

from psasc_bench.report import plots


def test_convergence_has_a_panel_for_each_data_set_and_budget(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["first", "second"])
    drawn = plots.figure("convergence", plots.Tables(folder))
    upper = [axes for axes in drawn.axes if title(axes)]
    titles = [title(axes) for axes in upper]
    assert titles == ["First, ε = 1", "First, ε = 8", "Second, ε = 1", "Second, ε = 8"]
    assert upper[0].get_ylim() == upper[1].get_ylim()
    curves = pd.read_csv(folder / "curves.csv")
    mine = curves[(curves["dataset"] == "second") & (curves["epsilon"] == 8) & (curves["method"] == "mine")]
    (line,) = marked(upper[3], "mine")
    assert np.allclose(line.get_ydata(), 100 * mine.groupby("epoch")["test_accuracy"].mean())
