"""The figure of published accuracies beside ours."""

from __future__ import annotations

import pandas as pd
import pytest
from figure_tables import Tables

from psasc_bench.analysis import literature
from psasc_bench.report import plots, style


def test_each_published_accuracy_has_a_row_below_ours(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "auto-s", "nonprivate"], datasets=["mnist", "digits"], epsilons=[1.0, 3.0])
    (axes,) = plots.figure("literature", plots.Tables(folder)).axes
    rows = {
        round(place): label.get_text() for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }
    sources = ["AdaSig 2025", "Auto-S 2023", "R+R Auto-S 2024"]
    wanted = ["DP-SGD, ε = 3: ours", *sources, "Tramer & Boneh 2021", "Auto-S, ε = 3: ours", *sources]
    assert [rows[-y] for y in range(len(rows))] == wanted
    means = {round(line.get_ydata()[0]): line for line in axes.lines if line.get_marker() not in ("None", "")}
    published = literature.published().set_index(["dataset", "epsilon", "method", "source"])["accuracy"]
    summary = pd.read_csv(folder / "summary.csv").set_index(["dataset", "epsilon", "method"])["accuracy_mean"]
    assert means[0].get_xdata()[0] == pytest.approx(100 * summary["mnist", 3, "dp-sgd"])
    assert means[-2].get_xdata()[0] == published["mnist", 3, "dp-sgd", "Auto-S 2023"]
    assert means[-6].get_xdata()[0] == published["mnist", 3, "auto-s", "AdaSig 2025"]
    assert (means[0].get_markerfacecolor(), means[-2].get_markerfacecolor()) == (style.KNOWN["dp-sgd"].color, "white")
    assert means[-6].get_markeredgecolor() == style.KNOWN["auto-s"].color
    # hand-made accuracies of .81 to .85: far from all that is published, but what has no interval cannot be apart
    assert [text.get_text().endswith("apart") for text in axes.texts] == [True, True, True, False, True, True, True]
