from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Adam(UpdateRule):
    """``m <- beta1 m + (1 - beta1) g``, ``v <- beta2 v + (1 - beta2) g^2``; after t steps the direction is
    ``m_hat / (sqrt(v_hat) + epsilon)``, with ``m_hat = m / (1 - beta1^t)`` and ``v_hat = v / (1 - beta2^t)``.

    Kingma & Ba, Adam, ICLR 2015, arXiv 1412.6980, as in torch.optim.Adam.
    """

    title = "Adam"
    fractions = ("beta1", "beta2")

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, parameters: Tensor) -> State:
        zeros = parameters.new_zeros(parameters.shape)
        return {"mean": zeros, "square": zeros}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        mean = self.beta1 * state["mean"] + (1 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1 - self.beta2) * gradient**2
        steps = moment.step + 1
        mean_hat, square_hat = mean / (1 - self.beta1**steps), square / (1 - self.beta2**steps)
        return mean_hat / (square_hat.sqrt() + self.epsilon), {"mean": mean, "square": square}
