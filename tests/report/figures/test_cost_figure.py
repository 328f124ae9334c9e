"""The figure of the cost of a step."""

from __future__ import annotations

from pathlib import Path

from figure_tables import title

from psasc_bench.report import plots


def test_cost_has_a_panel_per_model_and_says_what_was_not_measured(study: Path) -> None:
    small, large = plots.figure("cost", plots.Tables(study)).axes
    assert [title(axes) for axes in (small, large)] == ["small, batch 64", "large, batch 64"]
    assert sorted(value for line in small.lines[:2] for value in line.get_xdata()) == [1.0, 1.5, 3.0]
    assert [text.get_text() for text in large.texts] == ["1.00", "1.10", "none"]
