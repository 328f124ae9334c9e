"""A comparison per data set, paired by seed; the families that are corrected together; and what is said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from psasc_bench.analysis import comparisons, statistics
from psasc_bench.analysis.comparisons import Comparison, Datasets, Decision, Measure, compare, decide

AHEAD = [0.02, 0.03, 0.04]
P_AHEAD = 1 - math.sqrt(27 / 29)  # t = 3 sqrt(3), and two degrees of freedom: p = 1 - t/sqrt(2 + t^2)
SIDES = {"higher": "lower", "lower": "higher", "yes": "no", "no": "yes"}


def values(rows: Mapping[tuple[str, str, float, int], float]) -> pd.DataFrame:
    keys = [dict(zip(("dataset", "method", "epsilon", "seed"), key, strict=True)) for key in rows]
    return pd.DataFrame(keys, columns=["dataset", "method", "epsilon", "seed"]).assign(value=list(rows.values()))


def table(**gains: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """By data set and method, how far each seed is ahead of ``plain``, which has .5 at the one budget."""
    rows = {}
    for dataset, by_method in gains.items():
        for method, of_method in {"plain": [0.0] * max(map(len, by_method.values())), **by_method}.items():
            rows |= {(dataset, method, 3.0, seed): 0.5 + gain for seed, gain in enumerate(of_method)}
    return values(rows)


def decided(
    found: pd.DataFrame, method: str = "mine", references: Iterable[str] = ("plain",), **options: Any
) -> dict[str, Decision]:
    """By data set and, where there are several, reference."""
    decisions = decide(compare(found, method, references, **options))
    several = len({one.comparison.reference for one in decisions}) > 1
    return {
        f"{one.comparison.dataset}/{one.comparison.reference}" if several else one.comparison.dataset: one
        for one in decisions
    }


def one_of(differences: Sequence[float], **options: Any) -> Decision:
    sample: pd.Series[float] = pd.Series(differences, dtype=float)
    (found,) = decide(
        [Comparison(dataset="a", budgets=(3.0,), method="mine", reference="plain", differences=sample, **options)]
    )
    return found


# ------------------------------------------------------------------------------------------------ seeds and budgets


def test_sample_is_each_seeds_mean_over_the_budgets() -> None:
    """Two budgets: gains of .01 and .03 of seed 0, .02 and .06 of seed 1. The four are no sample of four."""
    gains = {(1.0, 0): 0.01, (8.0, 0): 0.03, (1.0, 1): 0.02, (8.0, 1): 0.06}
    rows = {("a", "plain", *key): 0.1 * key[1] + 0.01 * key[0] for key in gains}
    rows |= {("a", "mine", *key): rows["a", "plain", *key] + gain for key, gain in gains.items()}
    (found,) = compare(values(rows), "mine", ["plain"])
    assert found.budgets == (1.0, 8.0)
    assert found.differences.to_dict() == pytest.approx({0: 0.02, 1: 0.04})
    assert found.found.p == pytest.approx(stats.ttest_1samp([0.02, 0.04], 0).pvalue)


def complete(there: Iterable[tuple[int, float]], *, lost: Iterable[tuple[int, float]] = ()) -> Comparison:
    """Of seeds and budgets that have been run; of the ``lost`` ones the method under test has no result."""
    rows: dict[tuple[str, str, float, int], float] = {}
    for seed, budget in there:
        rows["a", "plain", budget, seed] = 0.5
        rows["a", "mine", budget, seed] = math.nan if (seed, budget) in set(lost) else 0.6
    (found,) = compare(values(rows), "mine", ["plain"])
    return found


def test_largest_complete_table_is_compared() -> None:
    """As on Fashion-MNIST: seeds 0 to 4 at four budgets, 5 to 9 at one."""
    there = [*itertools.product(range(5), [1.0, 2.0, 3.0, 8.0]), *((seed, 3.0) for seed in range(5, 10))]
    found = complete(there)
    assert found.budgets == (1.0, 2.0, 3.0, 8.0)
    assert list(found.differences.index) == [0, 1, 2, 3, 4]


def test_many_seeds_at_one_budget_are_more_than_few_at_all() -> None:
    there = [*itertools.product(range(2), [1.0, 3.0]), *((seed, 3.0) for seed in range(2, 10))]
    assert (complete(there).budgets, complete(there).found.n) == ((3.0,), 10)


@pytest.mark.parametrize("budget", [1.0, 8.0])
def test_of_tables_of_one_size_that_with_more_seeds_is_compared(budget: float) -> None:
    there = [*itertools.product(range(2), [1.0, 8.0]), *((seed, budget) for seed in (2, 3))]
    assert (complete(there).budgets, complete(there).found.n) == ((budget,), 4)


def test_diverged_run_costs_its_seed_or_its_budget_whichever_is_less() -> None:
    there = list(itertools.product(range(5), [1.0, 2.0, 3.0, 8.0]))
    assert complete(there, lost=[(1, 8.0)]).differences.index.to_list() == [0, 2, 3, 4]
    without = complete(there, lost=[(0, 8.0), (1, 8.0), (2, 8.0)])
    assert (without.budgets, without.found.n) == ((1.0, 2.0, 3.0), 5)


def test_seeds_that_lack_different_budgets_are_compared_at_what_they_share() -> None:
    there = list(itertools.product(range(2), [1.0, 2.0, 3.0, 8.0]))
    found = complete(there, lost=[(0, 1.0), (1, 8.0)])
    assert (found.budgets, found.found.n) == ((2.0, 3.0), 2)


@given(st.sets(st.tuples(st.integers(0, 4), st.sampled_from([1.0, 2.0, 3.0, 8.0])), min_size=1))
def test_no_complete_table_is_larger(there: set[tuple[int, float]]) -> None:
    """By trying all sets of budgets."""
    found = complete(there)
    seeds = {
        budgets: sum(set(budgets) <= {budget for of, budget in there if of == seed} for seed in range(5))
        for size in range(1, 5)
        for budgets in itertools.combinations([1.0, 2.0, 3.0, 8.0], size)
    }
    assert seeds[found.budgets] == found.found.n
    assert len(found.budgets) * found.found.n == max(len(budgets) * n for budgets, n in seeds.items())


def test_run_of_one_method_alone_is_no_pair() -> None:
    rows = {("a", "mine", 3.0, 0): 0.5, ("a", "plain", 3.0, 1): 0.5, ("a", "plain", 1.0, 0): 0.5}
    (found,) = decide(compare(values(rows), "mine", ["plain"]))
    assert (found.found.n, found.comparison.budgets, found.family) == (0, (), 0)
    assert found.text() == "no pair of finished runs"
    assert found.said == ("", "", "")


def test_data_set_without_one_of_the_methods_has_no_comparison() -> None:
    assert compare(table(a={"mine": AHEAD}), "mine", ["other"]) == []
    assert compare(table(a={"mine": AHEAD}), "other", ["plain"]) == []
    assert compare(values({}), "mine", ["plain"]) == []


def test_notes_of_both_methods_come_with_the_comparison() -> None:
    rows = table(a={"mine": AHEAD, "other": AHEAD})
    notes = {"mine": "of mine", "plain": "of plain", "other": "of none of the two"}
    (found,) = compare(rows.assign(note=rows["method"].map(notes)), "mine", ["plain"])
    assert found.note == "of plain; of mine"


# ------------------------------------------------------------------------------------------------ families

DATASETS = {"a": {"mine": AHEAD}, "b": {"mine": [0.0010, 0.0011, 0.0012]}, "c": {"mine": [-0.001, 0.0, 0.002]}}
NAMES = ("p_holm", "within_p_holm", "gain_p_holm")


def p_values(decisions: Mapping[str, Decision], datasets: Iterable[str] = DATASETS) -> list[tuple[float, ...]]:
    return [tuple(getattr(decisions[name], p) for p in NAMES) for name in datasets]


def test_correction_is_over_the_data_sets_of_a_pair() -> None:
    """Three p-values, the smallest three times, the next twice: each of the tests by itself."""
    found = decided(table(**DATASETS))
    samples = [of["mine"] for of in DATASETS.values()]
    for k, p in enumerate([0.0, None, 0.002]):
        raw = (
            [statistics.paired_difference(sample).tie_p for sample in samples]
            if p is None
            else [stats.ttest_1samp(sample, p, alternative="less" if p else "two-sided").pvalue for sample in samples]
        )
        assert [row[k] for row in p_values(found)] == pytest.approx(list(statistics.holm(raw)))
    assert {one.family for one in found.values()} == {3}
    assert found["a"].found.p == pytest.approx(P_AHEAD)
    assert found["a"].p_holm == pytest.approx(2 * P_AHEAD)
    assert found["b"].p_holm == pytest.approx(3 * found["b"].found.p)


def test_another_baseline_changes_nothing() -> None:
    more = {name: {**of, "other": [-0.1, -0.2, 0.3]} for name, of in DATASETS.items()}
    alone, beside = decided(table(**DATASETS)), decided(table(**more), references=["plain", "other"])
    assert p_values(beside, [f"{name}/plain" for name in DATASETS]) == p_values(alone)


def test_one_family_over_all_baselines_would_be_seen() -> None:
    """The bug, planted: were all comparisons of one pair, what is held above would not hold."""
    more = table(**{name: {**of, "other": [-0.1, -0.2, 0.3]} for name, of in DATASETS.items()})
    one_pair = decide([replace(one, reference="any") for one in compare(more, "mine", ["plain", "other"])])
    assert {one.family for one in one_pair} == {6}
    alone = decided(table(**DATASETS))
    assert all(one.p_holm != alone[one.comparison.dataset].p_holm for one in one_pair if one.p_holm < 1)


def test_data_set_that_has_not_been_run_changes_nothing() -> None:
    lacking = table(**DATASETS, d={"mine": [math.nan] * 3})
    assert p_values(decided(lacking)) == p_values(decided(table(**DATASETS)))
    assert decided(lacking)["d"].family == 0


def test_data_set_that_decides_nothing_changes_nothing_and_has_no_word() -> None:
    found = decided(table(**DATASETS, few={"mine": AHEAD}), datasets=Datasets(indecisive=frozenset({"few"})))
    assert p_values(found) == p_values(decided(table(**DATASETS)))
    few = found["few"]
    assert (few.family, few.said, few.found.mean) == (0, ("", "", ""), pytest.approx(0.03))
    assert np.isnan([few.p_holm, few.within_p_holm, few.gain_p_holm]).all()
    assert few.text() == "+3.00 points [+0.52, +5.48], 3 seeds"


def test_data_set_with_one_pair_counts_as_one_that_shows_nothing() -> None:
    found = decided(table(**DATASETS, one={"mine": [0.5]}))
    assert {one.family for one in found.values()} == {4}
    assert found["b"].p_holm == pytest.approx(4 * found["b"].found.p)
    assert found["one"].said == ("unresolved", "unresolved", "no")


def test_tuned_data_sets_are_a_family_of_their_own() -> None:
    both = table(**DATASETS, tuned={"mine": AHEAD})
    found = decided(both, datasets=Datasets(tuned=frozenset({"tuned"})))
    assert p_values(found) == p_values(decided(table(**DATASETS)))
    assert (found["tuned"].family, found["tuned"].p_holm) == (1, pytest.approx(P_AHEAD))
    assert decided(both)["tuned"].family == 4  # the same, were it not tuned


def test_measures_are_families_of_their_own() -> None:
    rows = table(**DATASETS)
    other = compare(rows, "mine", ["plain"], measure=Measure(name="another", margin=None))
    assert {one.family for one in decide([*compare(rows, "mine", ["plain"]), *other])} == {3}


@given(st.permutations(range(3)))
def test_order_of_the_comparisons_does_not_matter(order: list[int]) -> None:
    found = compare(table(**DATASETS), "mine", ["plain"])
    shuffled = {one.comparison.dataset: one for one in decide([found[i] for i in order])}
    assert p_values(shuffled) == p_values({one.comparison.dataset: one for one in decide(found)})


# ------------------------------------------------------------------------------------------------ statements


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([0.010, 0.011, 0.012], ("higher", "no", "no")),
        ([-0.010, -0.011, -0.012], ("lower", "no", "yes")),
        ([0.0010, 0.0011, 0.0012], ("higher", "yes", "yes")),  # sign and size are two questions
        ([-0.0010, -0.0011, -0.0012], ("lower", "yes", "yes")),
        ([-0.0001, 0.0, 0.0001], ("unresolved", "yes", "yes")),
        ([-0.01, 0.0, 0.01], ("unresolved", "unresolved", "no")),
        ([0.0015, 0.0025, 0.0020, 0.0021], ("higher", "unresolved", "no")),
        ([-0.002, -0.012, -0.003, -0.011], ("unresolved", "unresolved", "yes")),  # what is likely a loss is no gain
        ([0.0] * 5, ("identical", "", "")),
        ([0.01] * 5, ("unresolved", "unresolved", "no")),
        ([0.01], ("unresolved", "unresolved", "no")),
        ([0.0], ("unresolved", "unresolved", "no")),
        ([], ("", "", "")),
    ],
)
def test_statements(differences: list[float], said: tuple[str, str, str]) -> None:
    assert one_of(differences).said == said


def test_measure_without_a_margin_has_only_a_sign() -> None:
    measure = Measure(name="cosine", unit="in cosine", margin=None, scale=1, digits=3)
    found = one_of([0.010, 0.011, 0.012], measure=measure)
    assert found.said == ("higher", "", "")
    assert found.text() == "+0.011 in cosine [+0.009, +0.013], 3 seeds; higher, p 0.003"
    assert math.isnan(found.seeds_needed)


def test_statements_are_by_the_corrected_p() -> None:
    """p = .035 alone; with another data set twice that."""
    alone, beside = decided(table(a={"mine": AHEAD})), decided(table(a={"mine": AHEAD}, b={"mine": [-0.1, 0, 0.1]}))
    assert (alone["a"].said.sign, beside["a"].said.sign) == ("higher", "unresolved")


@given(
    st.lists(st.floats(-0.006, 0.006), min_size=2, max_size=6).filter(lambda found: np.std(found) > 1e-6),
    st.integers(2, 40),
)
def test_nothing_said_changes_to_its_opposite_as_more_of_the_same_is_seen(sample: list[float], times: int) -> None:
    before, after = one_of(sample).said, one_of(sample * times).said
    assert all(after_ != SIDES.get(before_, "?") for before_, after_ in zip(before[:2], after[:2], strict=True))
    assert not (before.gain_excluded == "yes" and after.gain_excluded == "no")


@given(st.lists(st.floats(-0.006, 0.006), min_size=2, max_size=8).filter(lambda found: np.std(found) > 1e-6))
def test_statements_do_not_contradict_each_other(sample: list[float]) -> None:
    said, mean = one_of(sample).said, float(np.mean(sample))
    if said.within == "yes":
        assert abs(mean) < statistics.MARGIN
        assert said.gain_excluded == "yes"
    if said.within == "no":
        assert abs(mean) > statistics.MARGIN
        assert said.sign == ("higher" if mean > 0 else "lower")
        assert said.gain_excluded == ("no" if mean > 0 else "yes")


@pytest.mark.parametrize(
    ("differences", "text"),
    [
        (AHEAD, "+3.00 points [+0.52, +5.48], 3 seeds; higher, p 0.035"),
        (
            [0.0010, 0.0011, 0.0012],
            "+0.11 points [+0.09, +0.13], 3 seeds; higher, p 0.003; within ±0.2 points, 90 % [+0.09, +0.13]",
        ),
        (
            [-0.002, -0.012, -0.003, -0.011],
            "-0.70 points [-1.53, +0.13], 4 seeds; unresolved, p 0.075; a gain of 0.2 points or more is excluded",
        ),
        ([0.0] * 5, "identical in 5 of 5 pairs"),
        ([0.01] * 5, "+1.00 points in each of 5 pairs, which no t-test can judge"),
        ([0.1], "+10.00 points in the one pair"),
        ([-1e-6], "-0.00 points in the one pair"),
    ],
)
def test_text_has_the_numbers_and_the_words_that_they_allow(differences: list[float], text: str) -> None:
    assert one_of(differences).text() == text


# ------------------------------------------------------------------------------------------------ what can be seen


def test_what_can_be_seen_is_by_the_least_level_that_holm_may_ask_for() -> None:
    found = decided(table(**DATASETS))["a"]
    sd, alpha = found.found.sd, statistics.ALPHA / 3
    assert found.detectable == statistics.detectable_difference(3, sd, alpha=alpha)
    assert found.seeds_needed == statistics.seeds_needed(statistics.MARGIN, sd, alpha=alpha)
    alone = decided(table(a={"mine": AHEAD}))["a"]
    assert alone.detectable == statistics.detectable_difference(3, sd)
    assert alone.detectable < found.detectable


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, 0.1], [0.0, 0.0]])
def test_without_a_spread_nothing_is_known_to_be_seen(differences: list[float]) -> None:
    assert np.isnan([one_of(differences).detectable, one_of(differences).seeds_needed]).all()


def test_budgets_in_words() -> None:
    assert comparisons.budgets_text((0.5, 1.0, 8.0, math.inf)) == "0.5, 1, 8, inf"
    assert comparisons.budgets_text(()) == ""
