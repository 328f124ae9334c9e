"""Snakemake in a fork of a process that has loaded it, which takes several times as long as planning a small study."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["snakemake.cli", "snakemake.report.html_reporter", "pandas", "pydantic", "rich.progress"])


def run_snakemake(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """The exit status of ``snakemake`` with these ``arguments`` in ``folder``, and all that it said."""
    with tempfile.NamedTemporaryFile("r+") as said:
        process = FORKS.Process(target=_snakemake, args=(arguments, folder, dict(environment), said.name))
        process.start()
        process.join()
        return process.exitcode, said.read()


def _snakemake(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], said: str) -> None:
    from snakemake import cli

    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [environment["PYTHONPATH"]]
    sys.argv = ["snakemake", *arguments]
    cli.main(list(arguments))
