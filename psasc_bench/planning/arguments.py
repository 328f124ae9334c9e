"""What the rules give their commands as arguments, quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from psasc_bench.study import Study

DOWNLOADED = ("mnist", "fashion_mnist", "cifar10")


def source_arguments(study: Study, dataset: str, *, data_root: str) -> str:
    """Where a data set comes from; ``data_root`` goes to those alone that are looked for there. Raises ``ConfigError``
    for one that the study has not."""
    protocol = study.dataset(dataset)
    return _arguments(
        {
            "source": [protocol.source],
            "path": [protocol.path],
            "mean": protocol.mean,
            "deviation": protocol.deviation,
            "features": [protocol.features] if protocol.features != "pixels" else None,
            "data-root": [data_root] if protocol.source in DOWNLOADED else None,
        }
    )


def schedule_arguments(study: Study, dataset: str, *, epochs: int, evaluation: str) -> str:
    """What a schedule's budgets are calibrated for. Raises ``ConfigError`` for a data set that the study has not."""
    protocol = study.dataset(dataset)
    return _arguments(
        {
            "model": [protocol.model],
            "delta": [protocol.delta],
            "expected-batch-size": [protocol.expected_batch_size],
            "epochs": [epochs],
            "evaluation": [evaluation] if evaluation != "test" else None,
        }
    )


def _arguments(given: Mapping[str, Sequence[Any] | None]) -> str:
    """As command-line arguments; what is None is left out."""
    present = {key: values for key, values in given.items() if values and values[0] is not None}
    return " ".join(shlex.join([f"--{key}", *map(str, values)]) for key, values in present.items())
