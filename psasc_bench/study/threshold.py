"""The ``C`` that gives a method a sensitivity."""

from __future__ import annotations

import math
from collections.abc import Mapping

from psasc_bench import methods
from psasc_bench.study.settings import ConfigError, hyperparameters


def threshold(name: str, settings: Mapping[str, float], *, sensitivity: float) -> float:
    """The ``C`` at which method ``name``, with these ``settings`` besides, has this sensitivity. Raises ``ConfigError``
    if the one is not proportional to the other, ``ValueError`` for settings that the method has not."""
    parameters = hyperparameters(settings)

    def at(value: float) -> float:
        return methods.sensitivity(name, methods.create(name, parameters | {"C": value}))

    found = sensitivity / at(1.0)
    if not math.isclose(at(found), sensitivity):
        raise ConfigError(f"sensitivity: that of {name} is not proportional to its C; vary C itself")
    return found
