"""What a command works on: read from the files it is given, or else made here. Only what is needed is imported, for
torch and opacus take seconds to load."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psasc_bench import plugins
from psasc_bench.privacy import Accountant, Budget, calibrate
from psasc_bench.study import Schedule, Study

# What CUDA_VISIBLE_DEVICES is where no card is to be used; the last is what Slurm says.
NO_CARDS = ("", "-1", "NoDevFiles")

if TYPE_CHECKING:
    import torch

    from psasc_bench.data import Dataset


def prepared_dataset(
    study: Study, name: str, path: Path | None = None, *, warn: Callable[[str], None] = warnings.warn
) -> Dataset:
    """The prepared data set, from ``path`` or where the study keeps it, prepared now if it has not been; ``warn`` is
    then told what is odd about it. Raises ``ValueError`` for a file that is none."""
    from psasc_bench import data

    protocol, prepared = study.dataset(name), path or study.prepared(name)
    if not path and not prepared.exists():
        data.prepare(
            protocol.source,
            prepared,
            root=data.data_root() or Path(study.data_root),
            path=Path(protocol.path) if protocol.path else None,
            mean=protocol.mean,
            deviation=protocol.deviation,
            features=protocol.features,
            size=protocol.size,
            label=protocol.label,
            warn=warn,
        )
    found = data.load(prepared)
    # a prepared file does not know where the code lies that it was made by
    return replace(found, source=protocol.source) if plugins.is_file(protocol.source) else found


def schedule_budget(
    schedule: Schedule, examples: int, *, epsilon: float, delta: float, accountant: Accountant
) -> Budget:
    """The budget of a schedule over so many training examples, calibrated now."""
    return calibrate(
        epsilon=epsilon,
        delta=delta,
        sampling_rate=schedule.sampling_rate(examples),
        steps=schedule.epoch_ends(examples)[-1],
        accountant=accountant,
    )


def read_budget(path: Path) -> Budget:
    """The budget in a file. Raises ``ValueError`` naming a file that holds none."""
    try:
        found = Budget.from_json(json.loads(path.read_text(encoding="utf-8")))
        noise = found.noise_multiplier
        if not (isinstance(noise, int | float) and 0 <= noise < math.inf):
            raise ValueError(f"noise_multiplier {noise!r}")
        return found
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a privacy budget ({error}); delete it and run the workflow again") from None


def choose_device(name: str, *, warn: Callable[[str], None] = warnings.warn) -> torch.device:
    """``cpu``, ``cuda`` or, with ``auto``, the latter where there is one; ``warn`` is told if there is none although
    cards are named. Raises ``ValueError`` where there is none."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if name == "cpu" and named not in NO_CARDS:
            warn(
                f"CUDA_VISIBLE_DEVICES names {named}, but torch finds no CUDA device here and trains on the CPU; see "
                "that the job is granted a card and torch is built for it, or say --device cpu"
            )
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device(name)
