"""Charts for the page that a study is explored with, as Vega-Lite specifications. Each draws the data set ``rows``,
which the page fills: what is chosen there, with the quantity to show in a column ``value``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D
from scipy import stats

from psasc_bench.analysis import CONFIDENCE
from psasc_bench.report.style import Look

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])  # as vl-convert calls it: without the patch
INK = "currentColor"  # so that the page's style sheet decides, in light and dark
AXES: dict[str, Any] = {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK, "gridColor": INK}
AXES |= {"gridOpacity": 0.12, "domainOpacity": 0.5, "tickOpacity": 0.5}
AXES |= {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
PLACE = "place"  # among epsilons, of which the infinite one is text
CONFIG = {"axis": AXES, "background": None, "view": {"stroke": None}, "font": "system-ui, sans-serif"}


class Theme:
    """Vega-Lite specifications with the looks of the methods, for up to ``most`` seeds."""

    def __init__(self, looks: dict[str, Look], *, most: int) -> None:
        names = list(looks)
        shapes = [_shape(look) for look in looks.values()]
        dashes = [[2 * part for part in look.dashes if part is not None] or [1, 0] for look in looks.values()]
        colors = [f"var(--method-{i})" for i in range(len(names))]
        self._color = alt.Color("method:N", legend=None, scale=alt.Scale(domain=names, range=colors))
        self._shape = alt.Shape("method:N", legend=None, scale=alt.Scale(domain=names, range=shapes))
        self._dash = alt.StrokeDash("method:N", legend=None, scale=alt.Scale(domain=names, range=dashes))
        self._offset = alt.XOffset("method:N", sort=names)
        self._quantiles = [float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) if n > 1 else 0 for n in range(most + 1)]

    def by_budget(self, record: Sequence[str]) -> dict[str, Any]:
        """Means with their intervals, and the runs; the columns ``record`` are what one can learn of a run."""
        rows = _budgets().encode(x=_budget(), xOffset=self._offset, color=self._color)
        value = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
        fields = [alt.Tooltip("method_title:N", title="method"), alt.Tooltip("epsilon:N", title="epsilon")]
        fields += [alt.Tooltip(f"{field}:N", title=field) for field in record]
        runs = rows.mark_circle(size=18, opacity=0.45).encode(y=value, tooltip=fields)
        means = self._means(rows, "epsilon")
        bars = means.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
        points = means.mark_point(filled=True, size=60, opacity=1).encode(y="mean:Q", shape=self._shape)
        return self._finish(alt.layer(bars, runs, points.encode(tooltip=_summary("epsilon:N"))))

    def by_epoch(self) -> dict[str, Any]:
        # One scale for all panels: the page says from where to where.
        span = alt.Scale(domain=[alt.ExprRef("least"), alt.ExprRef("most")], zero=False)
        rows = alt.Chart(alt.NamedData("rows")).encode(
            x=alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, format="d")), color=self._color
        )
        means = self._means(rows, "epoch")
        band = means.mark_area(opacity=0.13, clip=True).encode(y=alt.Y("low:Q", title=None, scale=span), y2="high:Q")
        line = means.mark_line(clip=True, strokeWidth=1.8).encode(y="mean:Q", strokeDash=self._dash)
        targets = means.mark_point(filled=True, size=90, opacity=0, clip=True).encode(y="mean:Q")
        layers = alt.layer(band, line, targets.encode(tooltip=_summary("epoch:Q")))
        return self._finish(layers.add_params(alt.param(name="least", value=0), alt.param(name="most", value=1)))

    def by_norm(self) -> dict[str, Any]:
        power = alt.Axis(format=".0e", tickCount=6, grid=False)
        norm = alt.X("norm:Q", title="Gradient norm x", axis=power, scale=alt.Scale(type="log", nice=False))
        value = alt.Y("value:Q", title=None, axis=power, scale=alt.Scale(type="log"))
        rows = alt.Chart(alt.NamedData("rows")).encode(x=norm, y=value, color=self._color)
        line = rows.mark_line(strokeWidth=1.8).encode(strokeDash=self._dash)
        fields = ["method_title:N", alt.Tooltip("norm:Q", format=".3g"), alt.Tooltip("value:Q", format=".3g")]
        targets = rows.mark_point(filled=True, size=40, opacity=0).encode(tooltip=fields)
        return self._finish(alt.layer(line, targets))

    def audit(self) -> dict[str, Any]:
        rows = _budgets().encode(x=_budget(), xOffset=self._offset)
        claims = rows.mark_tick(color=INK, thickness=1.5).encode(y=alt.Y("epsilon_claimed:Q", title=None))
        points = rows.mark_point(filled=True, size=60, opacity=1)
        fields = ["method_title:N", "epsilon:N", "epsilon_claimed:Q", "epsilon_lower:Q", "delta:Q", "confidence:Q"]
        points = points.encode(y="value:Q", color=self._color, shape=self._shape, tooltip=fields)
        return self._finish(alt.layer(claims, points))

    def _means(self, rows: alt.Chart, by: str) -> alt.Chart:
        """Mean and t-interval of ``value`` by ``by`` and method, as ``statistics.t_interval`` has them."""
        averaged = rows.transform_aggregate(
            mean="mean(value)",
            deviation="stdev(value)",
            n="valid(value)",
            groupby=[by, *([PLACE] if by == "epsilon" else []), "method", "method_title"],
        )
        half = "datum.n > 1 ? quantiles[datum.n] * datum.deviation / sqrt(datum.n) : 0"
        return averaged.transform_calculate(half=half).transform_calculate(
            low="datum.mean - datum.half", high="datum.mean + datum.half"
        )

    def _finish(self, chart: alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
        chart = chart.add_params(alt.param(name="quantiles", value=self._quantiles))
        spec: dict[str, Any] = chart.properties(width="container", height=260).to_dict()
        return spec | {"config": CONFIG}


def _shape(look: Look) -> str:
    """The marker as an outline in the square from -1 to 1, y downwards; a disc where it has no corners or no inside."""
    if look.marker in ("", "o"):
        return "circle"
    marker = MarkerStyle(look.marker)
    path = marker.get_path().transformed(marker.get_transform() + Affine2D().scale(2 * look.size, -2 * look.size))
    outlines = [np.asarray(outline, dtype=float) for outline in path.to_polygons()]
    parts = ["L".join(f"{x:.3f},{y:.3f}" for x, y in outline) for outline in outlines]
    return "".join(f"M{part}Z" for part in parts) or "circle"


def _budgets() -> alt.Chart:
    """The rows, each with the place of its epsilon."""
    place = "datum.epsilon == 'inf' ? 1e300 : datum.epsilon"
    return alt.Chart(alt.NamedData("rows")).transform_calculate(PLACE, place)


def _budget() -> alt.X:
    """Sorted by value: unsorted, an axis keeps the order in which it was shown the epsilons."""
    axis = alt.Axis(labelAngle=0, labelExpr="datum.label == 'inf' ? '∞' : datum.label")
    place = alt.EncodingSortField(PLACE, op="min", order="ascending")
    return alt.X("epsilon:O", sort=place, title="Privacy budget ε", axis=axis)


def _summary(by: str) -> list[Any]:
    ends = [alt.Tooltip(f"{name}:Q", format=".5~g") for name in ("mean", "low", "high")]
    return [alt.Tooltip("method_title:N", title="method"), by, *ends, alt.Tooltip("n:Q", title="seeds")]
