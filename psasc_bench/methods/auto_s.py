from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class AutoS(Method):
    """``w(x) = C/(x + gamma)``: automatic clipping. ``x w(x)`` rises to its supremum ``C``.

    Bu et al., Automatic Clipping, NeurIPS 2023, arXiv 2206.07136.
    """

    title = "Auto-S"

    C: float
    gamma: float = 0.01

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + self.gamma)

    def sensitivity(self) -> float:
        return self.C
