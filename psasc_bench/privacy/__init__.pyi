from .accounting import LOST, RDP_ORDERS, LossDistribution, epsilon_by_pld, loss_interval
from .budget import Accountant, Budget
from .calibration import calibrate
from .mechanism import noise_scale, privatise, remaining_multiplier
from .sampling import micro_batches, poisson_batch

__all__ = [
    "LOST",
    "RDP_ORDERS",
    "Accountant",
    "Budget",
    "LossDistribution",
    "calibrate",
    "epsilon_by_pld",
    "loss_interval",
    "micro_batches",
    "noise_scale",
    "poisson_batch",
    "privatise",
    "remaining_multiplier",
]
