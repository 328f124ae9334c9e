from dataclasses import dataclass, replace
from typing import Self

from psasc_bench.methods.base import Adaptive, Tensor

BINS = 20


@dataclass(frozen=True, kw_only=True)
class DCSGDP(Adaptive):
    """``w(x) = min(1, C/x)`` with ``C`` the ``percentile`` of the norms, read off a released histogram of 20 bins from
    0 to ``highest``, of which the last has what is above, too. ``x w(x)`` has the supremum ``C``; an example is in one
    bin, so that the histogram has sensitivity 1. Its noise multiplier is ``histogram`` times that of the step.

    Wei et al., DC-SGD: Differentially Private SGD with Dynamic Clipping through Gradient Norm Distribution Estimation,
    2025, arXiv 2503.22988; the values of ``highest`` and ``histogram`` are our choices.
    """

    title = "DC-SGD-P"
    state = ("C",)

    C: float
    percentile: float = 0.5
    highest: float = 10.0
    histogram: float = 5.0

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm.clamp(min=self.C)

    def sensitivity(self) -> float:
        return self.C

    def statistic(self, norms: Tensor) -> Tensor:
        edges = norms.new_tensor([self.highest * i / BINS for i in range(1, BINS)])
        bins = (norms[:, None] > edges).sum(1, keepdim=True)
        return (bins == bins.new_tensor(range(BINS))).to(norms.dtype)

    def statistic_sensitivity(self) -> float:
        return 1.0

    def statistic_multiplier(self, noise_multiplier: float, expected_batch_size: float) -> float:
        return self.histogram * noise_multiplier

    def advance(self, released: Tensor) -> Self:
        mass = released.clamp(min=0).cumsum(0)
        below = int((mass < self.percentile * mass[-1]).sum())
        return replace(self, C=self.highest * (below + 1) / BINS)
