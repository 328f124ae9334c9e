"""A folder of records: which of its files are some, whose each should be by its place, and the curve beside it."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from psasc_bench.records.record import CURVE_KEYS, REMEDY, STATE, Record, result_keys


def records_folder(results: Path) -> Path:
    """The folder of records, given as such or as the results folder that has it."""
    return runs if (runs := results / "runs").is_dir() else results


def find(runs: Path) -> list[Path]:
    """The files that lie where a record does, ``dataset/method/eps-…/seed-N.json``, in order. Whatever else there is,
    and what is hidden, is somebody's own."""
    return sorted(
        path
        for path in runs.glob("*/*/eps-*/seed-*.json")
        if path.stem.removeprefix("seed-").isdecimal()
        and not any(part.startswith(".") for part in path.parts[-4:])
        and path.is_file()
    )


def place(path: Path) -> str:
    """Where in its folder a record lies, less its ending: the name of the run that it should be of."""
    return "/".join([*path.parts[-4:-1], path.stem])


def misfiled(path: Path, found: Record) -> str | None:
    """What is wrong with the place of the record ``found`` in ``path``, if anything is."""
    is_of = found.spec.name()
    return None if is_of == place(path) else f"it is filed as {place(path)} but is the run {is_of}"


def read_curve(path: Path, found: Record) -> list[dict[str, str]]:
    """The rows, as text, of the curve beside the record ``found`` in ``path``.

    Raises ``ValueError`` naming the file if there is none, or if the run did not fail and its result is not the last
    row, null where that is not finite.
    """
    try:
        moving = (f"{STATE}{name}" for name in found.spec.parameters)
        rows = _rows(path.with_suffix(".csv"), {*CURVE_KEYS, *result_keys(found.spec), *moving})
    except (ValueError, OSError, csv.Error) as error:
        raise ValueError(f"{path.with_suffix('.csv')}: not the curve of a run ({error}); {REMEDY}") from None
    for key, value in found.result.items() if found.status != "failed" else ():
        last = float((rows[-1] if rows else {}).get(key) or math.nan)
        if (last if math.isfinite(last) else None) != value:
            raise ValueError(f"{path}: a damaged run record (its curve does not end with its {key}); {REMEDY}")
    return rows


def _rows(path: Path, known: set[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restkey="values without a column")
        rows, columns = list(reader), list(reader.fieldnames or ())
    if not columns:
        raise ValueError("it is empty")
    for key in dict.fromkeys([*columns, *(key for row in rows for key in row)]):
        if columns.count(key) > 1 or not (key in known or key.startswith("nonprivate_")):
            raise ValueError(f"it has {key!r}{' twice' if columns.count(key) > 1 else ', which no curve has'}")
    for row in rows:
        for value in row.values():
            float(value or math.nan)
    return rows
