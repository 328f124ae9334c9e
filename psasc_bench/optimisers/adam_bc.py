from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class AdamBC(UpdateRule):
    """Adam without the bias that noise gives the second moment: with ``m_hat`` and ``v_hat`` as in Adam, the direction
    is ``m_hat / sqrt(max(v_hat - noise_scale^2, floor))``. It stands first in a chain, for ``noise_scale`` is that of
    what was released. The ``floor``, in units of a squared gradient, is tuned with the learning rate.

    Tang, Shpilevskiy & Lecuyer, DP-AdamBC, AAAI 2024, arXiv 2312.14334.
    """

    title = "AdamBC"
    fractions = ("beta1", "beta2")

    beta1: float = 0.9
    beta2: float = 0.999
    floor: float = 5e-8

    def start(self, parameters: Tensor) -> State:
        zeros = parameters.new_zeros(parameters.shape)
        return {"mean": zeros, "square": zeros}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        mean = self.beta1 * state["mean"] + (1 - self.beta1) * gradient
        square = self.beta2 * state["square"] + (1 - self.beta2) * gradient**2
        steps = moment.step + 1
        mean_hat, square_hat = mean / (1 - self.beta1**steps), square / (1 - self.beta2**steps)
        corrected = (square_hat - moment.noise_scale**2).clamp(min=self.floor)
        return mean_hat / corrected.sqrt(), {"mean": mean, "square": square}
