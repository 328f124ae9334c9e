import math
from dataclasses import dataclass

from psasc_bench.methods.base import PerLayer, Tensor


@dataclass(frozen=True, kw_only=True)
class PerLayerClipping(PerLayer):
    """``w(x) = min(1, c/x)`` with ``c = C/sqrt(L)`` for each of ``L`` layers, ``x`` being the norm of its part of the
    gradient. The norm of all parts together, ``sqrt(sum_l (x_l w(x_l))^2)``, has the supremum ``sqrt(L c^2) = C``.

    He et al., Exploring the Limits of Differentially Private Deep Learning with Group-wise Clipping, ICLR 2023, arXiv
    2212.01539, with one fixed threshold for all layers.
    """

    title = "per-layer clipping"

    C: float

    def layer_weights(self, norms: Tensor) -> Tensor:
        threshold = self.C / math.sqrt(norms.shape[1])
        return threshold / norms.clamp(min=threshold)

    def sensitivity(self) -> float:
        return self.C
