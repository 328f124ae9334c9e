"""What Snakemake tells the process that it starts for a job."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def allowed_rules(arguments: Sequence[str]) -> list[str]:
    """The rules that a process with these command-line ``arguments`` is to run: those of its jobs; none where Snakemake
    was called by somebody, who is asked for files."""
    if "--allowed-rules" not in arguments:
        return []
    behind = arguments[arguments.index("--allowed-rules") + 1 :]
    return list(takewhile(lambda argument: not argument.startswith("-"), behind))
