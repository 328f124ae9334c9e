from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class NAdam(UpdateRule):
    """Adam with Nesterov momentum: with ``mu_t = beta1 (1 - 0.96^(t decay) / 2)``, and ``m`` and ``v_hat`` as in Adam,
    after t steps the direction is

        ((1 - mu_t) g / (1 - mu_1 .. mu_t) + mu_{t+1} m / (1 - mu_1 .. mu_{t+1})) / (sqrt(v_hat) + epsilon).

    Dozat, ICLR 2016 workshop, as in torch.optim.NAdam, where ``decay`` is ``momentum_decay``.
    """

    title = "NAdam"
    fractions = ("beta1", "beta2")

    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 0.004
    epsilon: float = 1e-8

    def start(self, parameters: Tensor) -> State:
        zeros = parameters.new_zeros(parameters.shape)
        return {"mean": zeros, "square": zeros, "product": parameters.new_ones(())}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        steps = moment.step + 1
        now, later = (self.beta1 * (1 - 0.5 * 0.96 ** (step * self.decay)) for step in (steps, steps + 1))
        mean = self.beta1 * state["mean"] + (1 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1 - self.beta2) * gradient**2
        product = state["product"] * now
        ahead = (1 - now) / (1 - product) * gradient + later / (1 - product * later) * mean
        scale = (square / (1 - self.beta2**steps)).sqrt() + self.epsilon
        return ahead / scale, {"mean": mean, "square": square, "product": product}
