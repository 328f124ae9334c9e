"""What the rules give their commands as arguments, quoted for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psasc_bench.files import write_text
from psasc_bench.study import Study

DOWNLOADED = ("mnist", "fashion_mnist", "cifar10")


def prepared_files(study: Study) -> dict[str, str]:
    """The files of prepared data, each with the data set that it is prepared for: the first of those that share it.
    Raises ``ConfigError`` for a data set that cannot be read."""
    names = {name: str(study.prepared(name)) for name in study.datasets}
    return {path: name for name, path in reversed(names.items())}


def write_source_arguments(study: Study, results: Path, dataset: str, *, data_root: str) -> str:
    """Write where a data set comes from, an argument a line, to a file that its preparation reads; returns its path.

    Parameters of a rule would make it due when a file has moved, though what is prepared has the name of all that it is
    made from. ``data_root`` goes to those alone that are looked for there. Raises ``ConfigError`` for a data set that
    the study has not, or that cannot be read.
    """
    protocol = study.dataset(dataset)
    given = _listed(
        {
            "source": [protocol.source],
            "path": [protocol.path],
            "mean": protocol.mean,
            "deviation": protocol.deviation,
            "features": [protocol.features] if protocol.features != "pixels" else None,
            "size": [protocol.size],
            "label": [protocol.label],
            "data-root": [data_root] if protocol.source in DOWNLOADED else None,
        }
    )
    path = results / "sources" / f"{study.prepared(dataset).stem}.txt"
    text = "".join(f"{argument}\n" for argument in given)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path)


def method_files(study: Study) -> str:
    """Where to look for the methods that have a file of their own."""
    files = study.method_files()
    return shlex.join(["--methods", *files]) if files else ""


def schedule_arguments(study: Study, dataset: str, *, epochs: int, evaluation: str) -> str:
    """What a schedule's budgets are calibrated for. Raises ``ConfigError`` for a data set that the study has not."""
    protocol = study.dataset(dataset)
    return shlex.join(
        _listed(
            {
                "model": [protocol.model],
                "delta": [protocol.delta],
                "expected-batch-size": [protocol.expected_batch_size],
                "epochs": [epochs],
                "accountant": [protocol.accountant] if protocol.accountant != "rdp" else None,
                "evaluation": [evaluation] if evaluation != "test" else None,
            }
        )
    )


def _listed(given: Mapping[str, Sequence[Any] | None]) -> list[str]:
    """As command-line arguments; what is None is left out."""
    present = {key: values for key, values in given.items() if values and values[0] is not None}
    return [argument for key, values in present.items() for argument in (f"--{key}", *map(str, values))]
