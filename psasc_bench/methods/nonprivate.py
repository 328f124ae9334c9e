import math
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class NonPrivate(Method):
    """``w(x) = 1``: ordinary SGD, a control. ``x w(x)`` is unbounded: no noise makes it private, and it gets none."""

    title = "non-private"
    control = True

    def weight(self, norm: Tensor) -> Tensor:
        return norm.new_ones(norm.shape)

    def sensitivity(self) -> float:
        return math.inf
