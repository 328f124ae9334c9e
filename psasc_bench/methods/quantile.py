import math
from dataclasses import dataclass, replace
from typing import Self

from psasc_bench.methods.base import Adaptive, Tensor


@dataclass(frozen=True, kw_only=True)
class Quantile(Adaptive):
    """``w(x) = min(1, C/x)`` with ``C <- C exp(-eta (b - gamma))`` after each step, ``b`` being the released share of
    examples with ``x <= C``: clipping at about the ``gamma`` quantile of the norms. ``x w(x)`` has the supremum ``C``.

    What is counted is 1 or 0 less 1/2, which has sensitivity 1/2. The noise on the count has the standard deviation
    ``B/20``, ``B`` being the expected batch size: ``B/10`` times the sensitivity.

    Andrew et al., Differentially Private Learning with Adaptive Clipping, NeurIPS 2021, arXiv 1905.03871.
    """

    title = "quantile clipping"
    state = ("C",)

    C: float
    eta: float = 0.2
    gamma: float = 0.5

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm.clamp(min=self.C)

    def sensitivity(self) -> float:
        return self.C

    def statistic(self, norms: Tensor) -> Tensor:
        return (norms <= self.C).to(norms.dtype)[:, None] - 0.5

    def statistic_sensitivity(self) -> float:
        return 0.5

    def statistic_multiplier(self, noise_multiplier: float, expected_batch_size: float) -> float:
        return expected_batch_size / 10

    def advance(self, released: Tensor) -> Self:
        below = float(released) + 0.5
        return replace(self, C=self.C * math.exp(-self.eta * (below - self.gamma)))
