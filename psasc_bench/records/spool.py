"""Where runs lie that are not in place yet: their checkpoints, their locks, and finished ones on their way.

The workflow knows nothing of it, so that its cleaning up after an interrupted job takes nothing along.
"""

from __future__ import annotations

from pathlib import Path

from psasc_bench.study import RunSpec


def spool_beside(runs: Path) -> Path:
    """The spool that goes with the folder of records."""
    return runs.with_name("spool")


def lock_file(spec: RunSpec, spool: Path) -> Path:
    """The file that the process holds which trains ``spec``."""
    return spool / f"{spec.name()}.lock"


def checkpoint_file(spec: RunSpec, spool: Path) -> Path:
    return spool / f"{spec.name()}.checkpoint"
