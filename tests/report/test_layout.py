"""Panels, headings and legends have room, however wide the study."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from figure_tables import CONTROLS, write_tables
from matplotlib.backends.backend_agg import FigureCanvasAgg

from psasc_bench.report import layout, plots, style


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables as wide as those of the study that is shipped: of six contestants, on data sets with long names."""
    methods = ("dp-sgd", "auto-s", "nsgd", "dp-psac", "dp-psasc", "dp-psasc-inner", *CONTROLS)
    datasets = ("digits", "fashion-mnist", "mnist", "cifar-10 scattering (rebuilt copy)")
    return write_tables(
        tmp_path_factory.mktemp("wide"), methods=methods, datasets=datasets, epsilons=(1.0, 2.0, 3.0, 8.0)
    )


@pytest.mark.parametrize("name", plots.FIGURES)
def test_nothing_is_cut_off_and_no_heading_runs_into_the_next(name: str, wide: Path) -> None:
    with style.applied():
        drawn = plots.figure(name, plots.Tables(wide))
        layout.lay_out(drawn)
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
    headings = [axes.title if axes.get_title("center") else axes._left_title for axes in drawn.axes]
    labels = [axis.label for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)]
    legends = [text for legend in drawn.legends for text in legend.get_texts()]
    boxes = {
        text: text.get_window_extent(canvas.get_renderer())
        for text in [*headings, *labels, *legends, *drawn.texts]
        if text.get_text() and text.get_visible()
    }
    for text, box in boxes.items():
        assert min(*box.min, *(drawn.bbox.max - box.max)) > -1, text.get_text()  # pixels
    for one, other in itertools.combinations([heading for heading in headings if heading in boxes], 2):
        assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())


def test_more_data_sets_than_fit_side_by_side_go_below() -> None:
    figure, panels = layout.panels(layout.MOST_ABREAST + 1, 2)
    assert [len(column) for column in panels] == [2] * (layout.MOST_ABREAST + 1)
    assert list(figure.axes) == sorted(itertools.chain(*panels), key=figure.axes.index)  # and no empty one is left
    assert panels[-1][0].get_position().y1 < panels[0][1].get_position().y0
