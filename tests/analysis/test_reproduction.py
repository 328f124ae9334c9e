"""Two results folders beside each other: cells are matched by name or by what they are, runs by their seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from psasc_bench.analysis import Reproduction, compare_results

ACCURACIES = [0.80, 0.82, 0.87]
CELL = {"dataset": "digits", "epsilon": 3.0, "method": "dp-sgd", "status": "done", "implementation": "dp-sgd"}
CELL |= {"settings": "C=0.1,iterates=1", "learning_rate": 0.5, "noise_multiplier": 1.25, "data_sha256": "d"}


def runs(accuracies: list[float] = ACCURACIES, *, first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    return [
        CELL | changes | {"seed": seed, "test_accuracy": accuracy} for seed, accuracy in enumerate(accuracies, first)
    ]


def compared(folder: Path, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> Reproduction:
    for name, rows in (("one", one), ("other", other)):
        (folder / name).mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / name / "runs.csv", index=False)
    return compare_results(folder / "one", folder / "other")


def test_same_accuracies_are_the_same_run_by_run(tmp_path: Path) -> None:
    (pair,) = compared(tmp_path, runs(), runs()).pairs
    assert (pair.pairs, pair.same, pair.identical, pair.difference) == (3, 3, True, 0)
    assert pair.unlike == ()


def test_runs_of_one_seed_are_paired(tmp_path: Path) -> None:
    (pair,) = compared(tmp_path, runs(), runs([0.81, 0.82, 0.89])).pairs
    half = stats.t.ppf(0.975, 2) * np.std([0.01, 0, 0.02], ddof=1) / math.sqrt(3)
    assert (pair.difference, pair.low, pair.high) == pytest.approx((0.01, 0.01 - half, 0.01 + half))
    assert (pair.pairs, pair.same, pair.identical) == (3, 1, False)


def test_seeds_of_which_both_have_some_are_paired_as_far_as_they_go(tmp_path: Path) -> None:
    (pair,) = compared(tmp_path, runs(), runs(ACCURACIES[:2])).pairs
    assert (pair.seeds, pair.pairs, pair.same, pair.identical) == ((3, 2), 2, 2, True)


@pytest.mark.parametrize(
    "changes", [{"first": 10}, {"data_sha256": "another"}], ids=["seeds that they do not share", "other data"]
)
def test_other_runs_are_compared_as_welch_does(changes: dict[str, Any], tmp_path: Path) -> None:
    others = [0.80, 0.80, 0.81, 0.83]
    (pair,) = compared(tmp_path, runs(), runs(others, **changes)).pairs
    expected = stats.ttest_ind(others, ACCURACIES, equal_var=False).confidence_interval(0.95)
    assert pair.pairs == 0
    assert not pair.identical
    assert (pair.difference, pair.low, pair.high) == pytest.approx((-0.02, expected.low, expected.high))


def test_what_differs_in_settings_is_said(tmp_path: Path) -> None:
    changes = {"learning_rate": 0.6, "settings": "C=0.2,iterates=1", "data_sha256": "another", "method": "dp-sgd"}
    (pair,) = compared(tmp_path, runs(), runs(**changes)).pairs
    assert pair.unlike == ("learning rate 0.5 and 0.6", "the data", "C 0.1 and 0.2")


def test_columns_that_one_lacks_are_no_difference(tmp_path: Path) -> None:
    older = [{key: run[key] for key in run if key not in ("settings", "implementation")} for run in runs()]
    (pair,) = compared(tmp_path, older, runs()).pairs
    assert pair.identical
    assert pair.unlike == ()


def test_same_cell_by_another_name_is_found_and_never_paired(tmp_path: Path) -> None:
    """The name of the data set decides initial weights, batches and noise; that of the method does not."""
    other = runs(dataset="my_digits", method="mine")
    (pair,) = compared(tmp_path, runs(), other).pairs
    assert (pair.name, pair.other, pair.pairs) == ("digits/dp-sgd/eps-3", "my_digits/mine/eps-3", 0)
    (renamed,) = compared(tmp_path, runs(), runs(method="mine")).pairs
    assert (renamed.other, renamed.pairs, renamed.same) == ("digits/mine/eps-3", 3, 3)


def test_names_go_before_identities(tmp_path: Path) -> None:
    swapped = [*runs(method="auto-s"), *runs(method="dp-sgd", learning_rate=1.0)]
    found = compared(tmp_path, [*runs(), *runs(method="auto-s", learning_rate=1.0)], swapped)
    assert [(pair.name, pair.other) for pair in found.pairs] == [
        ("digits/dp-sgd/eps-3", "digits/dp-sgd/eps-3"),
        ("digits/auto-s/eps-3", "digits/auto-s/eps-3"),
    ]
    assert all(pair.unlike for pair in found.pairs)


def test_cells_of_one_alone_are_named_and_unfinished_ones_are_none(tmp_path: Path) -> None:
    one = [*runs(), *runs(epsilon=8.0), *runs(method="nsgd", status="missing")]
    found = compared(tmp_path, one, [*runs(), *runs(epsilon=math.inf, learning_rate=0.1)])
    assert [pair.name for pair in found.pairs] == ["digits/dp-sgd/eps-3"]
    assert found.first_alone == ("digits/dp-sgd/eps-8",)
    assert found.second_alone == ("digits/dp-sgd/eps-inf",)


def test_one_run_each_has_no_interval(tmp_path: Path) -> None:
    (pair,) = compared(tmp_path, runs([0.8]), runs([0.9])).pairs
    assert pair.difference == pytest.approx(0.1)
    assert math.isnan(pair.low)


def test_table_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("dataset,epsilon\ndigits,3\n")
    with pytest.raises(ValueError, match=r"runs\.csv: has no column 'method'; `psasc-bench collect` makes it anew"):
        compare_results(tmp_path, tmp_path)
