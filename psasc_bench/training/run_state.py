"""All that a run carries from one step to the next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from psasc_bench import optimisers
from psasc_bench.clock import Clock
from psasc_bench.methods import Method, state_of
from psasc_bench.training.checkpoint import Numbers, Tensors
from psasc_bench.training.diagnostics import Diagnostics

OPTIMISER = "optimiser."  # before the names of what update rules keep
NUMBERS = ("step", "nonfinite_examples", "curve", "resumed_at", "predictions")


@dataclass
class State:
    """Restored, it goes on as if it had never stopped. ``parameters`` are ``[P]``, as are the past ``iterates``, oldest
    first; ``optimiser`` is the state of the update rules; ``method`` is the next step's; ``resumed_at`` are the steps
    after which it was restored; ``predictions`` are those at the end of the last epoch."""

    parameters: Tensor
    optimiser: optimisers.State
    iterates: deque[Tensor]
    draws: torch.Generator
    noise: torch.Generator
    statistic_noise: torch.Generator
    method: Method
    step: int = 0
    nonfinite_examples: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    clock: Clock = field(default_factory=Clock)
    resumed_at: list[int] = field(default_factory=list)
    predictions: dict[str, Any] | None = None

    def pack(self) -> tuple[Numbers, Tensors]:
        """For a checkpoint."""
        numbers: Numbers = {key: getattr(self, key) for key in NUMBERS}
        tensors = {
            "parameters": self.parameters,
            "iterates": torch.stack(list(self.iterates)),
            "draws": self.draws.get_state(),
            "noise": self.noise.get_state(),
            "statistic_noise": self.statistic_noise.get_state(),
            "norms": torch.cat(self.diagnostics.norms or [torch.zeros(0)]),
            "losses": torch.cat(self.diagnostics.losses or [torch.zeros(0)]),
            "signals": torch.stack(self.diagnostics.signals) if self.diagnostics.signals else torch.zeros(0),
        }
        tensors |= {f"{OPTIMISER}{name}": tensor for name, tensor in self.optimiser.items()}
        return numbers | {"seconds": self.clock.seconds, "method": state_of(self.method)}, tensors

    def unpack(self, numbers: Numbers, tensors: Tensors) -> None:
        """The inverse of ``pack``."""
        here = {name: tensor.to(self.parameters.device) for name, tensor in tensors.items()}
        self.parameters = here["parameters"]
        self.optimiser = {
            name.removeprefix(OPTIMISER): tensor for name, tensor in here.items() if name.startswith(OPTIMISER)
        }
        self.iterates.extend(here["iterates"])
        self.draws.set_state(tensors["draws"])
        self.noise.set_state(tensors["noise"])
        self.statistic_noise.set_state(tensors["statistic_noise"])
        self.method = replace(self.method, **numbers["method"])
        self.diagnostics = Diagnostics([here["norms"]], [here["losses"]], list(here["signals"]))
        self.step, self.nonfinite_examples = numbers["step"], numbers["nonfinite_examples"]
        self.curve, self.clock = numbers["curve"], Clock(numbers["seconds"])
        self.predictions = numbers["predictions"]
        self.resumed_at = [*numbers["resumed_at"], self.step]
