"""Panels, headings and legends have room, however wide the study."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from figure_tables import CONTROLS, write_tables
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from psasc_bench.report import layout, plots, style

METHODS = ("dp-sgd", "auto-s", "nsgd", "dp-psac", "dp-psasc", "dp-psasc-inner")
OTHERS = tuple(f"{kind} of {number} layers" for number in ("one", "two", "three", "four") for kind in "stuvw")
STUDIES = {
    "of many data sets": (METHODS, ("digits", "fashion-mnist", "mnist", "cifar-10 scattering (rebuilt copy)")),
    "of many methods": (METHODS + OTHERS, ("digits", "fashion-mnist")),
}


@pytest.fixture(scope="module", params=STUDIES)
def wide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables as wide as those of the studies that are shipped: of six methods, on data sets with long names, and of
    methods in plenty."""
    methods, datasets = STUDIES[request.param]
    folder = tmp_path_factory.mktemp("wide")
    return write_tables(folder, methods=(*methods, *CONTROLS), datasets=datasets, epsilons=(1.0, 2.0, 3.0, 8.0))


def tick_labels(axis: Axis) -> list[Text]:
    """Those that are drawn."""
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


@pytest.mark.parametrize("name", plots.FIGURES)
def test_nothing_is_cut_off_and_no_heading_runs_into_the_next(name: str, wide: Path) -> None:
    with style.applied():
        drawn = plots.figure(name, plots.Tables(wide))
        layout.lay_out(drawn)
        drawn.set_dpi(300)  # as finely as in print: at the layout's own pixels, text may measure less than it takes
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
    assert drawn.get_figwidth() in (style.SINGLE_COLUMN, style.DOUBLE_COLUMN)
    headings = [axes.title if axes.get_title("center") else axes._left_title for axes in drawn.axes]
    axes_of = [axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)]
    labels = [label for axis in axes_of for label in (axis.label, *tick_labels(axis))]
    inside = [text for axes in drawn.axes for text in axes.texts]
    legends = [*drawn.legends, *filter(None, (axes.get_legend() for axes in drawn.axes))]
    entries = [text for legend in legends for text in legend.get_texts()]
    boxes = {
        text: text.get_window_extent(canvas.get_renderer())
        for text in [*headings, *labels, *inside, *entries, *drawn.texts]
        if text.get_text() and text.get_visible()
    }
    for text, box in boxes.items():
        assert min(*box.min, *(drawn.bbox.max - box.max)) > -1, text.get_text()  # pixels
    for one, other in itertools.combinations([heading for heading in headings if heading in boxes], 2):
        assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())


@pytest.mark.parametrize("name", ["forest", "accuracy", "differences", "literature", "profile"])
def test_what_stands_in_rows_does_not_overlap(name: str, wide: Path) -> None:
    with style.applied():
        drawn = plots.figure(name, plots.Tables(wide))
        layout.lay_out(drawn)
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
    for axes in drawn.axes:
        rows = [text for text in (*axes.texts, *axes.get_yticklabels()) if text.get_text()]
        boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in rows}
        for one, other in itertools.combinations(boxes, 2):
            assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())


def test_more_data_sets_than_fit_side_by_side_go_below() -> None:
    figure, panels = layout.panels(layout.MOST_ABREAST + 1, 2)
    assert [len(column) for column in panels] == [2] * (layout.MOST_ABREAST + 1)
    assert list(figure.axes) == sorted(itertools.chain(*panels), key=figure.axes.index)  # and no empty one is left
    assert panels[-1][0].get_position().y1 < panels[0][1].get_position().y0
