"""The accountants against one of other hands, a closed form, and each other."""

from __future__ import annotations

from typing import Any

import pytest
from closed_forms import gaussian_epsilon

from psasc_bench.privacy import accounting as privacy

DELTA = 1e-5
# a step or many, rare or frequent sampling, little or much noise: (noise multiplier, sampling rate, steps)
SCHEDULES = [
    (1.0, 0.01, 1000),
    (0.7, 0.0085, 4688),
    (5.0, 0.5, 100),
    (2.0, 0.001, 9000),
    (20.0, 0.05, 50),
    (3.0, 1.0, 9),
]


@pytest.mark.parametrize(("noise_multiplier", "sampling_rate", "steps"), SCHEDULES)
def test_rdp_agrees_with_dp_accounting(noise_multiplier: float, sampling_rate: float, steps: int) -> None:
    from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    other = RdpAccountant(privacy.RDP_ORDERS, NeighboringRelation.ADD_OR_REMOVE_ONE)
    other.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier)), steps)
    ours = privacy.epsilon_by_rdp(noise_multiplier, sampling_rate=sampling_rate, steps=steps, delta=DELTA)
    # the same orders and the same conversion: only rounding and the series' cut-off differ
    assert ours == pytest.approx(other.get_epsilon(DELTA), rel=1e-3)


@pytest.mark.parametrize(("noise_multiplier", "sampling_rate", "steps"), SCHEDULES)
def test_pld_is_tighter_than_rdp_but_not_by_much(noise_multiplier: float, sampling_rate: float, steps: int) -> None:
    schedule: dict[str, Any] = {"sampling_rate": sampling_rate, "steps": steps, "delta": DELTA}
    by_rdp = privacy.epsilon_by_rdp(noise_multiplier, **schedule)
    by_pld = privacy.epsilon_by_pld(noise_multiplier, **schedule)
    # two upper bounds of one quantity; RDP's conversion loses a tenth here, more where a few steps are all
    assert 0.75 * by_rdp < by_pld < by_rdp


@pytest.mark.parametrize(("noise_multiplier", "steps"), [(1.0, 1), (3.0, 10), (10.0, 40)])
def test_without_sampling_pld_is_the_gaussian_mechanisms_closed_form(noise_multiplier: float, steps: int) -> None:
    exact = gaussian_epsilon(noise_multiplier, steps=steps, delta=DELTA)
    by_pld = privacy.epsilon_by_pld(noise_multiplier, sampling_rate=1.0, steps=steps, delta=DELTA)
    # an upper bound: each step's losses are rounded up to a grid of 1e-4, by half of that on average
    assert exact * (1 - 1e-6) <= by_pld <= exact + 1e-4 * steps


@pytest.mark.parametrize(("noise_multiplier", "steps"), [(1.0, 1), (3.0, 10), (10.0, 40)])
def test_without_sampling_rdp_covers_the_closed_form(noise_multiplier: float, steps: int) -> None:
    exact = gaussian_epsilon(noise_multiplier, steps=steps, delta=DELTA)
    by_rdp = privacy.epsilon_by_rdp(noise_multiplier, sampling_rate=1.0, steps=steps, delta=DELTA)
    assert exact < by_rdp < 1.25 * exact
