"""The record of a run: one JSON object, complete or absent, with the curve beside it as CSV."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from sys import float_info
from typing import Any, Literal, get_args

from psasc_bench.files import json_number, write_csv, write_text
from psasc_bench.privacy import Budget
from psasc_bench.records.origin import code_version
from psasc_bench.study import RunSpec

FORMAT = 1
# Raise it with every change to the training code that alters results: records of another generation are stale.
GENERATION = 1

Status = Literal["done", "diverged", "failed"]
CURVE_KEYS = ("epoch", "step")  # the columns of a run that failed before its first epoch ended
STATE = "state_"  # before the name of a setting that moves, as a curve's column
MAPPINGS = ("result", "ledger", "nonprivate", "seconds", "provenance")
NONPRIVATE = ("nonfinite_examples",)
REMEDY = "delete it and run the workflow again"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run that has ended, well (``done``) or not. ``ledger`` is what was spent and on what terms; ``result`` the
    last iterate's metrics (null unless finite, and if the run failed); ``nonprivate`` holds diagnostics that looked at
    private data; ``seconds`` are per phase. ``predictions`` are the classes that the last iterate predicts, see
    ``unpack_predictions``, if they were kept. Of ``provenance``, ``data_sha256`` is a function of private data."""

    spec: RunSpec
    fingerprint: str
    status: Status
    reason: str | None
    result: Mapping[str, float | None]
    ledger: Mapping[str, Any]
    nonprivate: Mapping[str, Any]
    seconds: Mapping[str, float]
    provenance: Mapping[str, Any]
    generation: int = GENERATION
    predictions: Mapping[str, Any] | None = None

    def current(
        self, spec: RunSpec, fingerprint: str, *, data_sha256: str | None = None, made_of: str | None = None
    ) -> bool:
        """Whether this is the record of ``spec`` as code and data stand now. Of the data counts the SHA-256, or, where
        that is not known, the name of what they are made from, if both this record and the caller know it."""
        noted = self.provenance
        if data_sha256:
            same_data = noted.get("data_sha256") == data_sha256
        else:
            same_data = not made_of or noted.get("made_of", made_of) == made_of
        return same_data and (self.spec, self.fingerprint, self.generation) == (spec, fingerprint, GENERATION)


def ledger(
    budget: Budget, *, sensitivity: float, steps_taken: int, releases: Mapping[str, Mapping[str, float]] | None = None
) -> dict[str, Any]:
    """What the run spent: the budget's terms, the sensitivity noised against, and the steps made. It is what this run
    spent by itself: another run of its seed has the same noise. Of a step that makes two ``releases``, these are by
    name, each with its own noise multiplier and sensitivity; jointly they cost the budget's noise multiplier.
    Sensitivities that move are those of the first step."""
    spent = {**budget.to_json(), "sensitivity": json_number(sensitivity), "steps_taken": steps_taken}
    return spent | ({"releases": {name: dict(of) for name, of in releases.items()}} if releases else {})


def write(record: Record, curve: Sequence[Mapping[str, float]], stem: Path) -> None:
    """Write ``stem.csv`` and then ``stem.json``, each by renaming a complete file into place."""
    write_csv(stem.with_name(stem.name + ".csv"), curve, header=CURVE_KEYS)
    values = {"format": FORMAT, **{key: getattr(record, key) for key in record.__dataclass_fields__}}
    values |= {"spec": record.spec.to_json(), "spec_hash": record.spec.hash()}
    if record.predictions is None:
        del values["predictions"]
    write_text(stem.with_name(stem.name + ".json"), json.dumps(values, indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Record:
    """Read a record. Raises ``ValueError`` naming the file if it is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")
        spec = RunSpec.from_json(values.pop("spec"))
        if values.pop("spec_hash") != spec.hash():
            raise ValueError("its spec was changed by hand: the spec's hash differs")
        if unlike := [key for key in MAPPINGS if not isinstance(values[key], dict)]:
            raise ValueError(f"{unlike[0]} is not an object")
        if values["status"] not in get_args(Status):
            raise ValueError(f"unknown status {values['status']!r}")
        _check_numbers(spec, **{key: values[key] for key in ("status", "result", "nonprivate", "seconds")})
        _check_predictions(values.get("predictions"))
        return Record(spec=spec, generation=values.pop("generation"), **values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: not a run record ({error}); {REMEDY}") from None


def result_keys(spec: RunSpec) -> tuple[str, str]:
    """What a run comes to: accuracy and loss on the examples that it is evaluated on."""
    return f"{spec.evaluation}_accuracy", f"{spec.evaluation}_loss"


def _check_numbers(
    spec: RunSpec,
    *,
    status: str,
    result: Mapping[str, Any],
    nonprivate: Mapping[str, Any],
    seconds: Mapping[str, Any],
) -> None:
    """Raises ``ValueError`` for what no run comes to. Only one that did not end well may have null for a result."""
    accuracy, loss = result_keys(spec)
    if set(result) != {accuracy, loss}:
        raise ValueError(f"its result must be {accuracy} and {loss}, is {', '.join(result) or 'empty'}")
    if unknown := [key for key in nonprivate if key not in NONPRIVATE]:
        raise ValueError(f"nonprivate has {unknown[0]!r}; it may have {', '.join(NONPRIVATE)}")
    if "total" not in seconds:
        raise ValueError("seconds lacks 'total'")
    for section, values in {"result": result, "nonprivate": nonprivate, "seconds": seconds}.items():
        for key, value in values.items():
            if section == "result" and value is None and status != "done":
                continue
            most = 1 if key == accuracy else float_info.max
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= most:
                raise ValueError(f"{section}.{key} must be a number from 0{' to 1' if most == 1 else ''}, is {value!r}")


def class_bits(classes: int) -> int:
    """How many bits tell so many classes apart: one at least."""
    return max(1, (classes - 1).bit_length())


def _check_predictions(found: Mapping[str, Any] | None) -> None:
    """Raises ``ValueError`` for what is not as long as it says; what it says is not looked at here, for tables of ten
    thousand records do without."""
    if found is None:
        return
    classes, examples, packed = (found[key] for key in ("classes", "examples", "packed"))
    if not (type(classes) is type(examples) is int and classes >= 1 and examples >= 0 and isinstance(packed, str)):
        raise ValueError("its predictions are not a number of classes and of examples, and text")
    octets = -(-examples * class_bits(classes) // 8)
    if len(packed) != 4 * -(-octets // 3):
        raise ValueError(f"its predictions are {len(packed)} characters, too few or too many for {examples} examples")


def provenance(*, started: datetime, version_of_code: Mapping[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """Which code, libraries and machine made a result, when (UTC), and ``how``. The code is that of
    ``version_of_code``, if it was asked for when the run began, or else of now."""
    return {
        "psasc_bench": version("psasc-bench"),
        **(version_of_code or code_version()),
        "python": platform.python_version(),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "cpu": _cpu(),
        **how,
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
