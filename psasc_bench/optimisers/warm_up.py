from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class WarmUp(UpdateRule):
    """The direction times ``min(1, (step + 1) / (share * steps))``: the learning rate rises in a straight line over
    this ``share`` of the run.

    Goyal et al., 2017, arXiv 1706.02677.
    """

    title = "warm-up"
    fractions = ("share",)

    share: float = 0.05

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return gradient * min(1.0, (moment.step + 1) / max(1.0, self.share * moment.steps)), state
