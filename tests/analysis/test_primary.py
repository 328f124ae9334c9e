"""The primary comparisons of a study as a table, and the one answer over its data sets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from psasc_bench.analysis import primary, statistics
from psasc_bench.analysis.primary import (
    Effect,
    answer_table,
    comparison_table,
    datasets_of,
    gain_probabilities,
    primary_decisions,
    random_effects,
)
from psasc_bench.study import Roles

ROLES = Roles(method="mine", momentum="mine-inner", reference="plain", earlier=("old", "older"))
TITLES = {"mine": "Mine", "mine-inner": "Mine, inner", "plain": "Plain", "old": "Old", "older": "Older", "other": "O"}
GAINS = {"a": [0.010, 0.011, 0.012], "b": [-0.001, 0.0, 0.002], "c": [0.001, 0.004, 0.003]}


def runs(gains: Mapping[str, Mapping[str, Sequence[float]]], **columns: Any) -> pd.DataFrame:
    """By data set and method, how far each seed is ahead of .5 at two budgets; ``columns`` by data set."""
    rows = [
        {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed, "status": "done", "control": False}
        | {"test_accuracy": 0.5 + gain}
        | {column: of[dataset] for column, of in columns.items()}
        for dataset, by_method in gains.items()
        for method, of_method in by_method.items()
        for epsilon, (seed, gain) in itertools.product([1.0, 8.0], enumerate(of_method))
    ]
    return pd.DataFrame(rows)


def study(*methods: str, gains: Mapping[str, Sequence[float]] = GAINS, **columns: Any) -> pd.DataFrame:
    """``plain`` is at .5, and of the ``methods`` the first is ahead by the gains, the second by twice as much..."""
    by_dataset = {
        dataset: {"plain": [0.0] * len(of)}
        | {method: [times * gain for gain in of] for times, method in enumerate(methods, start=1)}
        for dataset, of in gains.items()
    }
    return runs(by_dataset, **columns)


def tables(table: pd.DataFrame, roles: Roles = ROLES) -> tuple[pd.DataFrame, pd.DataFrame]:
    decisions = primary_decisions(table, roles)
    datasets = {name: name.upper() for name in table["dataset"]}
    return comparison_table(decisions, TITLES, datasets), answer_table(decisions, TITLES)


# ------------------------------------------------------------------------------------------------ comparisons.csv


def test_all_are_compared_with_the_reference_and_those_under_test_with_earlier_ones() -> None:
    found, _ = tables(study("old", "mine", "other", "mine-inner", gains={"a": GAINS["a"]}))
    assert list(zip(found["method"], found["reference"], strict=True)) == [
        ("old", "plain"),
        ("mine", "plain"),
        ("mine", "old"),
        ("other", "plain"),
        ("mine-inner", "plain"),
        ("mine-inner", "old"),
    ]
    assert list(found["mean"]) == pytest.approx([0.011, 0.022, 0.011, 0.033, 0.044, 0.033])
    assert found.loc[2, ["method_title", "reference_title", "dataset_title"]].to_list() == ["Mine", "Old", "A"]


def test_controls_are_not_compared() -> None:
    table = study("old", "mine", "other")
    table["control"] = table["method"] == "other"
    assert "other" not in set(tables(table)[0]["method"])


@pytest.mark.parametrize(
    ("roles", "pairs"),
    [
        (Roles(), set()),
        (Roles(method="mine", earlier=("old",)), {("mine", "old")}),
        (Roles(reference="plain"), {("mine", "plain"), ("old", "plain")}),
    ],
    ids=["none", "no reference", "none under test"],
)
def test_study_that_lacks_a_role_has_fewer_comparisons(roles: Roles, pairs: set[tuple[str, str]]) -> None:
    found, answer = tables(study("old", "mine"), roles)
    for table in (found, answer):
        assert set(zip(table["method"], table["reference"], strict=True)) == pairs
    assert list(found) == list(tables(study("old", "mine"))[0])
    assert list(answer) == list(tables(study("old", "mine"))[1])


def test_row_has_all_that_is_said_and_its_numbers() -> None:
    found, _ = tables(study("mine"))
    row = found.set_index("dataset").loc["a"]
    test = stats.ttest_1samp(GAINS["a"], 0)
    interval, interval_90 = test.confidence_interval(0.95), test.confidence_interval(0.90)
    assert row[["budgets", "n", "identical", "sign", "within", "gain_excluded"]].to_list() == [
        "1, 8",
        3,
        0,
        "higher",
        "no",
        "no",
    ]
    assert row[["mean", "sd"]].to_list() == pytest.approx([0.011, 0.001])
    assert row[["low", "high"]].to_list() == pytest.approx([*interval])
    assert row[["low_90", "high_90"]].to_list() == pytest.approx([*interval_90])
    assert row["p_holm"] == pytest.approx(3 * test.pvalue)
    assert row["detectable"] == pytest.approx(statistics.detectable_difference(3, 0.001, alpha=0.05 / 3))
    assert row["seeds_needed"] == statistics.seeds_needed(0.002, 0.001, alpha=0.05 / 3)


def test_comparison_that_has_no_pair_is_left_out() -> None:
    table = study("mine")
    table.loc[(table["method"] == "mine") & (table["dataset"] == "a"), "status"] = "missing"
    found, answer = tables(table)
    assert "a" not in set(found["dataset"])
    assert answer["datasets"].to_list() == [2]


def test_data_set_of_few_test_examples_decides_nothing() -> None:
    """One of 499 is more than .2 points, one of 500 is not; of an unknown number nothing is held against it."""
    assert datasets_of(study("mine", test_examples={"a": 499, "b": 500, "c": None})).indecisive == {"a"}
    found, answer = tables(study("mine", test_examples={"a": 360, "b": 10_000, "c": 10_000}))
    assert found.set_index("dataset")["decides"].to_dict() == {"a": False, "b": True, "c": True}
    row = found.set_index("dataset").loc["a"]
    assert (row["mean"], row["sign"], row["within"]) == (pytest.approx(0.011), "", "")
    assert math.isnan(row["p_holm"])
    expected = random_effects([primary._effect(one) for one in primary_decisions(study("mine"), ROLES)[1:]])
    assert answer.loc[0, ["datasets", "mean"]].to_list() == [2, pytest.approx(expected.mean)]


def test_tuned_data_sets_have_an_answer_of_their_own() -> None:
    table = study("mine", tuned={"a": True, "b": False, "c": False})
    found, answer = tables(table)
    assert found.set_index("dataset")["tuned"].to_dict() == {"a": True, "b": False, "c": False}
    assert answer[["tuned", "datasets"]].to_dict("list") == {"tuned": [True, False], "datasets": [1, 2]}
    assert answer.loc[answer["tuned"], "mean"].to_list() == pytest.approx([0.011])


def test_answers_stand_in_the_order_of_the_comparisons() -> None:
    found, answer = tables(study("other", "mine", "old"))
    pairs = ["method", "reference"]
    assert answer[pairs].to_numpy().tolist() == found[pairs].drop_duplicates().to_numpy().tolist()
    assert answer.loc[0, ["method_title", "reference_title"]].to_list() == ["O", "Plain"]


def test_one_seed_gives_no_answer() -> None:
    found, answer = tables(study("mine", gains={"a": [0.01], "b": [0.01]}))
    assert (list(found["n"]), len(answer)) == ([1, 1], 0)


def test_methods_that_give_the_same_everywhere_have_an_answer() -> None:
    _, answer = tables(study("mine", gains={"a": [0.0] * 3, "b": [0.0] * 3}))
    assert answer.loc[0, ["mean", "tau"]].to_list() == [0, 0]
    assert -0.001 < answer.loc[0, "low"] < 0 < answer.loc[0, "high"] < 0.001
    assert answer.loc[0, "probability_higher"] == pytest.approx(answer.loc[0, "probability_lower"])


# ------------------------------------------------------------------------------------------------ the mean

EFFECTS = st.lists(
    st.builds(Effect, st.floats(-0.05, 0.05), st.floats(1e-4, 0.02), st.integers(1, 20)), min_size=2, max_size=8
)


def generalised_q(effects: Sequence[Effect], tau_squared: float) -> tuple[float, float, float]:
    """``Q`` at this variance between data sets, the weighted mean and the sum of the weights."""
    weights = np.array([1 / (one.error**2 + tau_squared) for one in effects])
    means = np.array([one.mean for one in effects])
    mean = float((weights * means).sum() / weights.sum())
    return float((weights * (means - mean) ** 2).sum()), mean, float(weights.sum())


@given(EFFECTS)
def test_variance_between_data_sets_is_that_of_paule_and_mandel(effects: list[Effect]) -> None:
    """It solves ``Q(tau^2) = k - 1``, or is 0 where ``Q(0)`` is smaller."""
    found, more = random_effects(effects), len(effects) - 1
    at_zero, _, _ = generalised_q(effects, 0)
    q, mean, _ = generalised_q(effects, found.tau**2)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    if at_zero > more + 1e-4:
        assert q == pytest.approx(more, abs=1e-4)
    elif at_zero < more:
        assert found.tau == 0
    assert found.i_squared == pytest.approx(max(0, 1 - more / at_zero) if at_zero else 0, abs=1e-6)
    assert found.q_p == pytest.approx(stats.chi2.sf(at_zero, more), abs=1e-6)


@given(EFFECTS)
def test_interval_is_that_of_hartung_and_knapp(effects: list[Effect]) -> None:
    """Of variance ``sum w (x - mean)^2 / ((k - 1) sum w)``, but no less than ``1 / sum w``."""
    found, more = random_effects(effects), len(effects) - 1
    q, mean, weight = generalised_q(effects, found.tau**2)
    error = math.sqrt(max(q / more, 1) / weight)
    half = stats.t.ppf(0.975, more) * error
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-6, abs=1e-12)
    if more > 1:
        half = stats.t.ppf(0.975, more - 1) * math.sqrt(found.tau**2 + error**2)
        assert (found.prediction_low, found.prediction_high) == pytest.approx((mean - half, mean + half), rel=1e-6)


def test_mean_of_three_data_sets_by_hand() -> None:
    """Equal errors of 1: of 0, 3 and 6 the mean is 3 and the variance 9, of which 1 is the errors' and tau^2 = 8; the
    standard error is sqrt(9/3), with t of 2 and of 1 degrees of freedom. Q = 18."""
    found = random_effects([Effect(mean, 1.0, 4) for mean in (0.0, 3.0, 6.0)])
    assert (found.mean, found.tau) == pytest.approx((3, math.sqrt(8)), rel=1e-4)
    assert found.high - found.mean == pytest.approx(4.302653 * math.sqrt(3), rel=1e-4)
    assert found.prediction_high - found.mean == pytest.approx(12.706205 * math.sqrt(8 + 3), rel=1e-4)
    assert (found.i_squared, found.q_p) == pytest.approx((16 / 18, math.exp(-9)))


def test_one_data_set_has_its_own_interval() -> None:
    found = random_effects([Effect(0.01, 0.002, 4)])
    assert (found.low, found.high) == pytest.approx((0.01 - 2.776445 * 0.002, 0.01 + 2.776445 * 0.002), rel=1e-6)
    assert np.isnan(found[3:]).all()


def test_two_data_sets_predict_no_third() -> None:
    """Errors of 1 at 0 and 10: tau^2 is 50 - 1, the standard error 5, with one degree of freedom."""
    found = random_effects([Effect(0.0, 1.0, 4), Effect(10.0, 1.0, 4)])
    assert (found.mean, found.tau) == pytest.approx((5, 7), rel=1e-4)
    assert found.high == pytest.approx(5 + 12.706205 * 5, rel=1e-4)
    assert np.isnan([found.prediction_low, found.prediction_high]).all()


@pytest.mark.parametrize("k", [2, 3])
def test_data_sets_that_agree_in_every_digit_are_no_surer_than_their_errors(k: int) -> None:
    found = random_effects([Effect(0.001, 0.003, 4)] * k)
    half = stats.t.ppf(0.975, k - 1) * 0.003 / math.sqrt(k)
    assert (found.low, found.high) == pytest.approx((0.001 - half, 0.001 + half))
    assert (found.tau, found.i_squared, found.q_p) == (0, 0, pytest.approx(1))


# ------------------------------------------------------------------------------------------------ the probability


def sampled(effects: Sequence[Effect], *, size: int = 400_000) -> tuple[float, float, float]:
    """The probabilities of a gain and of a loss by importance sampling, and the standard error of a share of one half.

    Under a flat ``mu`` the data sets' own differences, drawn given their estimates alone, and ``tau``, drawn from its
    prior, have the weight ``int prod N(delta_d; mu, tau^2) d mu``; the next difference is normal given these.
    """
    random = np.random.default_rng(0)
    tau, k = np.abs(random.normal(0, primary.SPREAD, size)), len(effects)
    differences = np.stack([one.mean + one.error * random.standard_t(one.freedom, size) for one in effects])
    mean = differences.mean(axis=0)
    logs = -(k - 1) * np.log(tau) - ((differences - mean) ** 2).sum(axis=0) / (2 * tau**2)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    further = stats.norm(mean, tau * math.sqrt(1 + 1 / k))
    higher = float((weights * further.sf(statistics.MARGIN)).sum())
    lower = float((weights * further.cdf(-statistics.MARGIN)).sum())
    return higher, lower, 0.5 * math.sqrt((weights**2).sum())


CASES = {
    "one": [Effect(0.001, 0.001, 4)],
    "one of two seeds": [Effect(0.001, 0.001, 1)],
    "two": [Effect(0.004, 0.0015, 4), Effect(0.003, 0.001, 11)],
    "as of the shipped study": [Effect(-0.0005, 0.0002, 4), Effect(-0.0003, 0.0003, 4), Effect(-0.0046, 0.0005, 4)],
    "far apart": [Effect(-0.02, 0.001, 2), Effect(0.03, 0.001, 4), Effect(0.0, 0.001, 4)],
    "precise": [Effect(0.003, 0.0002, 4), Effect(0.001, 5e-5, 11)],
    "imprecise": [Effect(0.01, 0.02, 4), Effect(0.002, 0.01, 4)],
    "four": [Effect(0.003, 0.003, 2)] * 4,
}


@pytest.mark.parametrize("effects", CASES.values(), ids=CASES)
def test_probabilities_are_those_of_sampling(effects: list[Effect]) -> None:
    higher, lower, error = sampled(effects)
    found = gain_probabilities(effects)
    assert error < 0.02
    assert (found.probability_higher, found.probability_lower) == pytest.approx((higher, lower), abs=4 * error + 1e-3)


def test_probability_after_one_precise_data_set_by_quadrature() -> None:
    """The next one is ``N(delta, 2 tau^2)``: its mean is as uncertain as it differs from it."""
    tau = (np.arange(20_000) + 0.5) / 20_000 * 0.05
    prior = stats.halfnorm.pdf(tau, scale=0.005)
    expected = (prior * stats.norm.sf((0.002 - 0.006) / (math.sqrt(2) * tau))).sum() / prior.sum()
    found = gain_probabilities([Effect(0.006, 1e-6, 30)])
    assert found.probability_higher == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("effects", [[Effect(0.04, 1e-5, 4)], [Effect(0.4, 1e-3, 4)], [Effect(0.02, 1e-3, 4)] * 6])
def test_gain_far_above_the_margin_is_certain_and_its_mirror_a_loss(effects: list[Effect]) -> None:
    """Also one of 40 points, as over a method that fails."""
    assert gain_probabilities(effects).probability_higher > 0.998
    mirrored = [Effect(-one.mean, one.error, one.freedom) for one in effects]
    assert gain_probabilities(mirrored).probability_lower > 0.998


def test_many_precise_data_sets_without_a_difference_show_equivalence() -> None:
    assert gain_probabilities([Effect(0.0, 5e-5, 9)] * 12).probability_within > 0.999


def test_knowing_nothing_leaves_a_gain_and_a_loss_alike() -> None:
    found = gain_probabilities([Effect(0.0, 0.2, 4)])
    assert found.probability_higher == pytest.approx(found.probability_lower)
    assert found.probability_within < 0.02


@settings(max_examples=15)
@given(EFFECTS)
def test_probabilities_are_some_and_sum_to_one(effects: list[Effect]) -> None:
    found = gain_probabilities(effects)
    assert min(found) >= 0
    assert sum(found) == pytest.approx(1)
    mirrored = gain_probabilities([Effect(-one.mean, one.error, one.freedom) for one in effects])
    assert found.probability_higher == pytest.approx(mirrored.probability_lower, abs=1e-9)


@settings(max_examples=15)
@given(EFFECTS, st.randoms(use_true_random=False))
def test_order_of_the_data_sets_does_not_matter(effects: list[Effect], random: Any) -> None:
    shuffled = random.sample(effects, len(effects))
    assert gain_probabilities(shuffled) == pytest.approx(gain_probabilities(effects))
    assert random_effects(shuffled) == pytest.approx(random_effects(effects), nan_ok=True, abs=1e-9)


def test_wider_margin_is_more_often_met() -> None:
    narrow, wide = (gain_probabilities(CASES["two"], margin=margin) for margin in (0.001, 0.004))
    assert narrow.probability_within < wide.probability_within
    assert narrow.probability_higher > wide.probability_higher


@pytest.mark.parametrize("name", ["two", "as of the shipped study", "far apart"])
def test_finer_grid_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = gain_probabilities(CASES[name])
    monkeypatch.setattr(primary, "MEANS", 1601)
    monkeypatch.setattr(primary, "SPREADS", 160)
    assert gain_probabilities(CASES[name]) == pytest.approx(coarse, abs=5e-4)


def test_normal_errors_in_place_of_a_t_would_be_seen() -> None:
    """The bug, planted: degrees of freedom that are not used."""
    higher, _, error = sampled(CASES["one of two seeds"])
    as_normal = gain_probabilities([CASES["one of two seeds"][0]._replace(freedom=1000)])
    assert abs(as_normal.probability_higher - higher) > 4 * error + 1e-3
