from dataclasses import dataclass

from psasc_bench.methods.base import SMALLEST, Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Method):
    """``w(x) = C tanh(alpha x/2)/x``, which is ``C alpha/2`` at 0: a sigmoid of fixed slope. ``x w(x)`` rises to its
    supremum ``C``.

    The fixed-slope baseline of Adaptive Sigmoid Clipping (AdaSig), NeurIPS 2025, openreview.net/forum?id=5JasBI1p8p,
    which is not on arXiv.
    """

    title = "sigmoid"

    C: float
    alpha: float = 1.0

    def weight(self, norm: Tensor) -> Tensor:
        norm = norm.clamp(min=SMALLEST)
        return self.C * (self.alpha / 2 * norm).tanh() / norm

    def sensitivity(self) -> float:
        return self.C
