from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class NSGD(Method):
    """``w(x) = C/(x + r)``: normalisation with a tuned regulariser. ``x w(x)`` rises to its supremum ``C``.

    Yang et al., Normalized/Clipped SGD with Perturbation for Differentially Private Non-Convex Optimization, 2022,
    arXiv 2206.13033.
    """

    title = "NSGD"

    C: float
    r: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + self.r)

    def sensitivity(self) -> float:
        return self.C
