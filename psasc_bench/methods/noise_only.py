from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class NoiseOnly(Method):
    """``w(x) = 0``: the noise of sensitivity ``C`` and no signal, a control. It scores what chance scores."""

    title = "noise only"
    control = True
    blind = True

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return norm.new_zeros(norm.shape)

    def sensitivity(self) -> float:
        return self.C
