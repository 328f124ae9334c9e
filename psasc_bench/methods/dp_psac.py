from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class DPPSAC(Method):
    """``w(x) = C/(x + r/(x + r))``: per-sample adaptive clipping. ``x w(x)`` rises to its supremum ``C``.

    Xia et al., Differentially Private Learning with Per-Sample Adaptive Clipping, AAAI 2023, arXiv 2212.00328.
    """

    title = "DP-PSAC"

    C: float
    r: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + self.r / (norm + self.r))

    def sensitivity(self) -> float:
        return self.C
