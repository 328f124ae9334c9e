"""The figure of weights, and of what a step releases, along runs that the methods share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import Tables, marked, title, written

from psasc_bench.report import plots, style


def measured_at(folder: Path, cells: list[tuple[str, float]]) -> Path:
    """The study in ``folder`` with measurements of these data sets and budgets only."""
    table = pd.read_csv(folder / "deviation.csv")
    kept = [cell in cells for cell in zip(table["dataset"], table["epsilon"], strict=True)]
    table[kept].to_csv(folder / "deviation.csv", index=False)
    return folder


def rows(folder: Path) -> list[str]:
    """What stands at the left of its rows."""
    drawn = plots.figure("deviation", plots.Tables(folder))
    return [axes.get_ylabel() for axes in drawn.axes if axes.get_ylabel()]


def test_rows_are_the_extreme_budgets_and_columns_the_measures(study: Path) -> None:
    tables = plots.Tables(study)
    figure = plots.figure("deviation", tables)
    assert [title(axes) for axes in figure.axes[:3]] == [
        "Weight of the smallest quarter",
        "Effective sample size",
        "Cosine as released",
    ]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["Digits\nε = 1", "Digits\nε = 8"]
    assert figure.get_figwidth() == 6.8


def test_each_method_is_drawn_with_its_mean_over_seeds(study: Path) -> None:
    tables = plots.Tables(study)
    table = tables.read("deviation")
    for method in tables.methods:
        of_one = table[(table["epsilon"] == 8) & (table["method"] == method)]
        (line,) = marked(plots.figure("deviation", tables).axes[5], method)
        assert np.allclose(line.get_ydata(), of_one.groupby("epoch")["released_cosine"].mean())


def test_measures_of_weights_have_a_line_where_all_weigh_the_same(study: Path) -> None:
    axes = plots.figure("deviation", plots.Tables(study)).axes
    grey = [[list(line.get_ydata()) for line in panel.lines if line.get_color() == style.GREY] for panel in axes[:3]]
    assert grey == [[[0.25, 0.25]], [[1.0, 1.0]], []]


def test_several_data_sets_are_shown_at_the_budget_that_most_have(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["digits", "mnist", "letters"], epsilons=[1.0, 3.0, 8.0])
    cells = [("digits", 1.0), ("digits", 3.0), ("mnist", 3.0), ("letters", 1.0), ("letters", 8.0), ("mnist", 8.0)]
    assert rows(measured_at(folder, [*cells, ("digits", 8.0)])) == [
        "Digits\nε = 8",
        "Mnist\nε = 8",
        "Letters\nε = 8",
    ]


def test_data_set_without_the_usual_budget_is_shown_at_its_largest(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["digits", "mnist", "letters"], epsilons=[1.0, 3.0, 8.0])
    cells = [("digits", 3.0), ("digits", 8.0), ("mnist", 3.0), ("letters", 1.0)]
    assert rows(measured_at(folder, cells)) == ["Digits\nε = 3", "Mnist\nε = 3", "Letters\nε = 1"]


def test_data_set_that_was_not_measured_is_named_with_the_command(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["digits", "mnist"])
    found = written("deviation", measured_at(folder, [("digits", 1.0)]))
    assert "Not measured: Mnist; `snakemake" in found


def test_study_that_was_not_measured_says_how_to_measure_it(tables: Tables) -> None:
    folder = tables()
    (folder / "deviation.csv").unlink()
    found = written("deviation", folder)
    assert "Nothing to draw: no shared run of the study has been measured." in found
    assert "Not measured: Digits; `snakemake" in found


def test_table_of_an_earlier_version_is_not_drawn(tables: Tables) -> None:
    folder = tables()
    pd.read_csv(folder / "deviation.csv").drop(columns="released_cosine").to_csv(folder / "deviation.csv", index=False)
    assert "Nothing to draw: no shared run" in written("deviation", folder)
