from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Linear(UpdateRule):
    """The direction times ``1 - (1 - floor) step / steps``: the learning rate falls in a straight line, from all of it
    to the fraction ``floor``, as in torch.optim.lr_scheduler.LinearLR.
    """

    title = "linear"
    fractions = ("floor",)

    floor: float = 0.0

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return gradient * (1 - (1 - self.floor) * moment.step / moment.steps), state
