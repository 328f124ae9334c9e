from .examples import PerExample
from .gradient import PrivateGradient
from .ledger import Ledger, spent
from .naming import method

__all__ = [
    "Ledger",
    "PerExample",
    "PrivateGradient",
    "method",
    "spent",
]
