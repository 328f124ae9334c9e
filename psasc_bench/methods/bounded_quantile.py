from dataclasses import dataclass, replace
from typing import Self

from psasc_bench.methods.base import Tensor
from psasc_bench.methods.quantile import Quantile


@dataclass(frozen=True, kw_only=True)
class BoundedQuantile(Quantile):
    """``w(x) = min(1, C/x)`` with the ``C`` of quantile clipping, but after no step below ``lowest``. ``x w(x)`` has
    the supremum ``C``.

    Zhao et al., Mitigating Disparate Impact of Differentially Private Learning through Bounded Adaptive Clipping, 2025,
    arXiv 2506.01396; the value of ``lowest`` is our choice.
    """

    title = "bounded quantile clipping"

    lowest: float = 0.1

    def advance(self, released: Tensor) -> Self:
        moved = super().advance(released)
        return replace(moved, C=max(self.lowest, moved.C))
