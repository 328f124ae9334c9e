from .cards import choose_place, share_of
from .deviation import along_one_trajectory
from .fit import check_fit
from .inputs import choose_device, prepared_dataset, read_budget, schedule_budget
from .loop import Examples, train
from .runner import empty_spool, train_run
from .step import (
    GradientSum,
    Objective,
    Released,
    Shares,
    View,
    advanced,
    averaging,
    release,
    release_statistic,
    releases,
    shares,
    weight_of,
)

__all__ = [
    "Examples",
    "GradientSum",
    "Objective",
    "Released",
    "Shares",
    "View",
    "advanced",
    "along_one_trajectory",
    "averaging",
    "check_fit",
    "choose_device",
    "choose_place",
    "empty_spool",
    "prepared_dataset",
    "read_budget",
    "release",
    "release_statistic",
    "releases",
    "schedule_budget",
    "share_of",
    "shares",
    "train",
    "train_run",
    "weight_of",
]
