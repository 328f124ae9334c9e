"""Gradients and networks made to be hard: they are what they are said to be, under inner momentum too."""

from __future__ import annotations

import math

import pytest
import torch
from planted import SOUND
from torch import Tensor

from psasc_bench.evidence.worst_cases import networks, vectors
from psasc_bench.methods.dp_psasc import DPPSASC
from psasc_bench.methods.dp_sgd import DPSGD


def test_chosen_gradients_are_the_gradients() -> None:
    chosen = torch.tensor([[3.0, 4.0], [0.0, 1e-3]], dtype=torch.float64)
    total = vectors(chosen).gradient_sum(DPSGD(C=1.0), torch.arange(2), micro_batch_size=2).total
    # the first is clipped from norm 5 to 1, the second left as it is
    torch.testing.assert_close(total, torch.tensor([0.6, 0.801], dtype=torch.float64))


# ------------------------------------------------------------------------------- the premises of inner momentum's proof

ITERATES = 3


def three_iterates(parameters: Tensor) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        parameters + torch.randn(parameters.shape, dtype=torch.float64, generator=generator) for _ in range(ITERATES)
    ]


@pytest.mark.parametrize("name", ["convolutions", "sequence", "shared layer"])
def test_example_that_is_not_drawn_contributes_exactly_nothing(name: str) -> None:
    sums = []
    for scale in (1.0, 1e6, math.nan):  # of the loss of example 2, which is not drawn now but was before
        scales = torch.tensor([1.0, 1.0, scale, 1.0], dtype=torch.float64)
        problem = networks(scales, generator=torch.Generator().manual_seed(0))[name]
        iterates = three_iterates(problem.parameters)
        problem.gradient_sum(SOUND, torch.arange(4), micro_batch_size=4, iterates=iterates)
        drawn = problem.gradient_sum(SOUND, torch.tensor([0, 1, 3]), micro_batch_size=4, iterates=iterates).total
        sums.append(drawn)
    assert torch.equal(sums[0], sums[1])
    assert torch.equal(sums[0], sums[2])


@pytest.mark.parametrize("name", ["convolutions", "sequence", "shared layer"])
def test_examples_do_not_mix_under_inner_momentum(name: str) -> None:
    problem = networks(torch.ones(4, dtype=torch.float64), generator=torch.Generator().manual_seed(0))[name]
    how = {"micro_batch_size": 4, "iterates": three_iterates(problem.parameters)}
    whole = problem.gradient_sum(SOUND, torch.arange(4), **how).total
    alone = [problem.gradient_sum(SOUND, torch.tensor([i]), **how).total for i in range(4)]
    # float64, four terms of norm below .4
    torch.testing.assert_close(whole, torch.stack(alone).sum(0), rtol=0, atol=1e-13)


def test_inner_momentum_averages_over_the_iterates_rather_than_taking_the_last() -> None:
    problem = networks(torch.ones(4, dtype=torch.float64), generator=torch.Generator().manual_seed(0))["convolutions"]
    iterates = three_iterates(problem.parameters)
    method = DPPSASC(C=0.2, s=0.5, r=0.1, decay=0.9)
    averaged = problem.gradient_sum(method, torch.arange(4), micro_batch_size=4, iterates=iterates).total
    last = problem.gradient_sum(method, torch.arange(4), micro_batch_size=4, iterates=iterates[-1:]).total
    assert float((averaged - last).norm()) > 0.1 * float(last.norm())
