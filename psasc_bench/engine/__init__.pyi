from .gradients import ByLayer, GradientBooks, Hook, WeightedSum
from .parameters import flatten, gather, parts, point_at

__all__ = [
    "ByLayer",
    "GradientBooks",
    "Hook",
    "WeightedSum",
    "flatten",
    "gather",
    "parts",
    "point_at",
]
