from .accounting import LOST, RDP_ORDERS, LossDistribution, epsilon_by_pld, epsilon_by_rdp, loss_interval
from .budget import RELATION, Accountant, Budget
from .calibration import calibrate
from .mechanism import noise_scale, privatise, remaining_multiplier
from .sampling import micro_batches, poisson_batch, poisson_batches, unpredictable_generator

__all__ = [
    "LOST",
    "RDP_ORDERS",
    "RELATION",
    "Accountant",
    "Budget",
    "LossDistribution",
    "calibrate",
    "epsilon_by_pld",
    "epsilon_by_rdp",
    "loss_interval",
    "micro_batches",
    "noise_scale",
    "poisson_batch",
    "poisson_batches",
    "privatise",
    "remaining_multiplier",
    "unpredictable_generator",
]
