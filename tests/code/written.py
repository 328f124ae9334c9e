"""Python files written for a test, and what is in them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from psasc_bench import code


def write(folder: Path, **sources: str) -> Path:
    """Write files by their names; returns the last one's path."""
    for name, source in sources.items():
        path = folder / f"{name}.py"
        path.write_text(dedent(source), encoding="utf-8")
    return path


def digest(folder: Path, source: str, name: str = "wanted", **others: str) -> str:
    """Of the definition ``wanted`` in ``source``, beside ``others``."""
    return code.content(write(folder, **others, subject=source), name).digest
