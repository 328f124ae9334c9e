"""The charts as Vega-Lite specifications. Each draws the data set ``rows``, which the page fills: what is chosen there,
with the quantity to show in a column ``value``, and half the width of its interval in ``half``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from psasc_bench.report.explorer.contents import heading
from psasc_bench.report.style import Look

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])  # as vl-convert calls it: without the patch
INK = "currentColor"  # so that the page's style sheet decides, in light and dark
AXES: dict[str, Any] = {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK, "gridColor": INK}
AXES |= {"gridOpacity": 0.12, "domainOpacity": 0.5, "tickOpacity": 0.5}
AXES |= {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
PLACE = "place"  # among epsilons, of which the infinite one is text
CONFIG = {"axis": AXES, "background": None, "view": {"stroke": None}, "font": "system-ui, sans-serif"}
LINE = 40  # pixels of a row of the forest: an interval, and above it what is said of it


class Theme:
    """Vega-Lite specifications with the looks and titles of the methods. In those of differences, what is closer to 0
    than the ``margin`` is shaded."""

    def __init__(self, looks: Mapping[str, Look], titles: Mapping[str, str], *, margin: float) -> None:
        names = list(looks)
        shapes = [_shape(look) for look in looks.values()]
        dashes = [[2 * part for part in look.dashes if part is not None] or [1, 0] for look in looks.values()]
        colors = [f"var(--method-{i})" for i in range(len(names))]
        self._titles = [titles[name] for name in names]
        self._margin = margin
        self._color = alt.Color("method:N", legend=None, scale=alt.Scale(domain=names, range=colors))
        self._shape = alt.Shape("method:N", legend=None, scale=alt.Scale(domain=names, range=shapes))
        self._dash = alt.StrokeDash("method:N", legend=None, scale=alt.Scale(domain=names, range=dashes))
        self._offset = alt.XOffset("method:N", sort=names)

    def primary(self, methods: int) -> dict[str, Any]:
        """A row for each of so many methods: its difference, and above it what is ``said`` of that."""
        rows = _with_ends(_rows()).encode(y=alt.Y("method_title:N", sort=self._titles, title=None), color=self._color)
        value = alt.X("value:Q", title="points", scale=_span())
        bars = rows.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="points", scale=_span()), x2="high:Q")
        points = rows.mark_point(filled=True, size=70, opacity=1).encode(x=value, shape=self._shape)
        fields = [_method(), *_mean("+.2f"), alt.Tooltip("said:N", title="decided")]
        words = rows.mark_text(align="left", baseline="bottom", dy=-6, fontSize=11.5)
        words = words.encode(x=alt.value(4), text="said:N", color=alt.value(INK))
        layers = alt.layer(*self._zone("x"), bars, words, points.encode(tooltip=fields).properties(name="means"))
        return _finish(_common(layers), height=LINE * methods)

    def by_budget(self, record: Sequence[str], *, paired: bool) -> dict[str, Any]:
        """Means with their intervals, and single runs, the data set ``points``, of which one can learn the columns
        ``record``; ``paired`` means are differences."""
        style: dict[str, Any] = {"x": _budget(), "xOffset": self._offset, "color": self._color}
        value = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False))
        fields = [_method(), _epsilon(), *(alt.Tooltip(f"{field}:N", title=heading(field)) for field in record)]
        runs = _placed(alt.Chart(alt.NamedData("points"))).mark_circle(size=18, opacity=0.45)
        means = _with_ends(_placed(_rows())).encode(**style)
        bars = means.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q")
        points = means.mark_point(filled=True, size=60, opacity=1).encode(y=value, shape=self._shape)
        summary = [_method(), _epsilon(), *_mean("+.2f" if paired else ".2f"), alt.Tooltip("n:Q", title="seeds")]
        layers = [
            bars,
            runs.encode(y=value, tooltip=fields, **style).properties(name="runs"),
            points.encode(tooltip=summary).properties(name="means"),
        ]
        return _finish(alt.layer(*self._zone("y") if paired else [], *layers))

    def by_epoch(self, *, paired: bool) -> dict[str, Any]:
        epoch = alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, format="d"))
        rows = _with_ends(_rows()).encode(x=epoch, color=self._color)
        ends: dict[str, Any] = {"y": alt.Y("low:Q", title=None, scale=_span()), "y2": "high:Q"}
        band = rows.mark_area(opacity=0.13, clip=True).encode(**ends)
        line = rows.mark_line(clip=True, strokeWidth=1.8).encode(y="value:Q", strokeDash=self._dash)
        fields = [_method(), alt.Tooltip("epoch:Q"), *_mean("+.2f" if paired else ".4~g")]
        targets = rows.mark_point(filled=True, size=90, opacity=0, clip=True).encode(y="value:Q", tooltip=fields)
        zone = self._zone("y") if paired else []
        return _finish(_common(alt.layer(*zone, band, line, targets.properties(name="means"))))

    def by_norm(self) -> dict[str, Any]:
        power = alt.Axis(format=".0e", tickCount=6, grid=False)
        norm = alt.X("norm:Q", title="Gradient norm x", axis=power, scale=alt.Scale(type="log", nice=False))
        value = alt.Y("value:Q", title=None, axis=power, scale=alt.Scale(type="log"))
        rows = _rows().encode(x=norm, y=value, color=self._color)
        line = rows.mark_line(strokeWidth=1.8).encode(strokeDash=self._dash)
        fields = [_method(), alt.Tooltip("norm:Q", format=".3g"), alt.Tooltip("value:Q", format=".3g")]
        targets = rows.mark_point(filled=True, size=40, opacity=0).encode(tooltip=fields)
        return _finish(alt.layer(line, targets))

    def audit(self) -> dict[str, Any]:
        rows = _placed(_rows()).encode(x=_budget(), xOffset=self._offset)
        claims = rows.mark_tick(color=INK, thickness=1.5).encode(y=alt.Y("epsilon_claimed:Q", title=None))
        points = rows.mark_point(filled=True, size=60, opacity=1)
        named = ["epsilon_claimed", "epsilon_lower", "delta", "confidence_percent"]
        fields = [_method(), _epsilon(), *(alt.Tooltip(f"{field}:Q", title=heading(field)) for field in named)]
        points = points.encode(y="value:Q", color=self._color, shape=self._shape, tooltip=fields)
        return _finish(alt.layer(claims, points))

    def _zone(self, axis: str) -> list[alt.Chart]:
        """No difference, and what is practically none, across the other axis."""
        once = alt.Chart(alt.sequence(1))
        ends = {axis: alt.datum(-self._margin), f"{axis}2": alt.datum(self._margin)}
        within = once.mark_rect(color=INK, opacity=0.1, aria=False).encode(**ends)
        return [within, once.mark_rule(color=INK, opacity=0.6, aria=False).encode(**{axis: alt.datum(0)})]


def _finish(chart: alt.LayerChart | alt.FacetChart, *, height: int = 260) -> dict[str, Any]:
    spec: dict[str, Any] = chart.properties(width="container", height=height).to_dict()
    return spec | {"config": CONFIG}


def _common(chart: alt.LayerChart | alt.FacetChart) -> alt.LayerChart | alt.FacetChart:
    """With one scale for all panels: the page says from where to where."""
    return chart.add_params(alt.param(name="least", value=0), alt.param(name="most", value=1))


def _span() -> alt.Scale:
    return alt.Scale(domain=[alt.ExprRef("least"), alt.ExprRef("most")], zero=False)


def _shape(look: Look) -> str:
    """The marker as an outline in the square from -1 to 1, y downwards; a disc where it has no corners or no inside."""
    if look.marker in ("", "o"):
        return "circle"
    marker = MarkerStyle(look.marker)
    path = marker.get_path().transformed(marker.get_transform() + Affine2D().scale(2 * look.size, -2 * look.size))
    outlines = [np.asarray(outline, dtype=float) for outline in path.to_polygons()]
    parts = ["L".join(f"{x:.3f},{y:.3f}" for x, y in outline) for outline in outlines]
    return "".join(f"M{part}Z" for part in parts) or "circle"


def _rows() -> alt.Chart:
    return alt.Chart(alt.NamedData("rows"))


def _with_ends(rows: alt.Chart) -> alt.Chart:
    return rows.transform_calculate(low="datum.value - datum.half", high="datum.value + datum.half")


def _placed(rows: alt.Chart) -> alt.Chart:
    """Each with the place of its epsilon."""
    return rows.transform_calculate(PLACE, "datum.epsilon == 'inf' ? 1e300 : datum.epsilon")


def _budget() -> alt.X:
    """Sorted by value: unsorted, an axis keeps the order in which it was shown the epsilons."""
    axis = alt.Axis(labelAngle=0, labelExpr="datum.label == 'inf' ? '∞' : datum.label")
    place = alt.EncodingSortField(PLACE, op="min", order="ascending")
    return alt.X("epsilon:O", sort=place, title="Privacy budget ε", axis=axis)


def _method() -> alt.Tooltip:
    return alt.Tooltip("method_title:N", title="method")


def _epsilon() -> alt.Tooltip:
    return alt.Tooltip("epsilon:N", title="epsilon")


def _mean(form: str) -> list[alt.Tooltip]:
    return [alt.Tooltip("value:Q", title="mean", format=form), alt.Tooltip("half:Q", title="±", format=".2~g")]
