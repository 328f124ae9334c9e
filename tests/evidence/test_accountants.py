"""The accountants that verify are right where closed forms are known, and bracket each other."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from psasc_bench.evidence.accountants import (
    epsilon_at_least,
    epsilon_at_least_by_prv,
    epsilon_at_most,
    epsilon_by_quadrature,
)
from psasc_bench.privacy.accounting import epsilon_by_rdp

SCHEDULES = [(256 / 1437, 180), (512 / 60000, 4688), (8192 / 50000, 366), (1.0, 10)]


def gaussian_epsilon(noise_multiplier: float, delta: float) -> float:
    """Of one release of the Gaussian mechanism, Balle & Wang 2018, theorem 8."""

    def excess(epsilon: float) -> float:
        a, b = 0.5 / noise_multiplier, epsilon * noise_multiplier
        return float(norm.cdf(a - b) - math.exp(epsilon) * norm.cdf(-a - b)) - delta

    return float(brentq(excess, 0, 50))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(noise_multiplier=st.floats(0.4, 50), delta=st.sampled_from([1e-3, 1e-5, 1e-15]))
def test_quadrature_is_what_opacus_says(schedule: tuple[float, int], noise_multiplier: float, delta: float) -> None:
    rate, steps = schedule
    spent = epsilon_by_rdp(noise_multiplier, sampling_rate=rate, steps=steps, delta=delta)
    assert epsilon_by_quadrature(noise_multiplier, rate, steps, delta) == pytest.approx(spent, rel=1e-9)


@pytest.mark.parametrize("noise_multiplier", [0.5, 1.0, 5.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-6])
def test_bounds_bracket_the_gaussian_mechanism(noise_multiplier: float, delta: float) -> None:
    exact = gaussian_epsilon(noise_multiplier, delta)
    low, high = (bound(noise_multiplier, 1.0, 1, delta, interval=1e-3) for bound in (epsilon_at_least, epsilon_at_most))
    assert low <= exact <= high
    assert high - low < 0.01
    assert exact <= epsilon_by_quadrature(noise_multiplier, 1.0, 1, delta)


@pytest.mark.parametrize(("schedule", "noise_multiplier"), [((256 / 1437, 180), 7.7), ((512 / 60000, 4688), 0.7)])
def test_two_implementations_of_pld_agree(schedule: tuple[float, int], noise_multiplier: float) -> None:
    """Opacus' and dp-accounting's have nothing in common but the theory."""
    rate, steps = schedule
    above = epsilon_at_most(noise_multiplier, rate, steps, 1e-5, interval=1e-4)
    below = epsilon_at_least_by_prv(noise_multiplier, rate, steps, 1e-5, error=5e-3 * above)
    # below by its error, which is half a hundredth
    assert 0.994 * above < below < above


def test_prv_proves_nothing_where_it_cannot_say() -> None:
    assert epsilon_at_least_by_prv(10.0, 0.2, 200, 1e-15, error=0.01) == 0


def test_no_noise_is_no_privacy_and_no_step_costs_nothing() -> None:
    for spent in (
        epsilon_by_quadrature,
        partial(epsilon_at_most, interval=1e-3),
        partial(epsilon_at_least, interval=1e-3),
    ):
        assert spent(0.0, 0.1, 10, 1e-5) == math.inf
        assert spent(1.0, 0.1, 0, 1e-5) == 0
