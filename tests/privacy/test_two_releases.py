"""What two Gaussian releases of one batch cost jointly, against dp-accounting."""

from __future__ import annotations

import math

import pytest
from dp_accounting import ComposedDpEvent, GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant

from psasc_bench import methods
from psasc_bench.privacy import remaining_multiplier
from psasc_bench.training import shares


def epsilon(*multipliers: float) -> float:
    """Of 200 steps, each a Poisson sample of a tenth from which every one of ``multipliers`` is released."""
    accountant = RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    step = ComposedDpEvent([GaussianDpEvent(multiplier) for multiplier in multipliers])
    accountant.compose(PoissonSampledDpEvent(0.1, step), 200)
    return float(accountant.get_epsilon(1e-5))


@pytest.mark.parametrize("beside", [1.6, 3.0, 25.6, 1e6])
def test_both_releases_cost_what_the_budget_says(beside: float) -> None:
    assert epsilon(remaining_multiplier(1.5, beside=beside), beside) == pytest.approx(epsilon(1.5), rel=1e-9)


def test_one_release_alone_would_be_overspent() -> None:
    assert epsilon(1.5, 3.0) > 1.1 * epsilon(1.5)


@pytest.mark.parametrize("beside", [1.5, 1.0, 0.0, -1.0, math.nan])
def test_statistic_that_takes_all_of_the_budget_is_refused(beside: float) -> None:
    with pytest.raises(ValueError, match=r"must be above 1\.5"):
        remaining_multiplier(1.5, beside=beside)


def test_without_noise_there_is_nothing_to_share() -> None:
    assert remaining_multiplier(0.0, beside=0.0) == 0.0


def test_shares_are_those_of_the_papers() -> None:
    quantile = shares(methods.create("quantile", {"C": 1.0}), noise_multiplier=1.5, expected_batch_size=256)
    sigma_b = 256 / 20  # Andrew et al. 2021: (z^-2 - (2 sigma_b)^-2)^(-1/2)
    assert quantile.gradient == pytest.approx((1.5**-2 - (2 * sigma_b) ** -2) ** -0.5, rel=1e-12)
    adasig = shares(methods.create("adasig", {"C": 1.0}), noise_multiplier=1.5, expected_batch_size=256)
    assert adasig.gradient == pytest.approx(1.01 * 1.5, rel=1e-12)
    plain = shares(methods.create("dp-sgd", {"C": 1.0}), noise_multiplier=1.5, expected_batch_size=256)
    assert (plain.gradient, plain.statistic) == (1.5, math.inf)


def test_batch_too_small_for_its_statistic_is_refused_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^quantile clipping: the statistic's noise multiplier is 0.8; .* above 1.5"):
        shares(methods.create("quantile", {"C": 1.0}), noise_multiplier=1.5, expected_batch_size=8)
