"""Which commit the package is of, as far as git can know."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

from psasc_bench.code import PACKAGE

KINDS = (".py", ".pyi", ".yaml")  # of files that a result may depend on


def code_version() -> dict[str, Any]:
    """The ``commit`` that the package is of, and whether it was ``modified`` since.

    Git is believed about files that it tracks, and about nothing else: of a package that lies in a repository which
    does not track it, both are None. Files of the package that git does not track are a modification.
    """
    committed = _committed()
    if "__init__.py" not in committed:
        return {"commit": None, "modified": None}
    return {"commit": _git("rev-parse", "HEAD").strip(), "modified": committed != _present(committed)}


def _committed() -> dict[str, str]:
    """The package's files at HEAD, by path, with what git calls their content; none where there is no git."""
    listed = _git("ls-tree", "-r", "-z", "HEAD", "--", ".").split("\0")
    entries = (entry.partition("\t") for entry in listed if entry)
    return {path: described.split()[2] for described, _, path in entries}


def _present(committed: Mapping[str, str]) -> dict[str, str]:
    """The same of what is there now."""
    there = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("[!.]*") if path.suffix in KINDS}
    paths = sorted(path for path in there | set(committed) if (PACKAGE / path).is_file())
    contents = _git("hash-object", "--", *paths).split()
    return dict(zip(paths, contents, strict=True)) if len(contents) == len(paths) else {}


def _git(*arguments: str) -> str:
    """What git says in the package's folder, whatever repository the environment names; nothing if it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        asked = ["git", *arguments]
        return subprocess.run(
            asked, cwd=PACKAGE, env=environment, capture_output=True, encoding="utf-8", check=True
        ).stdout
    except (OSError, ValueError, subprocess.CalledProcessError):
        return ""
