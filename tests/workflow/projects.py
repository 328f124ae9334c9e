"""Copies of the project in which Snakemake runs a small study, and what such a run says and leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from forks import run_snakemake

from psasc_bench.records import record

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "psasc_bench", "snakemake_logger_plugin_psasc_bench", "workflow", "profiles")
RUNS = "results/runs/digits"
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}, "nonprivate": {}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 1,
            "momentum": 0.9,
            "share_process": True,
        }
    },
}
SWEEPS: dict[str, Any] = {
    "tuning": {
        "evaluation": "validation",
        "datasets": ["digits"],
        "epsilons": [8],
        "seeds": [100],
        "methods": {
            "dp-sgd": {"learning_rate": [0.01, 2]},
            "dp-psasc": {"sensitivity": 0.1, "s": [2, 4]},
            "nonprivate": {"learning_rate": [0.01, 0.1]},
        },
    },
    "longer": {
        "evaluation": "test",
        "datasets": ["digits"],
        "epsilons": [3, 8],
        "seeds": [0],
        "methods": {"dp-psasc": {"epochs": 2, "iterates": [1, 2]}},
    },
}


def new_project(folder: Path, study: dict[str, Any]) -> Path:
    """A copy of the project. Snakemake and the jobs that it starts import the copy's package, see ``environment``."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    configure(folder, study)
    return folder


def configure(folder: Path, study: dict[str, Any]) -> None:
    (folder / "study.yaml").write_text(yaml.safe_dump(study))


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PYTHONPATH": str(folder), "PATH": path}


def options(*arguments: str, study: str = "study.yaml") -> list[str]:
    return ["--configfile", study, "--cores", "1", *arguments]


def snakemake(folder: Path, *arguments: str, study: str = "study.yaml", status: int = 0) -> str:
    """What it says."""
    ended, said = run_snakemake(options(*arguments, study=study), folder, environment(folder))
    assert ended == status, said
    return said


def psasc_bench(folder: Path, *arguments: str) -> None:
    """The copy's command line."""
    asked = [sys.executable, "-m", "psasc_bench", *arguments]
    subprocess.run(asked, cwd=folder, env=environment(folder), check=True, capture_output=True)


def start(folder: Path, *targets: str) -> subprocess.Popen[bytes]:
    """Snakemake in the background."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(*targets), cwd=folder, env=environment(folder), **quiet)


def command(*targets: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *options(*targets)]


def snakemakes_log(folder: Path) -> str:
    """All that Snakemake has to say of what it did last."""
    return max((folder / ".snakemake" / "log").glob("*.log")).read_text()


def jobs(output: str) -> dict[str, int]:
    """How many jobs of each rule Snakemake runs, by what it says in a dry run or in its log."""
    if "Nothing to be done" in output:
        return {}
    table = re.search(r"^Job stats:\n.*\n-.*\n((?:\S+ +\d+\n)+)", output, re.MULTILINE)
    assert table, output
    counts = {name: int(count) for name, count in (line.split() for line in table[1].splitlines())}
    return {name: count for name, count in counts.items() if name not in ("all", "total")}


def records(folder: Path) -> dict[str, bytes]:
    """The records, by name. They hold when and in how many seconds they were made: none is made twice the same."""
    return {str(path.relative_to(folder / RUNS)): path.read_bytes() for path in (folder / RUNS).rglob("*.json")}


def changes(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def metrics(folder: Path) -> dict[str, Any]:
    """By name, all of a run that should not depend on when and how it was made."""
    found = {str(path.relative_to(folder)): record.read(path) for path in (folder / RUNS).rglob("*.json")}
    curves = {str(path.relative_to(folder)): path.read_bytes() for path in (folder / RUNS).rglob("*.csv")}
    return {name: (one.result, one.ledger, one.nonprivate) for name, one in found.items()} | curves
