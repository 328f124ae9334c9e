from ._catalogue import create_rule, describe, fingerprint, load, names, parameters
from ._chain import Chain, Rules, create, listed
from .base import Moment, State, UpdateRule

__all__ = [
    "Chain",
    "Moment",
    "Rules",
    "State",
    "UpdateRule",
    "create",
    "create_rule",
    "describe",
    "fingerprint",
    "listed",
    "load",
    "names",
    "parameters",
]
