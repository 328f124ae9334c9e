"""Update rules that see more than what was released, or are no functions of it, each with the check to refuse it."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from psasc_bench.optimisers import Moment, State, UpdateRule
from psasc_bench.training import Objective
from psasc_bench.training.step import GradientSum

SEEN: list[Tensor] = []
LEFT_BEHIND: dict[str, Any] = {}  # where an engine with a bug puts its last sum


def _alive(kind: type) -> list[Any]:
    return [one for one in gc.get_objects() if type(one) is kind]


@dataclass(frozen=True, kw_only=True)
class _Plain(UpdateRule):
    """SGD, for what is wrong to be added to."""

    title = "bad"

    def update(self, gradient: Tensor, state: State, _: Moment) -> tuple[Tensor, State]:
        return gradient + self.added(gradient), state

    def added(self, gradient: Tensor) -> Tensor:
        raise NotImplementedError


# ------------------------------------------------------------------------------- rules that look at what is private


class FindsTheSum(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        sums = [one.total for one in _alive(GradientSum)]
        return sum(one for one in sums if one.shape == gradient.shape) - gradient


class FindsTheNorms(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        return gradient * sum(float(one.norms.sum()) for one in _alive(GradientSum))


class LooksAtItsCaller(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        frame: Any = sys._getframe()
        while frame and "gradient_sum" not in frame.f_locals:
            frame = frame.f_back
        return frame.f_locals["gradient_sum"].total if frame else 0 * gradient


class AsksForLosses(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        objectives = [one for one in _alive(Objective) if one.parameters.shape == gradient.shape]
        with torch.no_grad():
            return gradient * sum(float(one.losses(torch.arange(2))[0]().sum()) for one in objectives)


class ReadsTheModelsGrad(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        parameters = _alive(nn.Parameter)
        return gradient * sum(float(one.grad.sum()) for one in parameters if one.grad is not None)


class ReadsWhatTheEngineLeft(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        left = LEFT_BEHIND.get("total")
        return 0 * gradient if left is None or left.shape != gradient.shape else left


# ------------------------------------------------------------------------------- rules that are no functions


class Remembers(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        SEEN.append(gradient)
        return sum(one for one in SEEN if one.shape == gradient.shape) / len(SEEN)


class ChangesItself(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        velocity = getattr(self, "velocity", gradient)
        if velocity.shape != gradient.shape:
            velocity = gradient
        object.__setattr__(self, "velocity", 0.9 * velocity + gradient)
        return velocity


class KeepsAnAttribute(_Plain):
    """Starts afresh at the first step, so that runs do not mix: but a checkpoint knows nothing of it."""

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        before = self.__dict__.get("velocity", 0 * gradient) if moment.step else 0 * gradient
        object.__setattr__(self, "velocity", 0.9 * before + gradient)
        return self.__dict__["velocity"], state


class _Box:
    velocity: Tensor | None = None


BOX = _Box()
FIRST: list[float] = []


class KeepsAnObject(_Plain):
    """Momentum in an object of the module, which starts afresh at the first step."""

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        BOX.velocity = gradient if moment.step == 0 or BOX.velocity is None else 0.9 * BOX.velocity + gradient
        return BOX.velocity, state


class ScalesByTheFirst(_Plain):
    """By the norm of the first release of all, which is there when the first check has been made."""

    def added(self, gradient: Tensor) -> Tensor:
        FIRST[1:] = []
        FIRST.append(1 + float(gradient.norm()))
        return gradient / FIRST[0]


class Draws(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        return torch.randn(gradient.shape, dtype=gradient.dtype)


class OverwritesTheRelease(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        return gradient.mul_(0.5)


class AveragesInPlace(_Plain):
    def start(self, parameters: Tensor) -> State:
        return {"velocity": parameters.new_zeros(parameters.shape)}

    def update(self, gradient: Tensor, state: State, _: Moment) -> tuple[Tensor, State]:
        return state["velocity"].mul_(0.9).add_(gradient), state


class GrowsAState(_Plain):
    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return gradient, {**state, f"gradient {moment.step}": gradient}


class LateState(_Plain):
    """Has a state from the twentieth step on."""

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return gradient, {"late": gradient.new_zeros(3)} if moment.step >= 20 else state


class InSinglePrecision(_Plain):
    def update(self, gradient: Tensor, state: State, _: Moment) -> tuple[Tensor, State]:
        return gradient.float(), state


class TheMean(_Plain):
    def update(self, gradient: Tensor, state: State, _: Moment) -> tuple[Tensor, State]:
        return gradient.mean(), state


class DividesByZero(_Plain):
    def added(self, gradient: Tensor) -> Tensor:
        return gradient / gradient.abs()


class NoPair(_Plain):
    def update(self, gradient: Tensor, *_: Any) -> Any:
        return gradient


class Raises(_Plain):
    def added(self, _: Tensor) -> Tensor:
        raise RuntimeError("no step today")


class Exits(_Plain):
    def added(self, _: Tensor) -> Tensor:
        raise SystemExit("no\nstep")


PEEKING = (
    FindsTheSum,
    FindsTheNorms,
    LooksAtItsCaller,
    AsksForLosses,
    ReadsTheModelsGrad,
    ReadsWhatTheEngineLeft,
)
BAD: list[tuple[type[UpdateRule], str]] = [
    *((rule, "post-processing") for rule in PEEKING),
    *((rule, "no memory") for rule in (Remembers, ChangesItself, KeepsAnObject, ScalesByTheFirst, Draws)),
    *((rule, "resumed") for rule in (KeepsAnAttribute,)),
    *((rule, "form of directions") for rule in (OverwritesTheRelease, AveragesInPlace, GrowsAState, LateState)),
    *((rule, "form of directions") for rule in (InSinglePrecision, TheMean)),
    (DividesByZero, "finite steps"),
]
