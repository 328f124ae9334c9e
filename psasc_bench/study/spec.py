"""What one training run is: a value that determines it, its name in the results folder, and its random streams."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from psasc_bench import methods, models, optimisers
from psasc_bench.files import json_number
from psasc_bench.optimisers import Rules
from psasc_bench.privacy import Accountant

# By key of a run's specification: what its JSON leaves out.
UNSAID: dict[str, Any] = {"listed_as": "", "accountant": "rdp", "optimiser": (), "augmentations": 1, "augment": ()}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How often examples of a data set are drawn, and for how long."""

    dataset: str
    expected_batch_size: int
    epochs: int

    def sampling_rate(self, examples: int) -> float:
        """``q``: the probability that an example is in a batch. Raises ``ValueError`` if no such rate exists."""
        if self.expected_batch_size > examples:
            raise ValueError(
                f"expected_batch_size {self.expected_batch_size} is larger than the {examples} training examples of "
                f"{self.dataset} (config: datasets.{self.dataset}.expected_batch_size)"
            )
        return self.expected_batch_size / examples

    def epoch_ends(self, examples: int) -> list[int]:
        """After how many steps each epoch ends; the last entry is the number of steps, ``round(epochs / q)``."""
        steps = [round(epoch * examples / self.expected_batch_size) for epoch in range(1, self.epochs + 1)]
        return sorted({max(step, 1) for step in steps})


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSpec(Schedule):
    """A run is a pure function of its spec, of the data set's arrays and of the code. ``model``, ``method`` and the
    rules of ``optimiser`` are names or references to files, see ``plugins``: of these, the content decides.
    ``parameters`` are the method's; ``epsilon`` is infinite for a run without privacy; ``evaluation`` says which
    examples the accuracy is measured on. ``listed_as`` is the study's name for the method if it is another: two
    settings of one method go by two names. It names files and decides nothing else. ``accountant`` is what the noise is
    calibrated by. ``optimiser`` are the update rules with all their settings, first to last; none for the heavy ball
    with ``momentum``, which is 0 beside others. An example's gradient is the mean over so many ``augmentations`` of it,
    each altered in the ways that ``augment`` names."""

    model: str
    method: str
    parameters: Mapping[str, float]
    epsilon: float
    delta: float
    learning_rate: float
    momentum: float
    seed: int
    evaluation: Literal["test", "validation"] = "test"
    listed_as: str = field(default="", compare=False)
    accountant: Accountant = "rdp"
    optimiser: Rules = ()
    augmentations: int = 1
    augment: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Whether it determines the same run, whatever that is listed as and wherever its files lie."""
        return isinstance(other, RunSpec) and self._decisive() == other._decisive()

    @property
    def label(self) -> str:
        """The study's name for the method."""
        return self.listed_as or self.method

    @property
    def rules(self) -> Rules:
        """The update rules, the heavy ball included."""
        return self.optimiser or ({"heavy-ball": {"momentum": self.momentum}},)

    @property
    def augmented(self) -> str:
        """What is done to an example before its gradient is taken, as in ``4 (shift, flip)``; empty for nothing."""
        return f"{self.augmentations} ({', '.join(self.augment)})" if self.augment else ""

    def name(self) -> str:
        """``dataset/method/eps-…/seed-…``: where the run's files stand in the results folder, less their endings."""
        return f"{self.dataset}/{self.label}/eps-{format_epsilon(self.epsilon)}/seed-{self.seed}"

    def stream(self, axis: str) -> int:
        """The seed of one random stream (``initialisation``, ``sampling``, ``noise``, ``statistic`` or
        ``augmentation``). Method and budget do not enter: runs of one seed share initial weights, batches and noise
        directions, so that they can be compared in pairs."""
        digest = hashlib.sha256(f"{axis}/{self.dataset}/{self.seed}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of the spec as canonical JSON."""
        return hashlib.sha256(json.dumps(self._decisive(), sort_keys=True).encode()).hexdigest()[:16]

    def _decisive(self) -> dict[str, Any]:
        compared = {field.name for field in fields(self) if field.compare}
        return {key: value for key, value in self.to_json().items() if key in compared}

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; an infinite epsilon is the string ``inf``, which JSON has no number for. A name of the
        method's own, RDP and the heavy ball go without saying, so that specs of older records are what they were. What
        is in a file is called by its content. Raises ``ValueError`` for a file that is none."""
        values = asdict(self) | {"parameters": dict(self.parameters), "epsilon": json_number(float(self.epsilon))}
        values |= {"method": methods.identity(self.method), "model": models.identity(self.model)}
        values["optimiser"] = tuple(
            {optimisers.identity(name): dict(settings) for name, settings in entry.items()} for entry in self.optimiser
        )
        return {key: value for key, value in values.items() if UNSAID.get(key) != value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunSpec:
        """The inverse of ``to_json``. Raises ``ValueError`` for missing or unknown keys."""
        known = [field.name for field in fields(cls) if field.name not in UNSAID]
        if set(values) - set(UNSAID) != set(known):
            raise ValueError(f"a run spec has the keys {', '.join(known)}; got {', '.join(values)}")
        listed = {key: tuple(values.get(key, ())) for key in ("optimiser", "augment")}
        return cls(**{**values, "epsilon": float(values["epsilon"]), **listed})


def format_epsilon(epsilon: float) -> str:
    """As in file names: ``3``, ``0.5``, ``inf``."""
    return f"{epsilon:g}"
