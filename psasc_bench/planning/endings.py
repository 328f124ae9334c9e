"""What the workflow says when it has made what it was asked for."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from psasc_bench.planning.folders import write_up
from psasc_bench.records import survey
from psasc_bench.study import Study

MADE = ("README.md", "results", "figures", "docs/study.md")  # where the shipped study's tables and figures are
NAMED = 8  # files, at most


def last_word(study: Study, folder: Path, *, project: Path, seen_from: Path) -> Iterator[str]:
    """How many runs have ended how; whether what was made is what the ``project`` ships, or which ``folder`` it is in;
    and what to open. Paths are as ``seen_from`` where the user is. Raises ``ValueError`` naming a file that is no
    record."""
    counts = Counter(run.status for run in survey(study, folder / "results" / "runs"))
    if counts["done"] == counts.total():
        yield f"all {counts.total()} runs are done"
    else:
        counted = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        yield f"of {counts.total()} runs: {counted}; `psasc-bench status` names them"
    if folder == project:
        yield from _compared_with_the_shipped(project)
    elif folder != seen_from:
        yield f"what was made is in {os.path.relpath(folder, seen_from)}"
    pages = [page for page in (folder / write_up(folder), folder / "results" / "explorer.html") if page.exists()]
    if pages:
        yield f"open {' and '.join(os.path.relpath(page, seen_from) for page in pages)}"


def _compared_with_the_shipped(project: Path) -> Iterator[str]:
    asked = ["git", "diff", "--name-only", "-z", "--relative", "HEAD", "--", *MADE]
    try:
        found = subprocess.run(asked, cwd=project, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return  # no git, or no clone: nothing to compare with
    differing = [name for name in found.split("\0") if name]
    if not differing:
        yield "tables and figures agree with the shipped ones"
    else:
        others = f" and {len(differing) - NAMED} others" if len(differing) > NAMED else ""
        yield f"unlike the shipped ones, as `git diff` shows: {', '.join(differing[:NAMED])}{others}"
