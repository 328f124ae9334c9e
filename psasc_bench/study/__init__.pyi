from .config import load_study, locate_files, parse_study
from .identity import known_identities, spec_identity, varied_settings
from .roles import Roles, default_roles_of
from .settings import STANDING_FOR, ConfigError
from .spec import RunSpec, Schedule, format_epsilon
from .study import Cell, Study
from .trials import Trial, method_trials, sweep_names, sweep_trials

__all__ = [
    "STANDING_FOR",
    "Cell",
    "ConfigError",
    "Roles",
    "RunSpec",
    "Schedule",
    "Study",
    "Trial",
    "default_roles_of",
    "format_epsilon",
    "known_identities",
    "load_study",
    "locate_files",
    "method_trials",
    "parse_study",
    "spec_identity",
    "sweep_names",
    "sweep_trials",
    "varied_settings",
]
