"""Published accuracies: each has a source, and is as far from ours as Welch's interval says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from psasc_bench.analysis import literature, results
from psasc_bench.analysis.statistics import t_interval

CELL = {"dataset": "mnist", "dataset_title": "MNIST", "epsilon": 3.0, "n": 5}


def test_every_published_number_is_one_and_has_a_source() -> None:
    published = literature.published()
    assert published["accuracy"].between(50, 100).all()
    assert published["source"].notna().all()
    assert not published.duplicated([*results.CELL, "source"]).any()
    assert (published["method"] == "dp-psasc").sum() == 0


def summary(*cells: tuple[str, float, float]) -> pd.DataFrame:
    """Cells of MNIST at epsilon 3: method, mean and half width in percent."""
    rows = [
        CELL
        | {"method": method, "method_title": method}
        | {"accuracy_mean": mean / 100, "accuracy_high": (mean + half) / 100}
        for method, mean, half in cells
    ]
    return pd.DataFrame(rows)


def known(**changes: Any) -> pd.DataFrame:
    """One source's 98 ± 0.5 of eight runs."""
    values = {"dataset": "mnist", "epsilon": 3.0, "method": "dp-sgd", "accuracy": 98.0, "half_width": 0.5, "runs": 8}
    return pd.DataFrame([values | {"delta": 1e-5, "source": "A 2024"} | changes])


def test_difference_is_that_of_welch_from_the_raw_samples() -> None:
    """Ours and theirs drawn, and told by their means, their intervals and their sizes alone."""
    random = np.random.default_rng(0)
    ours, theirs = random.normal(98.3, 0.3, 5), random.normal(98, 0.2, 8)
    halves = [t_interval(sample)[2] - sample.mean() for sample in (ours, theirs)]
    cells = summary(("dp-sgd", float(ours.mean()), float(halves[0])))
    (row,) = literature.beside_published(cells, known(accuracy=theirs.mean(), half_width=halves[1])).to_dict("records")
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(ours.mean() - theirs.mean())
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert (row["ours"], row["published"]) == pytest.approx((ours.mean(), theirs.mean()))


def test_source_that_does_not_say_how_often_it_ran_is_taken_to_have_five_runs() -> None:
    told, untold = (
        literature.beside_published(summary(("dp-sgd", 98.1, 0.1)), known(runs=runs)) for runs in (5, math.nan)
    )
    pd.testing.assert_frame_equal(told, untold)


@pytest.mark.parametrize(("half", "theirs"), [(math.nan, 0.5), (0.1, math.nan), (math.nan, math.nan)])
def test_number_without_an_interval_has_a_difference_and_no_more(half: float, theirs: float) -> None:
    (row,) = literature.beside_published(summary(("dp-sgd", 97, half)), known(half_width=theirs)).to_dict("records")
    assert row["difference"] == pytest.approx(-1)
    assert np.isnan([row["low"], row["high"]]).all()


def test_every_source_of_a_cell_has_a_row() -> None:
    compared = literature.beside_published(summary(("dp-sgd", 98.2, 0.1))).set_index("source")
    assert compared.loc["AdaSig 2025", "difference"] == pytest.approx(98.2 - 98.11)
    assert {"R+R Auto-S 2024", "Tramer & Boneh 2021"} <= set(compared.index)


def test_nothing_that_is_known_is_compared_with_nothing() -> None:
    assert literature.beside_published(summary(("mine", 98, 0.1))).empty


def test_cells_that_have_not_been_run_are_not_compared() -> None:
    cells = summary(("dp-sgd", 98, 0.1), ("auto-s", 98, 0.1))
    cells.loc[1, "n"] = 0
    assert set(literature.beside_published(cells)["method"]) == {"dp-sgd"}
