"""What a command says beside its result. The workflow shows all of it but what was written, which is in its logs."""

from __future__ import annotations

import sys
from pathlib import Path


def say(text: str) -> None:
    """A line on standard output."""
    print(f"psasc-bench: {text}")


def wrote(*paths: Path) -> None:
    """A line on standard output that names the files that were written."""
    say(f"wrote {', '.join(map(str, paths))}")


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"psasc-bench: warning: {text}", file=sys.stderr)


def error(text: str) -> None:
    """A line on standard error for what makes the command fail."""
    print(f"psasc-bench: error: {text}", file=sys.stderr)
