"""The figure of deviations from the true gradient, along a shared run and along a method's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, title, written

from psasc_bench.report import plots


def test_deviation_is_drawn_along_the_shared_run_and_along_its_own(study: Path) -> None:
    tables = plots.Tables(study)
    axes = plots.figure("deviation", tables).axes[::2]  # of the first budget
    assert [panel.get_ylabel().split(",")[0] for panel in axes][:4] == ["Cosine", "Relative error"] * 2
    for panel, table, column in (
        (axes[0], tables.read("deviation"), "cosine"),
        (axes[2], tables.curves, "nonprivate_cosine"),
        (axes[4], tables.curves, "nonprivate_signal_to_noise"),
    ):
        rows = table[(table["epsilon"] == 1) & (table["method"] == "mine")]
        (line,) = marked(panel, "mine")
        assert np.allclose(line.get_ydata(), rows.groupby("epoch")[column].mean().dropna())


def test_deviation_shows_the_budgets_that_have_a_shared_run(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["digits", "mnist"], epsilons=[1.0, 3.0, 8.0])
    measured = pd.read_csv(folder / "deviation.csv")
    here = (measured["dataset"] == "digits") & (measured["epsilon"] == 3)
    measured[here].to_csv(folder / "deviation.csv", index=False)
    drawn = plots.figure("deviation", plots.Tables(folder))
    titles = [title(axes) for axes in drawn.axes if title(axes)]
    assert titles == ["Digits\nε = 3", "Mnist\nε = 1", "Mnist\nε = 8"]


def test_deviation_without_a_shared_run_says_how_to_get_one(tables: Tables) -> None:
    folder = tables()
    (folder / "deviation.csv").unlink()
    found = written("deviation", folder)
    assert "Not measured along a shared run: `snakemake" in found
    assert "shared run Cosine" not in found
