"""The specifications of the explorer's charts."""

from __future__ import annotations

from typing import Any

import pytest
import vl_convert

from psasc_bench.report import style
from psasc_bench.report.explorer import charts

TITLES = {"dp-sgd": "DP-SGD", "nonprivate": "non-private"}
THEME = charts.Theme(style.looks(list(TITLES), {"nonprivate"}), TITLES, margin=0.2)
VALUES = {"value": 1.0, "half": 0.5, "epsilon_claimed": 2.0}
ROWS = [{"epsilon": epsilon, "method": "dp-sgd", "method_title": "DP-SGD", **VALUES} for epsilon in (8, "inf", 3, 1)]
DATASETS = {"rows": ROWS, "points": ROWS}
BY_BUDGET = pytest.mark.parametrize(
    "spec",
    [THEME.by_budget([], paired=False), THEME.by_budget([], paired=True), THEME.audit()],
    ids=["accuracy", "difference", "audit"],
)


def compile_(spec: dict[str, Any]) -> dict[str, Any]:
    filled = {**spec, "width": 300, "datasets": DATASETS}
    compiled: dict[str, Any] = vl_convert.vegalite_to_vega(filled, vl_version=charts.VEGA_LITE)
    return compiled


@BY_BUDGET
def test_budgets_are_sorted_by_value_and_not_by_what_was_shown_first(spec: dict[str, Any]) -> None:
    compiled = compile_(spec)
    (scale,) = [scale for scale in compiled["scales"] if scale["name"] == "x"]
    assert scale["domain"]["sort"] == {"op": "min", "field": "place"}


@BY_BUDGET
def test_infinite_budget_stands_last(spec: dict[str, Any]) -> None:
    svg = vl_convert.vegalite_to_svg({**spec, "width": 300, "datasets": DATASETS}, vl_version=charts.VEGA_LITE)
    places = [svg.index(f">{label}</text>") for label in ("1", "3", "8", "∞")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("spec", "axis"),
    [(THEME.primary(2), "x"), (THEME.by_budget([], paired=True), "y"), (THEME.by_epoch(paired=True), "y")],
    ids=["primary", "by budget", "by epoch"],
)
def test_differences_have_a_zero_line_and_a_band_of_the_margin(spec: dict[str, Any], axis: str) -> None:
    """In the units of the data, behind all else."""
    band, zero = compile_(spec)["marks"][:2]
    assert (band["type"], zero["type"]) == ("rect", "rule")
    ends = {band["encode"]["update"][name]["value"] for name in (axis, f"{axis}2")}
    assert ends == {-0.2, 0.2}
    assert zero["encode"]["update"][axis] == {"scale": axis, "value": 0}


@pytest.mark.parametrize("spec", [THEME.by_budget([], paired=False), THEME.by_epoch(paired=False)])
def test_accuracies_have_no_band(spec: dict[str, Any]) -> None:
    assert "rect" not in {mark["type"] for mark in compile_(spec)["marks"]}
