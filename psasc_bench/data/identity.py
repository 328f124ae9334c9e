"""What prepared data is made from: the code that prepares it, and all that it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from psasc_bench import code

Features = Literal["pixels", "scattering"]
Evaluation = Literal["test", "validation"]
DIGITS = 12


@cache
def fingerprint(source: str, features: Features = "pixels", evaluation: Evaluation = "test") -> str:
    """A digest of the code that reads ``source``, with its constants, makes ``features`` of it and holds examples out
    for ``evaluation``: with all that it uses, comments, docstrings and formatting aside; as long as this process lasts
    that of the code that it runs, edited meanwhile or not. Raises ``ValueError`` for an unknown source."""
    here = Path(__file__)
    parts = [code.content_of_entry(here.with_name("sources.py"), "READERS", source)]
    used = {"_scattered": features == "scattering", "hold_out": evaluation == "validation"}
    parts += [code.content(here.with_name("dataset.py"), name) for name, does in used.items() if does]
    return code.digest(part.digest for part in parts)


def prepared_name(
    source: str,
    *,
    path: Path | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    features: Features = "pixels",
) -> str:
    """The stem of the file that ``prepare`` is to write for these: it holds a digest of them, of the content of
    ``path`` and of the code that prepares it, so that other data has another name. What a study calls a data set
    does not enter. Raises ``ValueError`` if ``path`` cannot be read."""
    constants = [None if values is None else [float(value) for value in values] for values in (mean, deviation)]
    digest = code.digest([fingerprint(source, features), repr(constants), _sha256(path) if path else ""])
    return f"{source if features == 'pixels' else f'{source}-{features}'}-{digest[:DIGITS]}"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
