import math
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Cosine(UpdateRule):
    """The direction times ``floor + (1 - floor) (1 + cos(pi step / steps)) / 2``: the learning rate falls along half a
    cosine, from all of it to the fraction ``floor``.

    Loshchilov & Hutter, SGDR, ICLR 2017, arXiv 1608.03983, as in torch.optim.lr_scheduler.CosineAnnealingLR.
    """

    title = "cosine"
    fractions = ("floor",)

    floor: float = 0.0

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        fallen = (1 - math.cos(math.pi * moment.step / moment.steps)) / 2
        return gradient * (1 - (1 - self.floor) * fallen), state
