"""The statistics of paired differences, held against hand-made numbers, published tables, scipy and statsmodels."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from psasc_bench.analysis import statistics

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


# ------------------------------------------------------------------------------------------------ intervals


def test_interval_of_hand_made_numbers() -> None:
    """1, 2, 3: mean 2, s = 1, and Student's t at 2 degrees of freedom is 4.302653."""
    mean, low, high = statistics.t_interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), rel=1e-6)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=20).filter(lambda values: np.std(values) > 1e-6))
def test_interval_is_that_of_scipy(values: list[float]) -> None:
    mean, low, high = statistics.t_interval(np.array(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    # two orders of summation: a few roundings of numbers up to 1
    assert mean == pytest.approx(np.mean(values), abs=1e-12)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_interval_covers_the_truth_in_95_percent_of_samples() -> None:
    samples = np.random.default_rng(0).normal(size=(4000, 5))
    intervals = [statistics.t_interval(sample) for sample in samples]
    coverage = np.mean([low <= 0 <= high for _, low, high in intervals])
    # standard error sqrt(.95 * .05 / 4000) = .0034; a normal instead of a t quantile would cover 88 %
    assert coverage == pytest.approx(0.95, abs=4 * 0.0034)


def test_one_value_has_a_mean_and_no_interval() -> None:
    mean, low, high = statistics.t_interval(np.array([0.5]))
    assert mean == 0.5
    assert np.isnan([low, high]).all()


def test_no_value_has_no_mean() -> None:
    assert np.isnan(statistics.t_interval(np.array([]))).all()


# ------------------------------------------------------------------------------------------------ comparisons


def test_comparison_of_hand_made_differences() -> None:
    """.04 .01 .04: mean .03, sd sqrt(.0003), d = sqrt(3) and t = d sqrt(3) = 3, for which the t distribution with two
    degrees of freedom has the closed form p = 1 - t/sqrt(2 + t^2). A tie within .2 points is no better than even."""
    found = statistics.paired_difference([0.04, 0.01, 0.04])
    assert (found.n, found.mean, found.sd) == (3, pytest.approx(0.03), pytest.approx(math.sqrt(3e-4)))
    assert found.effect_size == pytest.approx(math.sqrt(3))
    assert found.p == pytest.approx(1 - 3 / math.sqrt(11))
    assert found.tie_p > 0.5


def test_tie_of_hand_made_differences() -> None:
    """-.001 .0 .001: standard error .001/sqrt(3), so both one-sided t are .002 sqrt(3)/.001, with the closed form
    p = (1 - t/sqrt(2 + t^2))/2."""
    t = 2 * math.sqrt(3)
    assert statistics.paired_difference([-0.001, 0, 0.001]).tie_p == pytest.approx((1 - t / math.sqrt(2 + t**2)) / 2)
    assert statistics.paired_difference([-0.001, 0, 0.001], margin=0.02).tie_p < statistics.ALPHA


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6))
def test_p_is_that_of_the_paired_test(values: list[float]) -> None:
    assert statistics.paired_difference(values).p == stats.ttest_rel(values, np.zeros(len(values))).pvalue


@given(st.lists(st.floats(-0.01, 0.01), min_size=3, max_size=12).filter(lambda values: np.std(values) > 1e-6))
def test_tie_is_shown_where_the_90_percent_interval_lies_within_the_margin(values: list[float]) -> None:
    found = statistics.paired_difference(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    within = max(-interval.low, interval.high) < statistics.MARGIN
    assert (found.tie_p < statistics.ALPHA) == within


@given(st.lists(st.floats(-0.01, 0.01), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6))
def test_tie_is_that_of_statsmodels(values: list[float]) -> None:
    expected, *_ = DescrStatsW(values).ttost_mean(-statistics.MARGIN, statistics.MARGIN)
    # two orders of summation, by which t is uncertain in its last digits and a small p in more
    assert statistics.paired_difference(values).tie_p == pytest.approx(expected, rel=1e-8)


@given(st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6))
def test_swapping_the_sides_changes_signs_and_no_p(values: list[float]) -> None:
    one, other = statistics.paired_difference(values), statistics.paired_difference([-value for value in values])
    assert (one.mean, one.effect_size) == (-other.mean, -other.effect_size)
    assert (one.p, one.tie_p) == pytest.approx((other.p, other.tie_p))


@pytest.mark.parametrize(
    "values", [[0.0] * 5, [0.01] * 5, [0.54 - 0.50, 0.64 - 0.60, 0.74 - 0.70]], ids=["zero", "equal", "rounded"]
)
def test_equal_differences_prove_nothing(values: list[float]) -> None:
    found = statistics.paired_difference(values)
    assert found.mean == pytest.approx(values[0])
    assert np.isnan([found.effect_size, found.p, found.tie_p, statistics.seeds_needed(0.001, found.sd)]).all()
    assert found.verdict(math.nan) == "inconclusive"


def test_one_pair_has_a_mean_and_no_more() -> None:
    found = statistics.paired_difference([0.01])
    assert (found.n, found.mean) == (1, 0.01)
    assert np.isnan([found.low, found.high, found.sd, found.effect_size, found.p, found.tie_p]).all()
    assert found.verdict(math.nan) == "inconclusive"


def test_no_pair_has_nothing() -> None:
    found = statistics.paired_difference([])
    assert found.n == 0
    assert np.isnan([found.mean, found.sd, found.p, found.tie_p]).all()


@pytest.mark.parametrize(
    ("values", "p_holm", "verdict"),
    [
        ([0.01, 0.011, 0.012], 0.01, "better"),
        ([-0.01, -0.011, -0.012], 0.01, "worse"),
        ([0.01, 0.011, 0.012], 0.06, "inconclusive"),
        ([-0.0001, 0, 0.0001], 1.0, "tie shown"),
        ([0.001, 0.0011, 0.0012], 0.01, "better"),  # and within the margin of a tie: a small advantage is one
        ([-0.01, 0, 0.01], 1.0, "inconclusive"),
    ],
)
def test_verdict(values: list[float], p_holm: float, verdict: str) -> None:
    assert statistics.paired_difference(values).verdict(p_holm) == verdict


# ------------------------------------------------------------------------------------------------ Holm


@pytest.fixture(scope="module", autouse=True)
def few_objects_to_look_through() -> Iterator[None]:
    """statsmodels collects garbage at each correction, which takes .1 s where pandas and torch are loaded."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_holm_by_hand() -> None:
    """Sorted: .005 x 4, .01 x 3, .03 x 2, and .04 x 1, which may not be less than .06."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert len(statistics.holm([])) == 0


def test_holm_counts_tests_that_are_still_to_come() -> None:
    assert statistics.holm([math.nan, 0.01, 0.02]) == pytest.approx([math.nan, 0.03, 0.04], nan_ok=True)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=12))
def test_holm_is_its_formula_to_the_last_bit(p: list[float]) -> None:
    """What is written to the tables: every rounding is that of one product."""
    order, least = np.argsort(p), 0.0
    expected = np.full(len(p), math.nan)
    for k, i in enumerate(order):
        if not math.isnan(p[i]):
            least = expected[i] = min(1.0, max(least, p[i] * (len(p) - k)))
    assert statistics.holm(p).tobytes() == expected.tobytes()


@given(P_VALUES)
def test_holm_lies_between_the_raw_value_and_that_of_bonferroni(p: list[float]) -> None:
    corrected = statistics.holm(p)
    assert np.all(corrected >= p)
    assert np.all(corrected <= np.minimum(1, len(p) * np.array(p)))


@given(P_VALUES)
def test_holm_keeps_the_order(p: list[float]) -> None:
    assert np.all(np.diff(statistics.holm(p)[np.argsort(p)]) >= 0)


@given(P_VALUES.flatmap(lambda p: st.tuples(st.just(p), st.permutations(range(len(p))))))
def test_holm_does_not_depend_on_the_order_of_the_tests(case: tuple[list[float], list[int]]) -> None:
    p, order = np.array(case[0]), case[1]
    assert np.array_equal(statistics.holm(p[order]), statistics.holm(p)[order])


# ------------------------------------------------------------------------------------------------ power


@pytest.mark.parametrize(("effect_size", "n"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_are_those_of_gpower(effect_size: float, n: int) -> None:
    """G*Power 3.1, "difference between two dependent means (matched pairs)", two tails, alpha .05, power .8."""
    assert statistics.seeds_needed(effect_size, 1.0) == n


def test_power_is_that_of_the_gpower_manual() -> None:
    """Its example of matched pairs: 50 pairs, an effect size of .421637, alpha .05, two tails: power .832114."""
    assert statistics.power(50, 0.421637) == pytest.approx(0.832114, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("effect_size", [0.01, 0.3, 1.0])
def test_power_is_both_tails_of_the_noncentral_t(n: int, effect_size: float) -> None:
    critical, noncentrality = stats.t.ppf(0.975, n - 1), effect_size * math.sqrt(n)
    tails = stats.nct.sf(critical, n - 1, noncentrality) + stats.nct.cdf(-critical, n - 1, noncentrality)
    assert statistics.power(n, effect_size) == pytest.approx(tails, abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100])
@pytest.mark.parametrize("effect_size", [0, 0.01, 0.3, 1.0])
def test_power_is_that_of_statsmodels(n: int, effect_size: float) -> None:
    assert statistics.power(n, effect_size) == pytest.approx(TTestPower().power(effect_size, n, 0.05), abs=1e-10)


@pytest.mark.parametrize(("n", "effect_size"), [(2, 5.5), (3, 7.438), (100, 4.0)])
def test_power_is_known_where_that_of_statsmodels_has_gaps(n: int, effect_size: float) -> None:
    simulated = np.random.default_rng(0).normal(effect_size, size=(20_000, n))
    significant = np.mean(stats.ttest_1samp(simulated, 0, axis=1).pvalue < statistics.ALPHA)
    assert statistics.power(n, effect_size) == pytest.approx(significant, abs=4 * 0.5 / math.sqrt(20_000))


def test_power_without_an_effect_is_the_level_of_the_test() -> None:
    assert statistics.power(5, 0) == statistics.ALPHA


@given(effect=st.sampled_from(statistics.EFFECTS), sd=st.floats(1e-5, 0.1))
def test_one_seed_fewer_would_not_do(effect: float, sd: float) -> None:
    n = int(statistics.seeds_needed(effect, sd))
    assert statistics.power(n, effect / sd) >= statistics.POWER
    assert n == 2 or statistics.power(n - 1, effect / sd) < statistics.POWER


@given(effect_size=st.floats(0.05, 5))
def test_seeds_are_those_of_statsmodels(effect_size: float) -> None:
    """Whose number is a fraction; above effects of 5 standard deviations it has none, or one that does not do."""
    needed = TTestPower().solve_power(effect_size=effect_size, alpha=0.05, power=0.8)
    assert statistics.seeds_needed(effect_size, 1.0) == max(2, math.ceil(np.ravel(needed)[0]))


def test_an_effect_of_six_deviations_takes_three_seeds() -> None:
    """That of 6.25 standard deviations: two seeds have a power below .8."""
    assert statistics.power(2, 6.25) < statistics.POWER < statistics.power(3, 6.25)
    assert statistics.seeds_needed(6.25, 1.0) == 3


def test_seeds_cannot_be_told_from_one_pair() -> None:
    assert math.isnan(statistics.seeds_needed(0.001, statistics.paired_difference([0.01]).sd))
