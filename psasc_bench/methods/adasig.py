import math
from dataclasses import dataclass, replace
from typing import Self

from psasc_bench.methods.base import SMALLEST, Adaptive, Tensor


@dataclass(frozen=True, kw_only=True)
class AdaSig(Adaptive):
    """``w(x) = C tanh(alpha x/2)/x`` with a slope that moves: ``alpha <- alpha exp(rate s)`` after each step, ``s``
    being the sign of ``d - gain`` and ``d`` the released mean of ``x / (2 cosh(alpha x/2)^2)``, the derivative of
    ``tanh(alpha x/2)``: what a steeper slope adds to the norms that are summed. ``x w(x)`` rises to its supremum ``C``;
    that of the derivative is ``0.44774/alpha``. The sum's noise multiplier is 1.01 times that of the step.

    Our reading of Adaptive Sigmoid Clipping (AdaSig), NeurIPS 2025, openreview.net/forum?id=5JasBI1p8p (not on arXiv),
    whose full text was not available: weight, sensitivities, the share of the noise and the values of ``alpha``,
    ``gain`` (its lambda) and ``rate`` (its lambda_alpha), those of Fashion-MNIST, are the paper's; what the sign is of,
    and that it moves the logarithm of ``alpha``, is ours.
    """

    title = "AdaSig"
    state = ("alpha",)

    C: float
    alpha: float = 1.0
    gain: float = 0.4
    rate: float = 0.01

    def weight(self, norm: Tensor) -> Tensor:
        norm = norm.clamp(min=SMALLEST)
        return self.C * (self.alpha / 2 * norm).tanh() / norm

    def sensitivity(self) -> float:
        return self.C

    def statistic(self, norms: Tensor) -> Tensor:
        tanh = (self.alpha / 2 * norms).tanh()
        return (norms / 2 * (1 - tanh) * (1 + tanh))[:, None]

    def statistic_sensitivity(self) -> float:
        return 0.448 / self.alpha

    def statistic_multiplier(self, noise_multiplier: float, expected_batch_size: float) -> float:
        return noise_multiplier / math.sqrt(1 - 1.01**-2)

    def advance(self, released: Tensor) -> Self:
        sign = math.copysign(1, float(released) - self.gain)
        return replace(self, alpha=self.alpha * math.exp(self.rate * sign))
