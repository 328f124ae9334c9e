"""Performance profiles and mean ranks, by hand and by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from psasc_bench.analysis import ranking

METHODS = ["a", "b", "c"]


def runs(accuracies: dict[tuple[str, float, int], list[float]], methods: list[str] = METHODS) -> pd.DataFrame:
    """A row per run: by data set, epsilon and seed the accuracies of the methods, in points."""
    rows = [
        {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed, "test_accuracy": accuracy / 100}
        for (dataset, epsilon, seed), of_block in accuracies.items()
        for method, accuracy in zip(methods, of_block, strict=True)
    ]
    return pd.DataFrame(rows).assign(
        method_title=lambda table: table["method"].str.upper(), control=False, status="done"
    )


def random_runs(*, seeds: int = 6) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    blocks = product(["digits", "mnist"], [1.0, 8.0], range(seeds))
    return runs({block: list(90 + generator.normal(size=3)) for block in blocks})


def ranked(table: pd.DataFrame, **options: int) -> dict[str, float]:
    found = ranking.ranks(table, **options)
    return dict(zip(found["method"], found["rank"], strict=True))


def test_ranks_are_means_over_seeds_then_cells_then_data_sets_and_equals_share_one() -> None:
    found = ranking.ranks(
        runs(
            {
                ("digits", 1.0, 0): [90, 80, 70],  # 1 2 3
                ("digits", 1.0, 1): [80, 90, 70],  # 2 1 3: the cell has 1.5 1.5 3
                ("digits", 8.0, 0): [70, 80, 90],  # 3 2 1: the data set has 2.25 1.75 2
                ("mnist", 1.0, 0): [90, 90, 70],  # 1.5 1.5 3
            }
        )
    )
    assert list(found["method"]) == METHODS
    assert list(found["method_title"]) == ["A", "B", "C"]
    assert list(found["rank"]) == [1.875, 1.625, 2.5]
    assert set(found["cells"]) == {3}


def test_ranks_leave_out_blocks_that_lack_a_method_controls_and_methods_that_have_not_begun() -> None:
    table = runs({("digits", 1.0, 0): [90, 80, 70], ("digits", 1.0, 1): [70, 80, 90], ("mnist", 1.0, 0): [1, 2, 3]})
    table.loc[(table["seed"] == 1) & (table["method"] == "b"), "status"] = "diverged"
    table.loc[(table["dataset"] == "mnist") & (table["method"] == "c"), "status"] = "missing"
    control = table[table["method"] == "a"].assign(method="d", method_title="D", control=True, test_accuracy=1)
    new = table[table["method"] == "a"].assign(method="e", method_title="E", status="missing", test_accuracy=np.nan)
    assert ranked(pd.concat([table, control, new])) == {"a": 1, "b": 2, "c": 3}


def test_profile_is_the_share_of_runs_above_a_threshold_over_the_references_mean_averaged_over_cells() -> None:
    """The reference's means are 81.03 and 91.05: above are 2 of 3 runs of b, and none of 2."""
    table = runs(
        {
            ("digits", 1.0, 0): [80.1, 81.1, 70],
            ("digits", 1.0, 1): [81.0, 81.5, 70],
            ("digits", 1.0, 2): [82.0, 80.0, 70],
            ("mnist", 1.0, 0): [90.1, 90.1, 70],
            ("mnist", 1.0, 1): [92.0, 91.0, 99],
        }
    )
    found = ranking.performance_profiles(table, "a").set_index(["method", "threshold"])["share"]
    assert set(found.index.unique("method")) == set(METHODS)
    first, last = found["b"].index.min(), found["b"].index.max()
    assert first < -0.2 < 0.2 < last
    at = min(found["b"].index, key=abs)
    assert found["b"][at] == pytest.approx((2 / 3 + 0) / 2)
    assert found["c"][last] == pytest.approx((0 + 1 / 2) / 2)


def test_an_equal_score_is_not_above_the_threshold() -> None:
    table = runs({("digits", 1.0, seed): [100 / 3, 100 / 3, 100 / 3] for seed in range(3)})
    found = ranking.performance_profiles(table, "a")
    (at,) = {threshold for threshold in found["threshold"] if abs(threshold) < 1e-12}
    assert set(found.loc[found["threshold"] == at, "share"]) == {0}
    assert found.loc[found["threshold"] < at, ["share", "low", "high"]].to_numpy() == pytest.approx(1)


def test_intervals_are_of_a_bootstrap_that_draws_a_seed_with_all_of_its_budgets() -> None:
    """Drawn by hand, data set by data set, with another generator."""
    table, generator = random_runs(), np.random.default_rng(1)
    wide = table.pivot(index=["dataset", "epsilon", "seed"], columns="method", values="test_accuracy")
    ranks = wide.rank(axis="columns", ascending=False).groupby(["dataset", "seed"]).mean()
    means = []
    for _ in range(4000):
        of_datasets = [
            ranks.loc[name].sample(frac=1, replace=True, random_state=generator) for name in ("digits", "mnist")
        ]
        means.append(pd.concat(of_datasets).mean())
    low, high = pd.DataFrame(means)[METHODS].quantile([0.025, 0.975]).to_numpy()
    found = ranking.ranks(table)
    assert found["low"].to_numpy() == pytest.approx(low, abs=0.05)
    assert found["high"].to_numpy() == pytest.approx(high, abs=0.05)


def test_no_resample_is_without_a_cell_where_only_some_seeds_have_it() -> None:
    """With all four seeds in one stratum, 32 % of the resamples would have no seed at the larger budget."""
    few = {("digits", 8.0, 0): [90, 80, 70]}
    found = ranking.ranks(runs({("digits", 1.0, seed): [70, 80, 90] for seed in range(4)} | few))
    assert list(found["rank"]) == [2, 2, 2]
    assert found["low"].to_numpy() == pytest.approx(2)


def test_the_same_seed_gives_the_same_intervals_and_another_others() -> None:
    table = random_runs()
    pd.testing.assert_frame_equal(ranking.ranks(table), ranking.ranks(table))
    assert not ranking.ranks(table, seed=1)["low"].equals(ranking.ranks(table)["low"])
    pd.testing.assert_frame_equal(*(ranking.performance_profiles(table, "a") for _ in range(2)))


def test_a_data_set_with_one_seed_leaves_no_interval() -> None:
    table = random_runs()
    table = table[(table["dataset"] == "digits") | (table["seed"] == 0)]
    assert ranking.ranks(table)[["low", "high"]].isna().all(axis=None)
    assert ranking.performance_profiles(table, "a")[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize("status", ["missing", "diverged"])
def test_nothing_finished_gives_a_table_without_a_row(status: str) -> None:
    table = random_runs(seeds=1).assign(status=status, test_accuracy=np.nan)
    assert ranking.ranks(table).empty
    assert ranking.performance_profiles(table, "a").empty
    assert ranking.performance_profiles(random_runs(seeds=1), "none").empty
