from .gradients import ByLayer, GradientBooks, WeightedSum
from .parameters import flatten, gather, parts, point_at

__all__ = [
    "ByLayer",
    "GradientBooks",
    "WeightedSum",
    "flatten",
    "gather",
    "parts",
    "point_at",
]
