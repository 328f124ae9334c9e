"""The contract of a method: a weight for every example, and the sensitivity that the noise is calibrated against; and
what more there is to say for one whose settings move with what was released, or that weighs layers apart."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # the workflow reads methods on every start, and must not wait seconds for torch

__all__ = ["LARGEST", "SMALLEST", "Adaptive", "Method", "PerLayer", "Tensor"]

# Of settings and sensitivities: float32, in which steps are computed, then holds their products, and the noise.
SMALLEST, LARGEST = 1e-30, 1e30
MOST_ITERATES = 1000


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """One way to scale per-example gradients. Each step releases

        (sum_i weight(||v_i||) v_i + N(0, (noise_multiplier * sensitivity())^2 I)) / expected batch size,

    where ``v_i`` is example i's gradient or, with ``iterates`` k > 1, its inner momentum: the same example's gradient
    averaged over the last k released iterates with weights ``decay^j``. A method is one file in this folder with one
    frozen dataclass whose fields are its hyper-parameters, all from 1e-30 to 1e30. Its docstring has the formula, the
    supremum that gives the sensitivity, and the citation. Its name is the file's, with dashes: ``dp_sgd.py`` is
    ``dp-sgd``.
    """

    title: ClassVar[str]  # how tables and figures call it
    control: ClassVar[bool] = False  # a yardstick rather than a method to compare
    blind: ClassVar[bool] = False  # its weight is 0 whatever the norm, so that training need not look at an example

    iterates: int = 1
    decay: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and SMALLEST <= value <= LARGEST):
                raise ValueError(f"{field.name} must be a number from {SMALLEST:g} to {LARGEST:g}, got {value!r}")
        if self.iterates not in range(1, MOST_ITERATES + 1):
            raise ValueError(f"iterates must be a whole number from 1 to {MOST_ITERATES}, got {self.iterates!r}")
        if self.decay > 1:
            raise ValueError(f"decay must be at most 1, got {self.decay!r}")

    @abstractmethod
    def weight(self, norm: Tensor) -> Tensor:
        """``w(x) [B]`` for per-example gradient norms ``norm [B]``; finite for every finite norm, 0 and 1e30
        included."""

    @abstractmethod
    def sensitivity(self) -> float:
        """``sup_x x w(x)``: how far adding or removing one example can move the weighted sum, in L2 norm."""

    def peak(self) -> float:
        """The norm where the weight is largest, to four digits, or 0 if it never rises above that of a vanishing
        gradient. Sought on a grid of norms from 1e-8 to 1e8, and then on a finer one around the best of them."""
        import torch

        norms = torch.cat([torch.zeros(1), torch.logspace(-8, 8, 801, dtype=torch.float64)])
        weights = self.weight(norms)
        if float(weights.max()) <= float(weights[0]) * (1 + 1e-12):  # a rise by less is rounding
            return 0.0
        best = int(weights.argmax())
        low, *_, high = norms[best - 1 : best + 2].tolist()
        finer = torch.linspace(low, high, 1001, dtype=torch.float64)
        return float(finer[self.weight(finer).argmax()])


@dataclass(frozen=True, kw_only=True)
class Adaptive(Method):
    """A method some of whose hyper-parameters, its ``state``, move with what was released. Of the same batch as the
    weighted sum, each step also releases

        r = (sum_i statistic(||v_i||) + N(0, (s2 * statistic_sensitivity())^2 I)) / expected batch size,

    and the next step's method is ``advance(r)``. ``s2`` is the ``statistic_multiplier``; the weighted sum's noise
    multiplier is then ``s1`` with ``1/s1^2 + 1/s2^2 = 1/noise_multiplier^2``, so that both together cost what the
    weighted sum alone would cost. ``weight``, ``sensitivity`` and what follows are asked at every step of its own
    settings. An example that is not finite adds nothing to the statistic.
    """

    state: ClassVar[tuple[str, ...]]  # the fields that ``advance`` may change; what a study gives is their first value

    @abstractmethod
    def statistic(self, norms: Tensor) -> Tensor:
        """The values ``[B, m]``, in the norms' dtype, that per-example gradient norms ``[B]`` add to the statistic;
        each a function of its own norm, finite for every finite norm."""

    @abstractmethod
    def statistic_sensitivity(self) -> float:
        """``sup_x ||statistic(x)||_2``: how far adding or removing one example can move the sum of the values."""

    @abstractmethod
    def statistic_multiplier(self, noise_multiplier: float, expected_batch_size: float) -> float:
        """``s2``, larger than the ``noise_multiplier`` of the whole step, and the same whatever the state."""

    @abstractmethod
    def advance(self, released: Tensor) -> Self:
        """The method of the next step, by the released statistic ``[m]`` and its own fields alone. Its noise may be
        larger than the statistic, and below 0: keep the settings in their range."""


@dataclass(frozen=True, kw_only=True)
class PerLayer(Method):
    """A method that weighs each layer of an example by itself. A layer is a module with its own trainable parameters;
    one that is shared belongs to the first module that has it. ``sensitivity`` is that of all layers together,
    ``sup sqrt(sum_l (x_l w_l)^2)``, whatever their number."""

    @abstractmethod
    def layer_weights(self, norms: Tensor) -> Tensor:
        """The weights ``[B, L]`` of the gradients of ``L`` layers, for their norms ``[B, L]``; finite as ``weight``."""

    def weight(self, norm: Tensor) -> Tensor:
        """That of a model of one layer."""
        return self.layer_weights(norm[:, None])[:, 0]

    def peak(self) -> float:
        """NaN: no example's norm has one weight."""
        return math.nan
