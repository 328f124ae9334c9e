"""What a run of this checkout costs, as a ratio to the same run of another, and whether its results are the same.

    python benchmarks/against.py ../other --config study.yaml --dataset mnist --method dp-sgd --epsilon 3 --rounds 10

The two take turns, each run in a process of its own, so that a busy machine is busy for both. The ratios, medians with
quartiles, are of the seconds that the records of a turn have: start-up is left out. The first turn, which prepares data
and checks methods, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PARTS = ("total", "passes", "weighting", "release", "sampling")
SAME = ("status", "result", "predictions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--epsilon", required=True)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    run = [f"--{key}={getattr(arguments, key)}" for key in ("dataset", "method", "epsilon")]
    run += [f"--config={arguments.config.resolve()}", "--seeds=0", "--threads=1"]
    checkouts = (Path(__file__).parents[1], arguments.other.resolve())
    ratios: dict[str, list[float]] = {part: [] for part in PARTS}
    alike = []
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, name) for name in ("this", "other")]
        for turn in range(arguments.rounds + 1):
            order = (0, 1) if turn % 2 else (1, 0)
            records = dict(sorted((which, train(checkouts[which], homes[which], turn, run)) for which in order))
            this, other = records[0], records[1]
            alike.append(all(this.get(key) == other.get(key) for key in SAME) and this["curve"] == other["curve"])
            if turn:
                for part, found in ratios.items():
                    found.append(this["seconds"][part] / other["seconds"][part])
    for part, found in ratios.items():
        low, median, high = statistics.quantiles(found, n=4)
        print(f"{part:<10} {median:.3f} [{low:.3f}, {high:.3f}]")
    print(f"same results, predictions and curves in {sum(alike)} of {len(alike)} turns")


def train(checkout: Path, home: Path, turn: int, run: list[str]) -> dict[str, Any]:
    """The record of one run by ``checkout``, with its curve; data, budget and checks lie in ``home``."""
    home.mkdir(exist_ok=True)
    runs = home / f"turn-{turn}"
    command = [sys.executable, "-m", "psasc_bench", "train", *run, f"--runs={runs}", f"--checks={home / 'checks'}"]
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True)
    (path,) = runs.rglob("seed-0.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record | {"curve": path.with_suffix(".csv").read_text()}


if __name__ == "__main__":
    main()
