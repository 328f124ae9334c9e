"""The released noise: its scale by a test that tells 2/3 and 3/2 of it apart, its independence, and its divisor."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from psasc_bench.methods.dp_psasc import DPPSASC
from psasc_bench.privacy import privatise

SIZE = 20_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def release(total: Tensor, **changes: Any) -> Tensor:
    values: dict[str, Any] = {
        "sensitivity": 1.0,
        "noise_multiplier": 1.0,
        "expected_batch_size": 1.0,
        "generator": generator(),
    }
    return privatise(total, **(values | changes))


def p_value(noise: Tensor, *, scale: float) -> float:
    """Kolmogorov-Smirnov against N(0, scale^2)."""
    return float(stats.kstest(noise.double().numpy(), stats.norm(scale=scale).cdf).pvalue)


def is_normal(noise: Tensor, *, scale: float) -> bool:
    """At the 0.1 % level: with these fixed seeds a right mechanism passes, now and for ever."""
    return p_value(noise, scale=scale) > 1e-3


@pytest.mark.parametrize("s", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("noise_multiplier", [0.3, 1.0, 7.0])
def test_noise_is_normal_at_the_right_scale_and_at_no_other(noise_multiplier: float, s: float) -> None:
    method = DPPSASC(C=0.1, s=s, r=0.1)
    noise = release(
        torch.zeros(SIZE),
        sensitivity=method.sensitivity(),
        noise_multiplier=noise_multiplier,
        expected_batch_size=32,
    )
    scale = noise_multiplier * 0.1 / s / 32
    assert is_normal(noise, scale=scale)
    # the test has power: the same noise is refused by far at the scales that it does not have
    assert p_value(noise, scale=scale * 2 / 3) < 1e-30
    assert p_value(noise, scale=scale * 3 / 2) < 1e-30


def test_noise_for_c_in_place_of_c_over_s_is_refused() -> None:
    method = DPPSASC(C=1, s=0.5, r=0.1)
    wrong = release(torch.zeros(SIZE), sensitivity=method.C)
    assert not is_normal(wrong, scale=method.sensitivity())


def test_half_the_noise_is_refused() -> None:
    assert not is_normal(release(torch.zeros(SIZE), noise_multiplier=0.5), scale=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_release_is_shaped_and_typed_like_the_sum(dtype: torch.dtype) -> None:
    released = release(torch.zeros(3, 4, dtype=dtype))
    assert (released.shape, released.dtype) == ((3, 4), dtype)


@pytest.mark.parametrize("noise_multiplier", [0.0, 1.0])
def test_sum_is_left_as_it_was(noise_multiplier: float) -> None:
    total = torch.ones(10)
    release(total, noise_multiplier=noise_multiplier, expected_batch_size=7)
    assert torch.equal(total, torch.ones(10))


def test_signal_is_divided_by_the_expected_batch_size() -> None:
    total = torch.linspace(-5, 5, 100, dtype=torch.float64)
    signal = release(total, expected_batch_size=8) - release(torch.zeros_like(total), expected_batch_size=8)
    torch.testing.assert_close(signal, total / 8, rtol=1e-12, atol=1e-14)


def test_noise_of_an_empty_batch_is_that_of_a_full_one() -> None:
    empty, full = release(torch.zeros(SIZE)), release(torch.full((SIZE,), 3.0))
    # the sum of 3 and a normal draw is rounded at 2^-23 times their size
    torch.testing.assert_close(full - 3, empty, rtol=0, atol=2e-6)


def test_noise_does_not_depend_on_the_sum() -> None:
    """A mechanism calibrated to the batch's own largest norm leaks it."""
    small, large = (release(torch.full((SIZE,), size)) - size for size in (1.0, 64.0))
    assert is_normal(small, scale=1)
    assert is_normal(large, scale=1)


def test_noise_is_independent_from_step_to_step() -> None:
    shared = generator()
    steps = torch.stack([release(torch.zeros(SIZE), generator=shared) for _ in range(6)])
    correlations = torch.corrcoef(steps)[*torch.triu_indices(6, 6, offset=1)]
    # 15 pairs, each of standard deviation 1/sqrt(SIZE); 4.5 of these happen by chance in 1 of 10,000 such tests
    assert float(correlations.abs().max()) < 4.5 / math.sqrt(SIZE)
    assert all(is_normal(step, scale=1) for step in steps)


def test_same_noise_again_would_be_noticed() -> None:
    reused = torch.stack([release(torch.zeros(SIZE), generator=generator()) for _ in range(2)])
    assert float(torch.corrcoef(reused)[0, 1]) > 0.99


def test_noise_is_independent_from_coordinate_to_coordinate() -> None:
    noise = release(torch.zeros(SIZE))
    for lag in (1, 2, 16, 1000):
        correlation = float((noise[lag:] * noise[:-lag]).mean())
        assert abs(correlation) < 4.5 / math.sqrt(SIZE - lag)


def test_methods_share_the_noise_direction_of_a_seed() -> None:
    one = release(torch.zeros(SIZE), sensitivity=0.1)
    other = release(torch.zeros(SIZE), sensitivity=0.7)
    # one rounding of each
    torch.testing.assert_close(other / 7, one, rtol=3e-7, atol=0)


def test_seeds_have_noise_of_their_own() -> None:
    one, other = (release(torch.zeros(SIZE), generator=generator(seed)) for seed in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([one, other]))[0, 1])) < 4.5 / math.sqrt(SIZE)


def test_without_noise_nothing_is_drawn() -> None:
    own = generator()
    before = own.get_state()
    released = release(torch.ones(5), sensitivity=math.inf, noise_multiplier=0, expected_batch_size=4, generator=own)
    assert torch.equal(released, torch.full((5,), 0.25))
    assert torch.equal(own.get_state(), before)


@pytest.mark.parametrize("sensitivity", [math.inf, math.nan, 0.0, -1.0])
def test_sensitivity_that_no_noise_can_cover_is_refused(sensitivity: float) -> None:
    with pytest.raises(ValueError, match="sensitivity"):
        release(torch.zeros(5), sensitivity=sensitivity)


@pytest.mark.parametrize("noise_multiplier", [math.inf, math.nan, -1.0])
def test_noise_multiplier_that_makes_no_sense_is_refused(noise_multiplier: float) -> None:
    with pytest.raises(ValueError, match="noise multiplier"):
        release(torch.zeros(5), noise_multiplier=noise_multiplier)
