from .accounting import Budget, LossDistribution, calibrate
from .mechanism import noise_scale, privatise
from .sampling import micro_batches, poisson_batch

__all__ = [
    "Budget",
    "LossDistribution",
    "calibrate",
    "micro_batches",
    "noise_scale",
    "poisson_batch",
    "privatise",
]
