"""What a cell may spend, and the noise that spends it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from psasc_bench.files import json_number

RELATION = "add or remove one example"
# By what the noise of a budget is calibrated: Renyi differential privacy, as published, or privacy loss distributions.
Accountant = Literal["rdp", "pld"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one cell may spend and the noise that spends it. ``epsilon`` is the target, infinite without privacy;
    ``epsilon_rdp`` and ``epsilon_pld`` are what ``steps`` releases at ``noise_multiplier`` cost at ``delta``. That of
    the ``accountant`` by which the noise was calibrated is within the target; by the other it may be above."""

    epsilon: float
    delta: float
    sampling_rate: float
    steps: int
    noise_multiplier: float
    epsilon_rdp: float
    epsilon_pld: float
    relation: str = RELATION
    accountant: Accountant = "rdp"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; infinity is the string ``inf``, and RDP goes without saying."""
        values = {key: json_number(value) if isinstance(value, float) else value for key, value in asdict(self).items()}
        if self.accountant == "rdp":
            del values["accountant"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Budget:
        """The inverse of ``to_json``. Raises ``TypeError`` for missing or unknown keys."""
        numbers: dict[str, Any] = {key: math.inf if value == "inf" else value for key, value in values.items()}
        return cls(**numbers)
