"""What a command says beside its result."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """A line on standard error that the workflow shows, too."""
    print(f"psasc-bench: warning: {text}", file=sys.stderr)


def error(text: str) -> None:
    """A line on standard error for what makes the command fail."""
    print(f"psasc-bench: error: {text}", file=sys.stderr)
