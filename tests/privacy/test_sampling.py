"""Poisson sampling by its statistics, each by a test that a shuffled or fixed-size sampler fails, and micro-batches."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from psasc_bench.privacy import micro_batches, poisson_batch

EXAMPLES, RATE, STEPS = 200, 0.1, 4000
CREDIBLE = 1e-3  # the level of every test below; the seed is fixed, so that a right sampler always passes


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inclusions(batches: list[Tensor]) -> Tensor:
    """``[steps, examples]``: 1 where the example is in the step's batch."""
    table = torch.zeros(len(batches), EXAMPLES, dtype=torch.float64)
    for row, batch in zip(table, batches, strict=True):
        row[batch] = 1
    return table


def two_sided(p: float) -> float:
    return 2 * min(p, 1 - p)


def frequencies_p_value(table: Tensor) -> float:
    """Each example's number of inclusions is binomial: the sum of their squared z-scores is chi-square."""
    variance = len(table) * RATE * (1 - RATE)
    statistic = ((table.sum(0) - len(table) * RATE) ** 2 / variance).sum()
    return two_sided(float(stats.chi2(EXAMPLES).cdf(float(statistic))))


def size_mean_p_value(table: Tensor) -> float:
    deviation = math.sqrt(EXAMPLES * RATE * (1 - RATE) / len(table))
    return two_sided(float(stats.norm.cdf(float(table.sum(1).mean()) - EXAMPLES * RATE, scale=deviation)))


def size_variance_p_value(table: Tensor) -> float:
    """The batch size is binomial, and so nearly normal that its sample variance is nearly chi-square."""
    statistic = (len(table) - 1) * float(table.sum(1).var()) / (EXAMPLES * RATE * (1 - RATE))
    return two_sided(float(stats.chi2(len(table) - 1).cdf(statistic)))


def successive_steps_p_value(table: Tensor) -> float:
    """That the last draw tells nothing about this one: the correlation of an example's successive inclusions."""
    z = (table - RATE) / math.sqrt(RATE * (1 - RATE))
    products = z[1:] * z[:-1]
    return two_sided(float(stats.norm.cdf(float(products.mean()) * math.sqrt(products.numel()))))


CHECKS = {
    "frequencies": frequencies_p_value,
    "mean size": size_mean_p_value,
    "size variance": size_variance_p_value,
    "successive steps": successive_steps_p_value,
}


@pytest.fixture(scope="module")
def poisson() -> Tensor:
    shared = generator()
    return inclusions([poisson_batch(EXAMPLES, RATE, shared) for _ in range(STEPS)])


@pytest.fixture(scope="module")
def shuffled() -> Tensor:
    """Epochs over shuffled examples in batches of one size: what Poisson accounting does not cover."""
    shared, size = generator(), round(EXAMPLES * RATE)
    epochs = [torch.randperm(EXAMPLES, generator=shared).split(size) for _ in range(STEPS * size // EXAMPLES)]
    return inclusions([batch for epoch in epochs for batch in epoch])


@pytest.mark.parametrize("check", CHECKS)
def test_batches_are_poisson(check: str, poisson: Tensor) -> None:
    assert CHECKS[check](poisson) > CREDIBLE


@pytest.mark.parametrize("check", ["frequencies", "size variance", "successive steps"])
def test_shuffled_batches_are_told_from_poisson_ones(check: str, shuffled: Tensor) -> None:
    assert CHECKS[check](shuffled) < 1e-12


@pytest.mark.parametrize("rate", [RATE * 0.97, RATE * 1.03])
def test_wrong_rate_is_told_from_the_right_one(rate: float) -> None:
    shared = generator()
    assert size_mean_p_value(inclusions([poisson_batch(EXAMPLES, rate, shared) for _ in range(STEPS)])) < CREDIBLE


def test_examples_are_drawn_independently_of_each_other(poisson: Tensor) -> None:
    """Pairs of neighbours are drawn together in q^2 of the steps."""
    together = int((poisson[:, 1:] * poisson[:, :-1]).sum())
    # neighbouring pairs overlap: variance q^2 (1 - q^2) + 2 q^3 (1 - q) for each
    pairs = poisson[:, 1:].numel()
    deviation = math.sqrt(pairs * (RATE**2 * (1 - RATE**2) + 2 * RATE**3 * (1 - RATE)))
    assert abs(together - pairs * RATE**2) < 4 * deviation


def test_batch_is_ascending_indices_without_repetition() -> None:
    batch = poisson_batch(1000, 0.5, generator())
    assert batch.dtype == torch.int64
    assert bool((batch[1:] > batch[:-1]).all())
    assert set(batch.tolist()) <= set(range(1000))


def test_rate_one_takes_every_example() -> None:
    assert torch.equal(poisson_batch(1000, 1.0, generator()), torch.arange(1000))


def test_tiny_rate_gives_empty_batches() -> None:
    shared = generator()
    sizes = [len(poisson_batch(100, 1e-6, shared)) for _ in range(100)]
    assert sizes == [0] * 100


def test_same_seed_draws_the_same_batches_and_another_seed_others() -> None:
    def batches(seed: int) -> list[list[int]]:
        shared = generator(seed)
        return [poisson_batch(100, 0.3, shared).tolist() for _ in range(5)]

    assert batches(1) == batches(1)
    assert batches(1) != batches(2)
    assert len({tuple(batch) for batch in batches(1)}) == 5


def test_every_draw_uses_up_the_same_number_of_coins() -> None:
    """Or else one batch's size would shift the draws after it."""
    few, many = generator(), generator()
    poisson_batch(100, 0.01, few)
    poisson_batch(100, 0.9, many)
    assert torch.equal(few.get_state(), many.get_state())


# ----------------------------------------------------------------------------------------------------- micro-batches


@given(count=st.integers(0, 200), size=st.integers(1, 64))
def test_micro_batches_are_a_partition_in_one_static_shape(count: int, size: int) -> None:
    indices = torch.arange(count) * 3 + 5
    parts = list(micro_batches(indices, size))
    assert len(parts) == math.ceil(count / size)
    assert all(part.shape == mask.shape == (size,) for part, mask in parts)
    assert all(part.dtype == torch.int64 for part, _ in parts)
    kept = [part[mask.bool()] for part, mask in parts]
    assert torch.equal(torch.cat([torch.empty(0, dtype=torch.int64), *kept]), indices)


@given(count=st.integers(1, 200), size=st.integers(1, 64))
def test_padding_is_masked_and_a_valid_index(count: int, size: int) -> None:
    *_, (part, mask) = micro_batches(torch.arange(count) + 7, size)
    assert set(mask.tolist()) <= {0.0, 1.0}
    assert part[mask == 0].tolist() == [0] * (-count % size)


def test_empty_batch_has_no_micro_batches() -> None:
    assert list(micro_batches(torch.empty(0, dtype=torch.int64), 8)) == []
