"""The contract of an update rule: a pure function of what was released, and of a state that it alone makes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # the workflow reads rules on every start, and must not wait seconds for torch

__all__ = ["Moment", "State", "Tensor", "UpdateRule"]

State = Mapping[str, Tensor]  # all that a rule remembers, by names of its own; it goes into checkpoints


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where in a run a release was made: at ``step``, from 0, of ``steps``, at ``parameters [P]``. ``noise_scale`` is
    the standard deviation of each coordinate's noise in what was released: ``noise_multiplier * sensitivity / expected
    batch size``, 0 without privacy."""

    step: int
    steps: int
    noise_scale: float
    parameters: Tensor


@dataclass(frozen=True, kw_only=True)
class UpdateRule(ABC):
    """One way to make a step of a released gradient, or of what other rules have made of it. A run takes the step

        direction, state = update(released, state, moment);  parameters = parameters - learning_rate * direction

    and evaluates ``evaluated(parameters, state)``. This is post-processing, and costs no privacy: a rule sees nothing
    but what was released. It is one file in this folder with one frozen dataclass whose fields are its
    hyper-parameters, numbers from 0; those that ``fractions`` names are below 1. No function changes its arguments, an
    attribute or a global. Its docstring has the formula and the source; its name is the file's, with dashes.
    """

    title: ClassVar[str]  # how tables and figures call it
    fractions: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value, below_one = getattr(self, field.name), field.name in self.fractions
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 <= value < (1 if below_one else math.inf)):
                wanted = "from 0 and less than 1" if below_one else "from 0"
                raise ValueError(f"{field.name} must be a number {wanted}, got {value!r}")

    def start(self, parameters: Tensor) -> State:
        """The state before the first step, at the initial ``parameters [P]``."""
        return {}

    @abstractmethod
    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        """What to go against ``[P]``, of the dtype of ``gradient [P]``, and the state after this step."""

    def evaluated(self, parameters: Tensor, state: State) -> Tensor:
        """The model ``[P]`` that is evaluated, once steps have led to ``parameters [P]``."""
        return parameters
