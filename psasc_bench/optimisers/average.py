from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Average(UpdateRule):
    """Evaluates an exponential average of the iterates: after t steps ``average <- a average + (1 - a) parameters``,
    with ``a = min(decay, t / (t + 9))``, which forgets the initial parameters. Steps go on from the last iterate.

    De et al., 2022, arXiv 2204.13650; the warm-up as in its code, and in TensorFlow's ExponentialMovingAverage.
    """

    title = "average"
    fractions = ("decay",)

    decay: float = 0.9999

    def start(self, parameters: Tensor) -> State:
        return {"average": parameters, "taken": parameters.new_zeros(())}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        # the iterate that this step leads to is not known yet: the next step takes it in, or who evaluates
        average = self.evaluated(moment.parameters, state)
        return gradient, {"average": average, "taken": state["taken"] + 1}

    def evaluated(self, parameters: Tensor, state: State) -> Tensor:
        taken = float(state["taken"])
        kept = min(self.decay, taken / (taken + 9))
        return kept * state["average"] + (1 - kept) * parameters
