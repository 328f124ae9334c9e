"""Putting records made on several machines, or by several people, into one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from psasc_bench.files import replacing
from psasc_bench.records import folder as folders
from psasc_bench.records import record
from psasc_bench.records.record import Record

# What makes two records of one run the same run; when, where and how fast it was made does not.
COMPARED = ("spec", "fingerprint", "generation", "status", "reason", "result", "ledger", "nonprivate")
MADE_BY = ("cpu", "torch", "commit", "started")


@dataclass(frozen=True)
class Found:
    """A record with its curve, as they lie in a folder."""

    path: Path
    record: Record
    curve: bytes

    @property
    def name(self) -> str:
        return self.record.spec.name()

    def unlike(self, other: Found) -> list[str]:
        """In what two records of one run contradict each other."""
        fields = [key for key in COMPARED if getattr(self.record, key) != getattr(other.record, key)]
        data = [one.record.provenance.get("data_sha256") for one in (self, other)]
        kept = [one.record.predictions for one in (self, other) if one.record.predictions is not None]
        fields += ["predictions"] * (kept[1:] != kept[:-1])
        return fields + ["data"] * (data[0] != data[1]) + ["curve"] * (self.curve != other.curve)


def merge(sources: Sequence[Path], target: Path) -> int:
    """Copy into ``target``, a folder of records, those of ``sources`` that it has not; returns how many. Of records
    with the same content one is kept. All are read before anything is written.

    Raises ``ValueError``, a line each, for files that are no records and for records that contradict each other.
    """
    merged: dict[str, Found] = {}
    problems: list[str] = []
    for folder in [target, *sources]:
        for found in _find(folder, problems):
            first = merged.setdefault(found.name, found)
            if unlike := first.unlike(found):
                problems.append(
                    f"{found.path}: contradicts {first.path} in its {', '.join(unlike)} "
                    f"({_made_by(first.record)}; {_made_by(found.record)}); delete one of them"
                )
    if problems:
        raise ValueError("\n".join(problems))
    new = [found for name, found in merged.items() if not (target / f"{name}.json").exists()]
    for found in new:
        for ending, content in ((".csv", found.curve), (".json", found.path.read_bytes())):
            with replacing(target / f"{found.name}{ending}") as file:
                file.write(content)
    return len(new)


def _find(folder: Path, problems: list[str]) -> Iterator[Found]:
    for path in folders.find(folder):
        try:
            found = record.read(path)
            folders.read_curve(path, found)
            if wrong := folders.misfiled(path, found):
                raise ValueError(f"{path}: {wrong}; move or delete it")
        except ValueError as error:
            problems.append(str(error))
            continue
        yield Found(path, found, path.with_suffix(".csv").read_bytes())


def _made_by(made: Record) -> str:
    return ", ".join(f"{key} {made.provenance.get(key)}" for key in MADE_BY)
