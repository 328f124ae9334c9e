"""Update rules step by step: against torch.optim, and against their formulas in plain loops over numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from psasc_bench import optimisers
from psasc_bench.optimisers import Moment, Rules

STEPS, RATE, NOISE = 30, 0.05, 0.3
RELEASED = torch.randn(STEPS, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def steps(rules: Rules, released: Tensor = RELEASED, *, noise_scale: float = NOISE) -> list[tuple[Tensor, Tensor]]:
    """The parameters after each step, and what is evaluated there."""
    chain = optimisers.create(rules)
    parameters = torch.linspace(-1, 1, released.shape[1], dtype=released.dtype)
    state, found = chain.start(parameters), []
    for step, one in enumerate(released):
        moment = Moment(step=step, steps=len(released), noise_scale=noise_scale, parameters=parameters)
        direction, state = chain.update(one, state, moment)
        parameters = parameters - RATE * direction
        found.append((parameters, chain.evaluated(parameters, state)))
    return found


def directions(rules: Rules, released: Sequence[float], **how: Any) -> list[float]:
    """Of a single parameter."""
    column = torch.tensor(released, dtype=torch.float64)[:, None]
    before = -1.0
    found = []
    for (parameter,), _ in steps(rules, column, **how):
        found.append((before - float(parameter)) / RATE)
        before = float(parameter)
    return found


OF_TORCH: list[tuple[Rules, Callable[[list[Tensor]], torch.optim.Optimizer]]] = [
    ([{"heavy-ball": {"momentum": 0.9}}], lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9)),
    ([{"heavy-ball": {"momentum": 0.0}}], lambda p: torch.optim.SGD(p, lr=RATE)),
    ([{"adam": {}}], lambda p: torch.optim.Adam(p, lr=RATE)),
    (
        [{"adam": {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3}}],
        lambda p: torch.optim.Adam(p, lr=RATE, betas=(0.5, 0.9), eps=1e-3),
    ),
    ([{"nadam": {}}], lambda p: torch.optim.NAdam(p, lr=RATE)),
    (
        [{"nadam": {"beta1": 0.8, "beta2": 0.95, "decay": 0.1, "epsilon": 1e-2}}],
        lambda p: torch.optim.NAdam(p, lr=RATE, betas=(0.8, 0.95), momentum_decay=0.1, eps=1e-2),
    ),
]


@pytest.mark.parametrize(("rules", "make"), OF_TORCH, ids=[str(rules) for rules, _ in OF_TORCH])
def test_steps_are_those_of_torch(rules: Rules, make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
    parameter = nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))
    theirs = make([parameter])
    for gradient, (ours, evaluated) in zip(RELEASED, steps(rules), strict=True):
        parameter.grad = gradient.clone()
        theirs.step()
        # torch keeps NAdam's product of momenta in float32
        torch.testing.assert_close(ours, parameter.detach(), rtol=1e-6, atol=1e-6)
        assert torch.equal(evaluated, ours)


def test_heavy_ball_has_the_bits_of_the_two_lines_that_it_was() -> None:
    released = RELEASED.float()
    parameters, velocity = torch.linspace(-1, 1, 7), torch.zeros(7)
    for gradient, (found, _) in zip(released, steps([{"heavy-ball": {"momentum": 0.9}}], released), strict=True):
        velocity = 0.9 * velocity + gradient
        parameters = parameters - RATE * velocity
        assert torch.equal(found, parameters)


def test_adam_bc_takes_the_noise_out_of_the_second_moment_down_to_its_floor() -> None:
    beta1, beta2, floor, gradients = 0.9, 0.8, 0.01, [0.5, -0.2, 0.31, 0.1, 2.0, -0.3]
    mean = square = 0.0
    expected, corrections = [], []
    for t, gradient in enumerate(gradients, start=1):
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient * gradient
        corrections.append(square / (1 - beta2**t) - NOISE * NOISE)
        expected.append(mean / (1 - beta1**t) / math.sqrt(max(corrections[-1], floor)))
    assert min(corrections) < floor < max(corrections)
    rules = [{"adam-bc": {"beta1": beta1, "beta2": beta2, "floor": floor}}]
    assert directions(rules, gradients) == pytest.approx(expected, rel=1e-9)


def test_adam_bc_without_noise_is_adam_without_its_epsilon() -> None:
    gradients = [1.0, -2.0, 3.0, 0.5]
    adam = directions([{"adam": {"epsilon": 0.0}}], gradients)
    assert directions([{"adam-bc": {}}], gradients, noise_scale=0.0) == pytest.approx(adam, rel=1e-9)


def test_low_pass_is_the_papers_recursion_over_that_of_ones() -> None:
    """``m_t = -a_1 m_{t-1} + b_0 g_t + b_1 g_{t-1}``, and ``c_t`` the same with ones in place of the gradients."""
    a1, b0, b1, gradients = -0.8, 0.15, 0.05, [1.0, -2.0, 0.5, 4.0, 0.0, 1.0]
    expected = []
    filtered = ones = before = 0.0
    for step, gradient in enumerate(gradients):
        filtered = -a1 * filtered + b0 * gradient + b1 * before
        ones = -a1 * ones + b0 + b1 * (step > 0)
        expected.append(filtered / ones)
        before = gradient
    assert directions([{"low-pass": {"decay": -a1, "previous": b1 / b0}}], gradients) == pytest.approx(expected)


def test_low_pass_lets_through_what_is_constant_and_stops_what_alternates() -> None:
    assert directions([{"low-pass": {}}], [3.0] * 5) == pytest.approx([3.0] * 5)
    alternating = directions([{"low-pass": {}}], [(-1.0) ** step for step in range(200)])
    assert abs(alternating[-1]) < 1e-8


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"cosine": {}}], [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
        (
            [{"cosine": {"floor": 0.2}}],
            [1, 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2, 0.6, 0.2 + 0.8 * (1 - math.sqrt(0.5)) / 2],
        ),
        ([{"linear": {}}], [1, 0.75, 0.5, 0.25]),
        ([{"linear": {"floor": 0.2}}], [1, 0.8, 0.6, 0.4]),
        ([{"warm-up": {"share": 0.5}}], [0.5, 1, 1, 1]),
        ([{"warm-up": {"share": 0.75}}], [1 / 3, 2 / 3, 1, 1]),
        ([{"warm-up": {"share": 0.0}}], [1, 1, 1, 1]),
        ([{"warm-up": {"share": 0.5}}, {"linear": {}}], [0.5, 0.75, 0.5, 0.25]),
    ],
    ids=str,
)
def test_schedules_scale_the_direction_by_hand(rules: Rules, expected: list[float]) -> None:
    assert directions(rules, [1.0] * 4) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rules", "make"),
    [
        ([{"cosine": {"floor": 0.1}}], lambda sgd: torch.optim.lr_scheduler.CosineAnnealingLR(sgd, STEPS, RATE / 10)),
        ([{"linear": {"floor": 0.1}}], lambda sgd: torch.optim.lr_scheduler.LinearLR(sgd, 1, 0.1, STEPS)),
    ],
    ids=["cosine", "linear"],
)
def test_schedules_are_those_of_torch(rules: Rules, make: Callable[..., Any]) -> None:
    parameter = nn.Parameter(torch.linspace(-1, 1, 7, dtype=torch.float64))
    sgd = torch.optim.SGD([parameter], lr=RATE)
    schedule = make(sgd)
    for gradient, (ours, _) in zip(RELEASED, steps(rules), strict=True):
        parameter.grad = gradient.clone()
        sgd.step()
        schedule.step()
        torch.testing.assert_close(ours, parameter.detach(), rtol=1e-9, atol=1e-9)


def test_average_is_that_of_the_iterates_with_a_warm_up_and_leaves_the_steps_alone() -> None:
    plain = [parameters for parameters, _ in steps([{"heavy-ball": {"momentum": 0.5}}])]
    averaged = steps([{"heavy-ball": {"momentum": 0.5}}, {"average": {"decay": 0.6}}])
    expected = torch.linspace(-1, 1, 7, dtype=torch.float64)
    for t, (iterate, (parameters, evaluated)) in enumerate(zip(plain, averaged, strict=True), start=1):
        assert torch.equal(parameters, iterate)
        kept = min(0.6, t / (t + 9))
        expected = kept * expected + (1 - kept) * iterate
        torch.testing.assert_close(evaluated, expected, rtol=1e-12, atol=1e-12)


def test_each_rule_gets_the_direction_of_the_one_before() -> None:
    """A schedule in front of momentum decays what is remembered, behind it the step: 1, .5 and 1, 1.5 / 2."""
    ball, linear = {"heavy-ball": {"momentum": 0.5}}, {"linear": {}}
    assert directions([linear, ball], [1.0, 1.0]) == pytest.approx([1, 0.5 + 0.5])
    assert directions([ball, linear], [1.0, 1.0]) == pytest.approx([1, 1.5 / 2])


def test_state_of_a_chain_is_that_of_its_rules_by_name() -> None:
    chain = optimisers.create([{"adam-bc": {}}, {"adam": {}}, {"cosine": {}}])
    state = chain.start(torch.zeros(2))
    assert list(state) == ["adam-bc.mean", "adam-bc.square", "adam.mean", "adam.square"]
    moment = Moment(step=0, steps=1, noise_scale=0.0, parameters=torch.zeros(2))
    _, after = chain.update(torch.tensor([2.0, 0.5]), state, moment)
    assert after["adam-bc.mean"].tolist() == pytest.approx([0.2, 0.05])
    # adam is given signs
    assert after["adam.mean"].tolist() == pytest.approx([0.1, 0.1])
