"""The figure of the primary comparison: a row per data set, their mean, and where another one is to be expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from figure_tables import Tables, marked, written
from matplotlib.axes import Axes

from psasc_bench.report import plots, style
from psasc_bench.report.figures import FIGURES

METHODS = ["dp-sgd", "auto-s", "dp-psasc"]
TESTED = style.KNOWN["dp-psasc"]


def forest(folder: Path, **kwargs: Any) -> Axes:
    (axes,) = plots.figure("forest", plots.Tables(folder, **kwargs)).axes
    return axes


def change(folder: Path, table: str, rows: dict[str, Any], **values: Any) -> None:
    """Give the rows with these values others."""
    frame = pd.read_csv(folder / f"{table}.csv")
    chosen = np.logical_and.reduce([frame[key] == value for key, value in rows.items()])
    frame = frame.astype(dict.fromkeys(values, object))
    for column, value in values.items():
        frame.loc[chosen, column] = value
    frame.to_csv(folder / f"{table}.csv", index=False)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_forest_comes_first() -> None:
    assert next(iter(FIGURES)) == "forest"


def test_a_row_has_the_comparison_with_both_intervals_and_its_words(tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["mnist"])
    decided = {"n": 7, "mean": -0.0003, "low": -0.0008, "high": 0.0002, "low_90": -0.0006, "high_90": 0.0001}
    words = {"sign": "unresolved", "within": "yes", "gain_excluded": "yes", "budgets": "1, 8"}
    change(folder, "comparisons", {"method": "dp-psasc"}, **decided, **words)
    axes = forest(folder)
    (point,) = marked(axes, "dp-psasc", METHODS)
    assert point.get_xdata()[0] == pytest.approx(-0.03)
    thin, thick = ([*lines.get_segments()[0][:, 0], lines.get_linewidth()[0]] for lines in axes.collections[-2:])
    assert thin[:2] == pytest.approx([-0.08, 0.02])
    assert thick[:2] == pytest.approx([-0.06, 0.01])
    assert thick[2] > thin[2]
    found = [text.replace("\N{MINUS SIGN}", "-") for text in texts(axes)]
    for wanted in ("Mnist", "ε = 1, 8; 7 seeds", "-0.03 [-0.08, +0.02]", "sign unresolved; within ±0.2"):
        assert wanted in found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"sign": "lower", "within": "no", "gain_excluded": "yes"}, "lower; not within ±0.2"),
        ({"sign": "higher", "within": "unresolved", "gain_excluded": "no"}, "higher; size unresolved"),
        (
            {"sign": "unresolved", "within": "unresolved", "gain_excluded": "yes"},
            "sign unresolved; gain of 0.2 excluded",
        ),
        ({"sign": "identical", "within": "yes", "gain_excluded": "yes", "identical": 3}, "identical in 3 of 3 pairs"),
        ({"decides": False, "sign": "", "within": "", "gain_excluded": ""}, "decides nothing"),
        ({"n": 1}, "one seed has no interval"),
    ],
)
def test_what_a_comparison_decides_is_said(words: dict[str, Any], said: str, tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["mnist"])
    change(folder, "comparisons", {"method": "dp-psasc"}, **words)
    assert said in texts(forest(folder))


def test_a_data_set_that_decides_nothing_is_hollow_and_last(tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["digits", "mnist"], undecided=["digits"])
    mnist, digits = marked(forest(folder), "dp-psasc", METHODS)
    assert (mnist.get_markerfacecolor(), digits.get_markerfacecolor()) == (TESTED.color, "white")
    assert mnist.get_ydata()[0] < digits.get_ydata()[0]  # from the top down
    assert "Hollow: one test example is more than 0.2 points" in written("forest", folder)
    assert "Hollow" not in written("forest", tables(methods=METHODS))


def test_the_mean_over_data_sets_is_a_diamond_above_the_prediction_interval(tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["one", "two", "three"])
    answer = {"mean": 0.001, "low": 0.0, "high": 0.002, "prediction_low": -0.001, "prediction_high": 0.003}
    change(folder, "answer", {"method": "dp-psasc"}, probability_higher=0.04, **answer)
    axes = forest(folder)
    (diamond,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert diamond.get_xdata()[0] == pytest.approx(0.1)
    mean, prediction = (lines.get_segments()[0][:, 0] for lines in axes.collections[-2:])
    assert mean == pytest.approx([0, 0.2])
    assert prediction == pytest.approx([-0.1, 0.3])
    assert {"Mean of 3 data sets", "probability of more than +0.2: 4 %", "Another data set"} <= set(texts(axes))
    assert "Mean of 3 data sets" not in texts(forest(folder, dataset="two"))


def test_the_axis_is_that_of_what_decides_and_the_rest_goes_on(tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["digits", "mnist"], undecided=["digits"])
    change(folder, "comparisons", {"method": "dp-psasc"}, mean=-0.001, low=-0.002, high=0, low_90=-0.0015, high_90=0)
    assert "Arrowhead" not in written("forest", folder)
    change(folder, "comparisons", {"method": "dp-psasc", "dataset": "digits"}, low=-0.1, high=0.1)
    left, right = forest(folder).get_xlim()
    assert -0.4 < left == -right
    assert "Arrowhead: the interval goes on." in written("forest", folder)


def test_tuned_data_sets_have_a_block_of_their_own(tables: Tables) -> None:
    folder = tables(methods=METHODS, datasets=["mnist", "mnist tuned"], tuned=["mnist tuned"])
    rows = {text.get_text(): text.xy[1] for text in forest(folder).texts if hasattr(text, "xy")}
    order = ["One setting for all", "Mnist", "Each method tuned", "Mnist Tuned"]
    assert sorted(order, key=rows.__getitem__) == order
    assert "One setting for all" not in texts(forest(tables(methods=METHODS)))


@pytest.mark.parametrize(
    ("methods", "why"),
    [
        (["dp-sgd"], "the study has no method under test"),
        (["mine"], "the study has no method to compare others with"),
        (["dp-sgd", "mine"], "no run of My method has finished that pairs with one of DP-SGD"),
    ],
)
def test_where_there_is_no_comparison_the_figure_says_why(methods: list[str], why: str, tables: Tables) -> None:
    folder = tables(methods=methods, status=lambda key: "missing" if key[0] == "mine" else "done")
    assert f"Nothing to draw: {why}." in written("forest", folder)
