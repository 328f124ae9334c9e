"""When, where and in what time each run was made: a table of its own, for all others hold only what whoever makes the
same runs again will find again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench import records
from psasc_bench.analysis.metrics import RUN
from psasc_bench.analysis.tidy import read_table
from psasc_bench.records import Record

MACHINE = ["device", "cpu", "torch"]
COLUMNS = ["seconds", "seconds_diagnostics", "peak_memory_mib", "commit", "modified", *MACHINE, "ended"]


def made(found: Record) -> dict[str, Any]:
    """``COLUMNS`` of one run. Raises ``KeyError`` for a record that lacks its commit or memory."""
    noted = found.provenance
    required = {key: noted[key] for key in ("peak_memory_mib", "commit")}
    seconds = {"seconds": found.seconds["total"], "seconds_diagnostics": found.seconds.get("diagnostics")}
    return seconds | required | {key: noted.get(key) for key in ("modified", *MACHINE, "ended")}


def read_times(results: Path) -> pd.DataFrame:
    """``times.csv`` of a results folder or, where there is none, as in a fresh clone, the same of all records that the
    folder has. Raises ``ValueError`` naming a file that is no record."""
    if (path := results / "times.csv").exists():
        return read_table(path)
    rows = []
    for path in records.find(records.records_folder(results)):
        spec = (found := records.read(path)).spec
        key = {"dataset": spec.dataset, "epsilon": spec.epsilon, "method": spec.label, "seed": spec.seed}
        try:
            rows.append(key | {"status": found.status} | made(found))
        except KeyError as error:
            raise ValueError(f"{path}: a damaged run record (lacks {error}); {records.REMEDY}") from None
    return pd.DataFrame(rows, columns=[*RUN, "status", *COLUMNS])
