from .library import Ledger, PrivateGradient, method, spent
from .methods import Adaptive, Method, PerLayer
from .privacy import Budget, calibrate, poisson_batches

__version__: str

__all__ = [
    "Adaptive",
    "Budget",
    "Ledger",
    "Method",
    "PerLayer",
    "PrivateGradient",
    "calibrate",
    "method",
    "poisson_batches",
    "spent",
]
