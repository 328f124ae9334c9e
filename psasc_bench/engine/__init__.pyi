from .gradients import GradientBooks, WeightedSum
from .parameters import flatten, gather, point_at

__all__ = [
    "GradientBooks",
    "WeightedSum",
    "flatten",
    "gather",
    "point_at",
]
