"""What an optimiser does with what was released, as training asks it: figures for the ``battery``.

A figure's docstring begins with what the battery prints beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from psasc_bench import methods, plugins
from psasc_bench.evidence.snapshots import Snapshot
from psasc_bench.evidence.worst_cases import networks
from psasc_bench.optimisers import Chain, Moment, State, UpdateRule

STEPS, LONG = 12, 50
LEARNING_RATE = 0.1
EXAMPLES = 6
NOISE_SCALE = 0.25


def fault(chain: Chain) -> str | None:
    """What is wrong with the form of what a rule gives, of the first that is wrong; none for what else goes wrong."""
    parameters = torch.zeros(3)
    moment = Moment(step=0, steps=1, noise_scale=NOISE_SCALE, parameters=parameters)
    for name, rule in chain.rules.items():
        try:
            given: object = rule.update(parameters.clone(), rule.start(parameters), moment)
        except plugins.FAULTS:  # each check says so
            return None
        match given:
            case (Tensor(), Mapping()):
                continue
            case tuple():
                returns = f"({', '.join(type(part).__name__ for part in given)})"
            case _:
                returns = type(given).__name__
        return f"{name}: update must return (direction, state), a tensor and a dict, returns {returns}"
    return None


def post_processing(chain: Chain) -> float:
    """coordinates of what 12 steps lead to that differ with the private data, where all that was released is the same

    **Why an optimiser costs no privacy.** Its state and the parameters are functions of the releases before and of
    public numbers alone, so each release is a mechanism chosen adaptively by what was released, as the accountants
    assume, and all that follows from the releases is post-processing of them. The check is of the premise: whatever
    the engine leaves behind of the examples is there while the rules run, and they must not find it.
    """
    return _differing(_trajectory(chain, data=1), _trajectory(chain, data=2))


def repeated(chain: Chain) -> float:
    """coordinates that differ when a run is repeated after another"""
    first = _trajectory(chain, data=1)
    _trajectory(chain, data=2, releases=3)
    return _differing(first, _trajectory(chain, data=1))


def memory(before: Snapshot) -> float:
    """coordinates that differ when a run is repeated after another, and attributes, globals and generators that all of
    these checks change"""
    differing = repeated(Chain({name: rule for name, rule in before.subjects.items() if isinstance(rule, UpdateRule)}))
    return differing + before.changes()


def resumed(chain: Chain) -> float:
    """coordinates that differ when a run goes on, half way, from a copy of its state, by rules made anew"""
    return _differing(_trajectory(chain, data=1), _trajectory(chain, data=1, resumed=True))


def form(chain: Chain) -> float:
    """directions, states and evaluated models of another shape, dtype or device than they should have, and arguments
    that are changed, in 50 steps"""
    wrong = 0
    for dtype in (torch.float32, torch.float64):
        parameters, released = torch.linspace(-1, 1, 7, dtype=dtype), torch.linspace(2, -2, 7, dtype=dtype)
        state = chain.start(parameters)
        for step in range(LONG):
            given = [parameters, released, *state.values()]
            copies = [tensor.clone() for tensor in given]
            moment = Moment(step=step, steps=LONG, noise_scale=NOISE_SCALE, parameters=parameters)
            direction, after = chain.update(released, state, moment)
            evaluated = chain.evaluated(parameters, after)
            wrong += sum(not _alike(one, parameters) for one in (direction, evaluated))
            wrong += len(state.keys() ^ after.keys())
            wrong += sum(not _alike(after[key], state[key]) for key in state.keys() & after.keys())
            wrong += sum(not torch.equal(tensor, copy) for tensor, copy in zip(given, copies, strict=True))
            state = after
    return float(wrong)


def finite(chain: Chain) -> float:
    """coordinates that are NaN or infinite after runs of one step and more, with releases of 0 and 1e-15 to 1e15"""
    found = 0
    for size in (0.0, 1e-15, 1e-6, 1.0, 1e6, 1e15):
        for steps in (1, 2, STEPS):
            parameters = torch.zeros(5)
            state = chain.start(parameters)
            for step in range(steps):
                moment = Moment(step=step, steps=steps, noise_scale=NOISE_SCALE, parameters=parameters)
                direction, state = chain.update(torch.linspace(-size, size, 5), state, moment)
                parameters = parameters - LEARNING_RATE * direction
                found += sum(int((~one.isfinite()).sum()) for one in (parameters, chain.evaluated(parameters, state)))
    return float(found)


def _trajectory(chain: Chain, *, data: int, releases: int = 0, resumed: bool = False) -> list[Tensor]:
    """The parameters after each step and what is evaluated there, on ``data`` and ``releases`` of these seeds."""
    private, public = (torch.Generator().manual_seed(seed) for seed in (data, releases))
    objective = networks(torch.ones(EXAMPLES, dtype=torch.float64), generator=private)["convolutions"]
    method, batch = methods.create("dp-sgd", {"C": 1.0}), torch.arange(EXAMPLES)
    parameters = torch.randn(objective.parameters.shape, dtype=torch.float64, generator=public)
    state, found = chain.start(parameters), []
    for step in range(STEPS):
        if resumed and step == STEPS // 2:
            chain, state = _made_anew(chain), _copied(state)
        # as in training, what the step knows of the examples is still there when the rules are asked
        gradient_sum = objective.gradient_sum(method, batch, micro_batch_size=4, iterates=[parameters])
        released = torch.randn(gradient_sum.total.shape, dtype=torch.float64, generator=public)
        moment = Moment(step=step, steps=STEPS, noise_scale=NOISE_SCALE, parameters=parameters)
        direction, state = chain.update(released, state, moment)
        parameters = parameters - LEARNING_RATE * direction
        found += [parameters, chain.evaluated(parameters, state)]
    return found


def _made_anew(chain: Chain) -> Chain:
    return Chain({name: replace(rule) for name, rule in chain.rules.items()})


def _copied(state: State) -> State:
    """By way of numpy, as a checkpoint keeps it."""
    return {key: torch.from_numpy(tensor.numpy().copy()) for key, tensor in state.items()}


def _differing(one: list[Tensor], two: list[Tensor]) -> float:
    """NaN is the same as NaN: that a number is none, another check says."""
    pairs = zip(one, two, strict=True)
    return float(
        sum(int((~torch.isclose(first, second, rtol=0, atol=0, equal_nan=True)).sum()) for first, second in pairs)
    )


def _alike(one: Tensor, two: Tensor) -> bool:
    return (one.shape, one.dtype, one.device) == (two.shape, two.dtype, two.device)
