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
from statsmodels.stats.multitest import multipletests
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


# ------------------------------------------------------------------------------------------------ Welch's interval

SAMPLES = st.tuples(
    *[st.lists(st.floats(90, 99), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-3)] * 2
)


@given(samples=SAMPLES)
def test_interval_of_two_means_is_that_of_welchs_test(samples: tuple[list[float], list[float]]) -> None:
    """Of the raw samples, of which it is only told the mean and the half-width of the interval."""
    told: list[float] = []
    for sample in samples:
        mean, _, high = statistics.t_interval(np.array(sample))
        told += [mean, high - mean, len(sample)]
    expected = stats.ttest_ind(*samples, equal_var=False).confidence_interval(0.95)
    found = statistics.welch_interval(told[0], told[1], int(told[2]), told[3], told[4], int(told[5]))
    assert found == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)


def test_interval_of_two_means_by_hand() -> None:
    """Standard errors of 3 and 4 make one of 5, of (9 + 16)^2 / (9^2/4 + 16^2/4) degrees of freedom."""
    t, half = 2.776445, stats.t.ppf(0.975, 2500 / 337) * 5
    assert statistics.welch_interval(90, 3 * t, 5, 80, 4 * t, 5) == pytest.approx((10 - half, 10 + half), rel=1e-6)


def test_two_means_without_a_spread_differ_by_what_they_differ() -> None:
    assert statistics.welch_interval(90, 0, 5, 80, 0, 5) == (10, 10)
    low, high = statistics.welch_interval(90, 0, 5, 80, 1, 3)  # that of the other alone
    assert (low, high) == pytest.approx((9, 11))


@pytest.mark.parametrize("lacking", [(90, math.nan, 1, 80, 1, 5), (90, 1, 5, 80, math.nan, 5), (90, 1, 5, 80, 1, 1)])
def test_mean_without_an_interval_has_none_of_its_difference(
    lacking: tuple[float, float, int, float, float, int],
) -> None:
    assert np.isnan(statistics.welch_interval(*lacking)).all()


# ------------------------------------------------------------------------------------------------ comparisons

DIFFERENCES = st.lists(st.floats(-0.01, 0.01), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6)
TESTS = ("p", "tie_p", "beyond_p", "gain_p")
# Two orders of summation, by which t is uncertain in its last digits and a small p in more.
ROUNDED = {"rel": 1e-7, "abs": 1e-300}


def test_comparison_of_hand_made_differences() -> None:
    """.04 .01 .04: mean .03, sd sqrt(.0003), so t = .03 / .01 = 3, for which the t distribution with two degrees of
    freedom has the closed form p = 1 - t/sqrt(2 + t^2); from the margins 2.8 and 3.2 standard errors."""
    found = statistics.paired_difference([0.04, 0.01, 0.04])
    assert (found.n, found.mean, found.sd, found.identical) == (3, pytest.approx(0.03), pytest.approx(3e-4**0.5), 0)
    assert found.p == pytest.approx(1 - 3 / math.sqrt(11))
    assert found.beyond_p == pytest.approx(1 - 2.8 / math.sqrt(2 + 2.8**2))
    assert found.tie_p == found.gain_p == pytest.approx((1 + 2.8 / math.sqrt(2 + 2.8**2)) / 2)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.01, rel=1e-6)
    assert found.high_90 - found.mean == found.mean - found.low_90 == pytest.approx(2.919986 * 0.01, rel=1e-6)


def test_tie_of_hand_made_differences() -> None:
    """-.001 .0 .001: standard error .001/sqrt(3), so both one-sided t are .002 sqrt(3)/.001, with the closed form
    p = (1 - t/sqrt(2 + t^2))/2."""
    t = 2 * math.sqrt(3)
    found = statistics.paired_difference([-0.001, 0, 0.001])
    assert found.tie_p == pytest.approx((1 - t / math.sqrt(2 + t**2)) / 2)
    assert (found.identical, found.p, found.beyond_p) == (1, 1, 1)
    assert statistics.paired_difference([-0.001, 0, 0.001], margin=0.02).tie_p < statistics.ALPHA


@given(DIFFERENCES)
def test_sign_is_that_of_scipys_paired_test(values: list[float]) -> None:
    expected = stats.ttest_rel(values, np.zeros(len(values))).pvalue
    assert statistics.paired_difference(values).p == pytest.approx(expected, **ROUNDED)


@given(DIFFERENCES)
def test_tie_is_that_of_statsmodels(values: list[float]) -> None:
    expected, *_ = DescrStatsW(values).ttost_mean(-statistics.MARGIN, statistics.MARGIN)
    assert statistics.paired_difference(values).tie_p == pytest.approx(expected, **ROUNDED)


@given(DIFFERENCES)
def test_gain_and_what_is_beyond_are_those_of_scipys_one_sided_tests(values: list[float]) -> None:
    found, margin = statistics.paired_difference(values), statistics.MARGIN
    assert found.gain_p == pytest.approx(stats.ttest_1samp(values, margin, alternative="less").pvalue, **ROUNDED)
    above = stats.ttest_1samp(values, margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, -margin, alternative="less").pvalue
    assert found.beyond_p == pytest.approx(min(1, 2 * above, 2 * below), **ROUNDED)


@given(DIFFERENCES)
def test_tie_is_shown_where_the_90_percent_interval_lies_within_the_margin(values: list[float]) -> None:
    found = statistics.paired_difference(values)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.low_90, found.high_90) == pytest.approx((interval.low, interval.high), abs=1e-12)
    within = max(-interval.low, interval.high) < statistics.MARGIN
    assert (found.tie_p < statistics.ALPHA) == within


@given(DIFFERENCES)
def test_swapping_the_sides_changes_signs_and_no_p(values: list[float]) -> None:
    one, other = statistics.paired_difference(values), statistics.paired_difference([-value for value in values])
    assert (one.mean, one.low, one.low_90) == (-other.mean, -other.high, -other.high_90)
    assert (one.p, one.tie_p, one.beyond_p) == (other.p, other.tie_p, other.beyond_p)


@given(DIFFERENCES)
def test_what_is_within_the_margin_is_not_beyond_it_and_has_no_gain(values: list[float]) -> None:
    found = statistics.paired_difference(values)
    assert max(found.tie_p, found.beyond_p) >= 0.5
    assert found.gain_p <= found.tie_p


def test_small_p_values_keep_their_digits() -> None:
    """A billion standard errors, of 9 degrees of freedom: 1 - (1 - p) would be 0."""
    found = statistics.paired_difference([1.0, 1 + 2e-8] * 5)
    assert 0 < found.beyond_p < found.p * 1.1 < 1e-60


def test_measure_without_a_margin_has_only_a_sign() -> None:
    found = statistics.paired_difference([0.04, 0.01, 0.04], margin=math.nan)
    assert found.p == pytest.approx(1 - 3 / math.sqrt(11))
    assert np.isnan([found.tie_p, found.beyond_p, found.gain_p]).all()


@pytest.mark.parametrize(
    ("values", "identical"),
    [([0.0] * 5, 5), ([0.01] * 5, 0), ([0.54 - 0.50, 0.64 - 0.60, 0.74 - 0.70], 0), ([0.3 - 0.1 * 3] * 2, 2)],
    ids=["zero", "equal", "rounded", "rounded zero"],
)
def test_equal_differences_prove_nothing(values: list[float], identical: int) -> None:
    found = statistics.paired_difference(values)
    assert (found.mean, found.identical) == (pytest.approx(values[0]), identical)
    assert np.isnan([*(getattr(found, name) for name in TESTS), statistics.seeds_needed(0.001, found.sd)]).all()


def test_one_pair_has_a_mean_and_no_more() -> None:
    found = statistics.paired_difference([0.01])
    assert (found.n, found.mean) == (1, 0.01)
    assert np.isnan([found.low, found.high, found.low_90, found.high_90, found.sd]).all()
    assert np.isnan([getattr(found, name) for name in TESTS]).all()


def test_no_pair_has_nothing() -> None:
    found = statistics.paired_difference([])
    assert (found.n, found.identical) == (0, 0)
    assert np.isnan([found.mean, found.low_90, found.sd, *(getattr(found, name) for name in TESTS)]).all()


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
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    assert statistics.holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


@given(P_VALUES, st.integers(0, 3))
def test_test_that_cannot_be_made_counts_as_one_that_shows_nothing(p: list[float], more: int) -> None:
    expected = multipletests([*p, *[1.0] * more], method="holm")[1][: len(p)]
    assert statistics.holm([*p, *[math.nan] * more]) == pytest.approx([*expected, *[math.nan] * more], nan_ok=True)


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


FAMILY = [statistics.ALPHA / size for size in (1, 2, 3, 12)]  # the smallest level that Holm may ask for


@given(effect=st.sampled_from([0.001, 0.002, 0.01]), sd=st.floats(1e-5, 0.1), alpha=st.sampled_from(FAMILY))
def test_one_seed_fewer_would_not_do(effect: float, sd: float, alpha: float) -> None:
    n = int(statistics.seeds_needed(effect, sd, alpha=alpha))
    assert statistics.power(n, effect / sd, alpha=alpha) >= statistics.POWER
    assert n == 2 or statistics.power(n - 1, effect / sd, alpha=alpha) < statistics.POWER


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


@pytest.mark.parametrize("alpha", FAMILY[:3])
@pytest.mark.parametrize("n", [4, 5, 12, 40])
def test_detectable_difference_is_that_of_statsmodels(n: int, alpha: float) -> None:
    expected = float(np.ravel(TTestPower().solve_power(nobs=n, alpha=alpha, power=0.8))[0])
    assert statistics.detectable_difference(n, 0.01, alpha=alpha) == pytest.approx(0.01 * expected, rel=1e-5)


@pytest.mark.parametrize("alpha", FAMILY)
@given(n=st.integers(2, 200), sd=st.floats(1e-6, 0.5))
def test_detectable_difference_is_found_four_times_in_five(n: int, sd: float, alpha: float) -> None:
    """Also by two seeds, where statsmodels finds none."""
    found = statistics.detectable_difference(n, sd, alpha=alpha)
    assert statistics.power(n, found / sd, alpha=alpha) == pytest.approx(statistics.POWER, abs=1e-6)


@pytest.mark.parametrize("alpha", FAMILY)
@given(n=st.integers(2, 60))
def test_seeds_needed_undo_what_is_detectable(n: int, alpha: float) -> None:
    detectable = statistics.detectable_difference(n, 0.01, alpha=alpha)
    assert statistics.seeds_needed(1.001 * detectable, 0.01, alpha=alpha) == n
    assert n == 2 or statistics.seeds_needed(0.999 * detectable, 0.01, alpha=alpha) == n + 1


@pytest.mark.parametrize(("n", "sd"), [(0, 0.1), (1, 0.1), (5, 0.0), (5, math.nan)])
def test_nothing_is_known_to_be_detectable_without_a_spread(n: int, sd: float) -> None:
    assert math.isnan(statistics.detectable_difference(n, sd))


@pytest.mark.parametrize(
    ("p", "text"), [(math.nan, "-"), (1e-9, "<.001"), (0.0004, "<.001"), (0.0116, "0.012"), (1, "1.000")]
)
def test_p_as_it_is_printed(p: float, text: str) -> None:
    assert statistics.p_text(p) == text
