from ._catalogue import called, create_rule, describe, fingerprint, identity, load, names, parameters
from ._chain import Chain, Rules, create, listed
from .base import Moment, State, UpdateRule

__all__ = [
    "Chain",
    "Moment",
    "Rules",
    "State",
    "UpdateRule",
    "called",
    "create",
    "create_rule",
    "describe",
    "fingerprint",
    "identity",
    "listed",
    "load",
    "names",
    "parameters",
]
