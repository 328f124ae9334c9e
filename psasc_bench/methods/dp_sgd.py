from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class DPSGD(Method):
    """``w(x) = min(1, C/x)``: clipping. ``x w(x) = min(x, C)``, with supremum ``C``.

    Abadi et al., Deep Learning with Differential Privacy, CCS 2016, arXiv 1607.00133.
    """

    title = "DP-SGD"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm.clamp(min=self.C)

    def sensitivity(self) -> float:
        return self.C
