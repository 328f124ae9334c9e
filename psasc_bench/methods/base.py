"""The contract of a method: a weight for every example, and the sensitivity that the noise is calibrated against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any  # the workflow reads methods on every start, and must not wait seconds for torch

__all__ = ["LARGEST", "SMALLEST", "Method", "Tensor"]

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
