"""The figure of published accuracies beside ours."""

from __future__ import annotations

import pandas as pd
import pytest
from figure_tables import Tables
from scipy import stats

from psasc_bench.analysis import literature
from psasc_bench.report import plots, style


def test_each_published_accuracy_has_a_row_below_ours_with_the_difference_beside_it(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "auto-s", "nonprivate"], datasets=["mnist", "digits"], epsilons=[1.0, 3.0])
    left, right = plots.figure("literature", plots.Tables(folder)).axes
    rows = {
        round(place): label.get_text() for place, label in zip(left.get_yticks(), left.get_yticklabels(), strict=True)
    }
    sources = ["AdaSig 2025", "Auto-S 2023", "R+R Auto-S 2024"]
    wanted = ["DP-SGD, ε = 3: ours", *sources, "Tramer & Boneh 2021", "Auto-S, ε = 3: ours", *sources]
    assert [rows[y] for y in range(len(rows))] == wanted
    means = {round(line.get_ydata()[0]): line for line in left.lines if line.get_marker() not in ("None", "")}
    published = literature.published().set_index(["dataset", "epsilon", "method", "source"])["accuracy"]
    summary = pd.read_csv(folder / "summary.csv").set_index(["dataset", "epsilon", "method"])["accuracy_mean"]
    assert means[0].get_xdata()[0] == pytest.approx(100 * summary["mnist", 3, "dp-sgd"])
    assert means[2].get_xdata()[0] == published["mnist", 3, "dp-sgd", "Auto-S 2023"]
    assert means[6].get_xdata()[0] == published["mnist", 3, "auto-s", "AdaSig 2025"]
    assert (means[0].get_markerfacecolor(), means[2].get_markerfacecolor()) == (style.KNOWN["dp-sgd"].color, "white")
    assert means[6].get_markeredgecolor() == style.KNOWN["auto-s"].color
    differences = {
        round(line.get_ydata()[0]): line.get_xdata()[0] for line in right.lines if len(line.get_xdata()) == 1
    }
    assert differences[2] == pytest.approx(100 * summary["mnist", 3, "dp-sgd"] - means[2].get_xdata()[0])
    assert sorted(differences) == [1, 2, 3, 4, 6, 7, 8]  # not beside ours
    assert [text.get_text().endswith("]") for text in right.texts] == [True, True, True, False, True, True, True]


def test_the_interval_of_a_difference_is_that_of_welchs_test(tables: Tables) -> None:
    """Both samples made up, with the means and half-widths that are compared."""
    folder = tables(methods=["dp-sgd"], datasets=["mnist"], epsilons=[3.0], seeds=4)
    _, right = plots.figure("literature", plots.Tables(folder)).axes
    ours = 100 * pd.read_csv(folder / "runs.csv")["test_accuracy"]
    known = literature.published().set_index(["dataset", "epsilon", "method", "source"])
    theirs = known.loc["mnist", 3, "dp-sgd", "AdaSig 2025"]  # a 95 % interval of five runs
    sd = theirs["half_width"] / stats.t.ppf(0.975, 4) * 5**0.5
    sample = [theirs["accuracy"] + sd * value for value in stats.zscore([1, 2, 3, 4, 5], ddof=1)]
    interval = stats.ttest_ind(ours, sample, equal_var=False).confidence_interval()
    drawn = next(lines for lines in right.collections if len(lines.get_segments()))
    assert drawn.get_segments()[0][:, 0] == pytest.approx([interval.low, interval.high])
