"""Lower bounds on epsilon from the errors of an attack: closed forms, and the answers of other people's auditors."""

from __future__ import annotations

import math

import dp_accounting
import numpy as np
import pytest

from psasc_bench.evidence import bounds


def test_clopper_pearson_is_exact_where_it_has_a_closed_form() -> None:
    # no success in n trials: (1 - p)^n = significance
    assert bounds.clopper_pearson(0, 50, significance=0.05) == pytest.approx(1 - 0.05 ** (1 / 50), rel=1e-12)
    assert bounds.clopper_pearson(50, 50, significance=0.05) == 1


def test_gaussian_epsilon_agrees_with_dp_accounting() -> None:
    for mu in (0.1, 0.5, 1.0, 3.0):
        for delta in (1e-5, 1e-2):
            expected = dp_accounting.get_epsilon_gaussian(1 / mu, delta)
            # both are roots found to about 1e-9
            assert bounds.epsilon_gaussian(mu, delta=delta) == pytest.approx(expected, abs=1e-7)


def test_errors_of_a_coin_prove_nothing() -> None:
    # bounds of .55 on both errors give a negative mu; its absolute value would "prove" epsilon > 0
    assert bounds.epsilon_gaussian(float(bounds.gaussian_mu(0.55, 0.55)), delta=1e-5) == 0
    assert bounds.epsilon_plain(0.55, 0.55, delta=1e-5) == 0


# What jax_privacy 2.0.0's CanaryScoreAuditor (with an explicit threshold) says of the scores below; its values are
# roots found to 1e-6 or better.
SCORES = np.random.default_rng(20230508)
INSIDE, OUTSIDE = SCORES.normal(1.5, 1, 1000), SCORES.normal(0, 1, 1000)
PLAIN = [  # (threshold, delta, significance, epsilon_clopper_pearson with one_sided=False)
    (0.5, 0.0, 0.05, 1.2991057735236722),
    (0.5, 0.01, 0.001, 1.1579016875001824),
    (1.0, 1e-05, 0.05, 1.3216454287646389),
    (1.0, 0.01, 0.05, 1.3069070209769902),
    (2.0, 0.0, 0.001, 1.7444209430889033),
    (2.0, 1e-05, 0.05, 2.030555546438506),
    (3.0, 1e-05, 0.001, 1.7548206565894304),
    (3.0, 0.01, 0.05, 2.4412570675798784),
]
GAUSSIAN = [  # (threshold, delta, significance, epsilon_from_gdp of the decisions at the threshold)
    (0.5, 1e-05, 0.05, 5.6518307761485636),
    (0.5, 0.01, 0.001, 2.7652242665438798),
    (1.0, 1e-05, 0.001, 5.62298270227116),
    (1.0, 0.01, 0.05, 3.46029128488441),
    (2.0, 1e-05, 0.05, 5.173117784353338),
    (2.0, 0.01, 0.001, 2.3621498170476407),
]
ONE_RUN = [  # (threshold, delta, significance, epsilon_one_run)
    (0.5, 1e-05, 0.05, 0.818481745295424),
    (1.0, 1e-05, 0.001, 1.2130466472291808),
    (1.0, 0.0001, 0.05, 1.349626205487726),
    (2.0, 1e-05, 0.001, 1.6643935448915599),
    (2.0, 0.0001, 0.001, 0.0),
    (3.0, 1e-05, 0.05, 3.0288116748937366),
    (3.0, 0.0001, 0.05, 2.4189206194451067),
]


@pytest.mark.parametrize(("threshold", "delta", "significance", "expected"), PLAIN)
def test_plain_bound_agrees_with_jax_privacy(
    threshold: float, delta: float, significance: float, expected: float
) -> None:
    errors = bounds.error_bounds(INSIDE, OUTSIDE, np.array([threshold]), significance=significance)
    assert bounds.epsilon_plain(*errors, delta=delta)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("threshold", "delta", "significance", "expected"), GAUSSIAN)
def test_gaussian_bound_agrees_with_jax_privacy(
    threshold: float, delta: float, significance: float, expected: float
) -> None:
    # theirs shares the significance among the three thresholds that decisions of 0 and 1 have, two of them trivial
    errors = bounds.error_bounds(INSIDE, OUTSIDE, np.array([threshold]), significance=significance / 3)
    mu = float(bounds.gaussian_mu(*errors)[0])
    assert bounds.epsilon_gaussian(mu, delta=delta) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("threshold", "delta", "significance", "expected"), ONE_RUN)
def test_one_run_bound_agrees_with_jax_privacy(
    threshold: float, delta: float, significance: float, expected: float
) -> None:
    correct, wrong = int((threshold <= INSIDE).sum()), int((threshold <= OUTSIDE).sum())
    found = bounds.epsilon_one_run(correct, correct + wrong, canaries=2000, delta=delta, confidence=1 - significance)
    assert found == pytest.approx(expected, abs=2e-6)  # theirs is a root found to 1e-6


def test_one_run_bound_of_faultless_guesses_has_a_closed_form() -> None:
    # all of 100 guesses right: the p-value at delta 0 is (e^eps / (1 + e^eps))^100
    probability = 0.05 ** (1 / 100)
    expected = math.log(probability / (1 - probability))
    found = bounds.epsilon_one_run(100, 100, canaries=1000, delta=0, confidence=0.95)
    assert found == pytest.approx(expected, abs=1e-8)


def test_one_run_p_value_by_hand() -> None:
    # 2 of 2 right at epsilon 0: the tail is 1/4; delta may add max((3/4 - 1/4) / 1, (1 - 1/4) / 2... ) = 1/2 per canary
    found = bounds.one_run_p_value(0, 2, 2, canaries=10, delta=0.001)
    assert found == pytest.approx(1 / 4 + 2 * 10 * 0.001 * 1 / 2, rel=1e-12)


def test_guessing_at_random_proves_nothing_in_one_run() -> None:
    assert bounds.epsilon_one_run(55, 100, canaries=1000, delta=1e-5, confidence=0.95) == 0
