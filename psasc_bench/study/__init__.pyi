from .config import load_study, parse_study
from .roles import Roles
from .settings import ConfigError
from .spec import RunSpec, Schedule, format_epsilon
from .study import OPTIMISER, Cell, Study
from .trials import Trial, method_trials, sweep_names, sweep_trials

__all__ = [
    "OPTIMISER",
    "Cell",
    "ConfigError",
    "Roles",
    "RunSpec",
    "Schedule",
    "Study",
    "Trial",
    "format_epsilon",
    "load_study",
    "method_trials",
    "parse_study",
    "sweep_names",
    "sweep_trials",
]
