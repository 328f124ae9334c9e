"""The specifications of the explorer's charts."""

from __future__ import annotations

from typing import Any

import pytest
import vl_convert

from psasc_bench.report import charts, style

THEME = charts.Theme(style.looks(["dp-sgd", "nonprivate"], {"nonprivate"}), most=3)
ROWS = [
    {"epsilon": epsilon, "method": "dp-sgd", "method_title": "DP-SGD", "value": 1.0, "epsilon_claimed": 2.0}
    for epsilon in (8, "inf", 3, 1)
]


@pytest.mark.parametrize("spec", [THEME.by_budget([]), THEME.audit()], ids=["by budget", "audit"])
def test_budgets_are_sorted_by_value_and_not_by_what_was_shown_first(spec: dict[str, Any]) -> None:
    compiled = vl_convert.vegalite_to_vega(
        {**spec, "width": 300, "datasets": {"rows": ROWS}}, vl_version=charts.VEGA_LITE
    )
    (scale,) = [scale for scale in compiled["scales"] if scale["name"] == "x"]
    assert scale["domain"]["sort"] == {"op": "min", "field": "place"}


@pytest.mark.parametrize("spec", [THEME.by_budget([]), THEME.audit()], ids=["by budget", "audit"])
def test_infinite_budget_stands_last(spec: dict[str, Any]) -> None:
    svg = vl_convert.vegalite_to_svg({**spec, "width": 300, "datasets": {"rows": ROWS}}, vl_version=charts.VEGA_LITE)
    places = [svg.index(f">{label}</text>") for label in ("1", "3", "8", "∞")]
    assert places == sorted(places)
