from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor

LEAST_NORM = 1e-12  # of smaller gradients, float32 loses the squares: what is taken for 0 must not be blown up


@dataclass(frozen=True, kw_only=True)
class AutoV(Method):
    """``w(x) = C/max(x, 1e-12)``: every gradient is brought to the norm ``C``, but for those that vanish. ``x w(x)``
    has the supremum ``C``.

    Bu et al., Automatic Clipping, NeurIPS 2023, arXiv 2206.07136.
    """

    title = "Auto-V"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm.clamp(min=LEAST_NORM)

    def sensitivity(self) -> float:
        return self.C
