from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class LowPass(UpdateRule):
    """A recursive filter of the first order, ``m_t = decay m_{t-1} + g_t + previous g_{t-1}``, divided by the same
    recursion fed with ones from the first step on, so that a constant gradient comes out as it is from the start.

    DOPPLER: Zhang et al., NeurIPS 2024, arXiv 2408.13460. There ``m_t = -a_1 m_{t-1} + b_0 g_t + b_1 g_{t-1}``:
    ``decay`` is ``-a_1`` and ``previous`` is ``b_1 / b_0``, for ``b_0`` cancels. At ``previous`` 1 the filter stops the
    highest frequency altogether; at 0 it is Adam's first moment.
    """

    title = "low-pass"
    fractions = ("decay",)

    decay: float = 0.9
    previous: float = 1.0

    def start(self, parameters: Tensor) -> State:
        zeros = parameters.new_zeros(parameters.shape)
        return {"filtered": zeros, "gradient": zeros}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        filtered = self.decay * state["filtered"] + gradient + self.previous * state["gradient"]
        of_ones = 1 - self.decay ** (moment.step + 1) + self.previous * (1 - self.decay**moment.step)
        return filtered * ((1 - self.decay) / of_ones), {"filtered": filtered, "gradient": gradient}
