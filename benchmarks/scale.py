"""What gathering, drawing and planning a study of many runs cost, in time and memory, and how that grows.

    python benchmarks/scale.py --runs 1000 10000

One real run of the digits is written again and again by the package's own writer, as the records of a study of so many
runs, each with an accuracy of its own. Nothing is learned from them but what the commands take.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from psasc_bench import records
from psasc_bench.files import write_csv
from psasc_bench.privacy import calibrate
from psasc_bench.records import pack_predictions, read_curve, unpack_predictions
from psasc_bench.study import RunSpec, Study, load_study
from psasc_bench.training import releases

ROOT = Path(__file__).parents[1]
EPSILONS = (1, 2, 4, 8)
METHODS = {
    "dp-sgd": {"C": 0.1},
    "auto-s": {"C": 0.1},
    "nsgd": {"C": 0.1},
    "dp-psac": {"C": 0.1, "r": 0.1},
    "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1},
    "nonprivate": {},
}
PROTOCOL = {
    "source": "digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "micro_batch_size": 320,
    "epochs": 30,
    "delta": 1e-4,
    "learning_rate": 1,
    "momentum": 0.9,
}
CELLS = (len(METHODS) - 1) * len(EPSILONS) + 1  # of a data set: without privacy there is one budget
SEEDS = {1_000: 10, 10_000: 30}  # up to so many runs; the rest of growth is in data sets
COMMANDS = {
    "status": ["status"],
    "verify": ["verify", "--output", "results/ledger.csv"],
    "collect, methods not checked yet": ["collect", "--ledger", "results/ledger.csv"],
    "collect": ["collect", "--ledger", "results/ledger.csv"],
    "claims": ["claims"],
    "table": ["table", "accuracy", "literature", "convergence", "claims"],
    "figure": ["figure"],
    "write-up": ["write-up"],
    "explorer": ["explorer"],
}
# Of a small process, for Linux counts the memory of the process that starts another one as the other's.
WAITING = """
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
wall, peak = time.perf_counter() - start, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
json.dump({"cpu_s": used.ru_utime + used.ru_stime, "wall_s": wall, "peak_mib": peak}, sys.stderr)
sys.exit(status)
"""


def planned(runs: int, *, share_process: bool) -> dict[str, Any]:
    """A study of about so many runs."""
    seeds = next((seeds for most, seeds in SEEDS.items() if runs <= most), max(SEEDS.values()))
    count = max(1, round(runs / (CELLS * seeds)))
    datasets = {
        f"digits_{number:02}": PROTOCOL | {"title": f"Digits {number}", "share_process": share_process}
        for number in range(1, count + 1)
    }
    return {
        "seeds": list(range(seeds)),
        "epsilons": list(EPSILONS),
        "methods": METHODS,
        "datasets": datasets,
    }


def train_one(folder: Path, spec: RunSpec) -> Path:
    """The stem of the one run that is real."""
    arguments = ["--dataset", spec.dataset, "--method", spec.label, "--epsilon", str(spec.epsilon), "--seeds", "0"]
    ended = measure([sys.executable, "-m", "psasc_bench", "train", "--config", "study.yaml", *arguments], folder)
    print(f"the run that the others are made of: {ended['cpu_s']:.1f} s of CPU")
    return folder / "results" / "runs" / spec.name()


def fill(study: Study, folder: Path) -> int:
    """Write a record for every run; returns how many."""
    every = [spec for cell in study.cells() for spec in study.specs(cell)]
    stem = train_one(folder, every[0])
    real = records.read(stem.with_suffix(".json"))
    curve, predicted = read_curve(stem.with_suffix(".json"), real), unpack_predictions(real)
    assert predicted is not None
    classes, random = real.predictions["classes"], np.random.default_rng(0)
    terms = {key: real.ledger[key] for key in ("delta", "sampling_rate", "steps")}
    terms["accountant"] = every[0].accountant
    budgets = {epsilon: calibrate(epsilon=epsilon, **terms) for epsilon in {spec.epsilon for spec in every}}
    for spec in every:
        budget, method = budgets[spec.epsilon], study.method(spec.dataset, spec.label, spec.epsilon)
        changed = predicted.copy()
        where = random.choice(len(changed), size=random.integers(0, len(changed) // 20), replace=False)
        changed[where] = random.integers(0, classes, size=len(where))
        accuracy = real.result["test_accuracy"] - len(where) / len(changed) / 2
        noise = {"noise_multiplier": budget.noise_multiplier, "expected_batch_size": spec.expected_batch_size}
        made = replace(
            real,
            spec=spec,
            fingerprint=records.fingerprint(spec, source="digits", features="pixels"),
            result=real.result | {"test_accuracy": accuracy},
            ledger=records.ledger(
                budget, sensitivity=method.sensitivity(), steps_taken=budget.steps, releases=releases(method, **noise)
            ),
            predictions=pack_predictions(changed, classes=classes),
        )
        rows = [dict(row) for row in curve]
        rows[-1]["test_accuracy"] = accuracy
        records.write(made, rows, folder / "results" / "runs" / spec.name())
    return len(every)


def measure(command: Sequence[str], folder: Path) -> dict[str, float]:
    """CPU seconds and wall seconds of a process and its children, and the peak MiB of the largest of them."""
    asked = [sys.executable, "-S", "-c", WAITING, *command]
    ended = subprocess.run(asked, cwd=folder, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stdout[-3000:]}")
    figures: dict[str, float] = json.loads(ended.stderr)
    return figures


def plan(folder: Path, study: Mapping[str, Any]) -> dict[str, float]:
    """A dry run in which every run is due."""
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study)))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return measure([*command, "--configfile", "study.yaml", "--cores", "8", "--dry-run", "--quiet"], folder)


def measured(runs: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "study")
        folder.mkdir()
        wanted = planned(runs, share_process=False)
        (folder / "study.yaml").write_text(yaml.safe_dump(wanted))
        start = time.perf_counter()
        count = fill(load_study(folder / "study.yaml"), folder)
        print(f"{count} records written in {time.perf_counter() - start:.0f} s")
        rows: list[dict[str, Any]] = []

        def took(name: str, figures: Mapping[str, float]) -> None:
            rows.append({"runs": count, "command": name, **{key: round(value, 2) for key, value in figures.items()}})
            print(f"  {name:34} {' '.join(f'{key} {value:8.1f}' for key, value in figures.items())}", flush=True)

        audit = ["audit", "--config", "study.yaml", "--output", "results/audit.csv"]
        measure([sys.executable, "-m", "psasc_bench", *audit], folder)
        for name, arguments in COMMANDS.items():
            config = ["--config", "study.yaml"] if name != "verify" else []
            took(name, measure([sys.executable, "-m", "psasc_bench", *arguments, *config], folder))
        page = folder / "results" / "explorer.html"
        rows[-1]["page_mb"] = round(page.stat().st_size / 1e6, 2)
        print(f"  the explorer's page: {rows[-1]['page_mb']} MB")
        took("plan, a job a run", plan(Path(scratch, "single"), wanted))
        took("plan, a job a cell", plan(Path(scratch, "cells"), planned(runs, share_process=True)))
    return rows


def growth(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The exponents of CPU seconds and of memory from the smallest number of runs to the largest."""
    for name in dict.fromkeys(row["command"] for row in rows):
        few, *_, many = sorted((row for row in rows if row["command"] == name), key=lambda row: row["runs"])
        ratio = math.log(many["runs"] / few["runs"])
        time_, memory = (math.log(many[key] / few[key]) / ratio for key in ("cpu_s", "peak_mib"))
        yield f"  {name:34} time n^{time_:.2f}, memory n^{memory:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--output", type=Path, help="write the figures there as CSV")
    options = parser.parse_args()
    rows = [row for runs in sorted(options.runs) for row in measured(runs)]
    if len({row["runs"] for row in rows}) > 1:
        print("growth:", *growth(rows), sep="\n")
    if options.output:
        write_csv(options.output, rows)


if __name__ == "__main__":
    main()
