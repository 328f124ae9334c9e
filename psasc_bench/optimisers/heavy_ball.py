from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class HeavyBall(UpdateRule):
    """``v <- momentum v + g``; the direction is ``v``. Where a study gives no ``momentum`` here, that of the data set.

    Polyak, 1964, as in torch.optim.SGD.
    """

    title = "heavy ball"
    fractions = ("momentum",)

    momentum: float

    def start(self, parameters: Tensor) -> State:
        return {"velocity": parameters.new_zeros(parameters.shape)}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        velocity = self.momentum * state["velocity"] + gradient
        return velocity, {"velocity": velocity}
