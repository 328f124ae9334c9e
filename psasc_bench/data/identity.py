"""What prepared data is made from: the code that prepares it, and all that it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from psasc_bench import code
from psasc_bench.data import reading

Features = Literal["pixels", "scattering"]
Evaluation = Literal["test", "validation"]
DIGITS = 12


@cache
def fingerprint(source: str, features: Features = "pixels", evaluation: Evaluation = "test") -> str:
    """A digest of the code that reads ``source``, with its constants, makes ``features`` of it and holds examples out
    for ``evaluation``: with all that it uses, comments, docstrings and formatting aside; as long as this process lasts
    that of the code that it runs, edited meanwhile or not. Raises ``ValueError`` for an unknown source."""
    here = Path(__file__)
    parts = [reading.content(source)]
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
    size: int | None = None,
    label: str | None = None,
) -> str:
    """The stem of the file that ``prepare`` is to write for these: it holds a digest of them, of the content of
    ``path`` and of the code that prepares it, so that other data has another name. What a study calls a data set
    does not enter. Raises ``ValueError`` if ``path`` cannot be read."""
    constants = [None if values is None else [float(value) for value in values] for values in (mean, deviation)]
    chosen = [] if size is None and label is None else [repr((size, label))]
    digest = code.digest([fingerprint(source, features), repr(constants), content(path) if path else "", *chosen])
    name = reading.identity(source)
    return f"{name if features == 'pixels' else f'{name}-{features}'}-{digest[:DIGITS]}"


def content(path: Path) -> str:
    """The SHA-256 of a file as hex digits, or a digest of a folder: of the names and the SHA-256s of the files in it,
    but for hidden ones, as this process found them first. Raises ``ValueError`` if it cannot be read."""
    try:
        return _of_folder(path.resolve()) if path.is_dir() else _sha256(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None


@cache
def _of_folder(path: Path) -> str:
    """Once: there may be many, and a study asks again and again."""
    files = sorted(file.relative_to(path) for file in path.rglob("[!.]*") if file.is_file())
    return code.digest(f"{file.as_posix()!a}: {_sha256(path / file)}" for file in files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
