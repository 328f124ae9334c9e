"""What a command says beside its result."""

from __future__ import annotations

import sys


def warn(text: str) -> None:
    """A line on standard error that the workflow shows, too."""
    print(f"psasc-bench: warning: {text}", file=sys.stderr)
