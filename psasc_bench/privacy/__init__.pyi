from .accounting import RDP_ORDERS, Budget, LossDistribution, calibrate, epsilon_by_pld, loss_interval
from .mechanism import noise_scale, privatise
from .sampling import micro_batches, poisson_batch

__all__ = [
    "RDP_ORDERS",
    "Budget",
    "LossDistribution",
    "calibrate",
    "epsilon_by_pld",
    "loss_interval",
    "micro_batches",
    "noise_scale",
    "poisson_batch",
    "privatise",
]
