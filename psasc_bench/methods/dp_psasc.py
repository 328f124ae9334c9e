from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class DPPSASC(Method):
    """``w(x) = C/(s x + r/(x + r))``: per-sample adaptive scaling. ``x w(x)`` rises to its supremum ``C/s``.

    Our reading of Huang et al., 2024, arXiv 2411.03059, whose full text was not available. ``s = 1`` is DP-PSAC.
    """

    title = "DP-PSASC"

    C: float
    s: float
    r: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (self.s * norm + self.r / (norm + self.r))

    def sensitivity(self) -> float:
        return self.C / self.s
