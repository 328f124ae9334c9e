from .adapter import make_private
from .optimizers import EngineOptimizer, GhostOptimizer, HooksOptimizer

__all__ = [
    "EngineOptimizer",
    "GhostOptimizer",
    "HooksOptimizer",
    "make_private",
]
