"""Where the seconds of one whole run go, start-up included, and its peak memory.

    python benchmarks/run_cost.py --dataset digits --method dp-psasc --epsilon 3

A fresh process trains one run of the study; its own clock and its record say the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from psasc_bench import data
from psasc_bench.privacy import calibrate
from psasc_bench.study import Cell, load_study

STARTUP = """
import time
start = time.perf_counter()
import torch
torch_loaded = time.perf_counter()
from psasc_bench.study import load_study
from psasc_bench.training import train_run
print(torch_loaded - start, time.perf_counter() - torch_loaded)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--epsilon", required=True)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()

    started = subprocess.run([sys.executable, "-c", STARTUP], check=True, capture_output=True, text=True).stdout.split()
    command = ["train", "--config", options.config, "--dataset", options.dataset, "--method", options.method]
    command += ["--epsilon", options.epsilon, "--seeds", 0]
    with tempfile.TemporaryDirectory() as folder:
        study = load_study(options.config)
        protocol, prepared = study.dataset(options.dataset), Path(folder, "data.npz")
        data.prepare(
            protocol.source,
            prepared,
            root=Path(os.environ.get("PSASC_BENCH_DATA", study.data_root)),
            path=Path(protocol.path) if protocol.path else None,
            mean=protocol.mean,
            deviation=protocol.deviation,
            features=protocol.features,
        )
        cell = Cell(options.dataset, options.method, float(options.epsilon))
        schedule, examples = study.spec(cell, seed=0), len(data.load(prepared).y_train)
        budget = calibrate(
            epsilon=cell.epsilon,
            delta=protocol.delta,
            sampling_rate=schedule.sampling_rate(examples),
            steps=schedule.epoch_ends(examples)[-1],
            accountant=schedule.accountant,
        )
        budget_file = Path(folder, "budget")
        budget_file.write_text(json.dumps(budget.to_json()), encoding="utf-8")
        command += ["--data", prepared, "--budget", budget_file, "--runs", Path(folder, "runs")]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "psasc_bench", *map(str, command)], check=True, capture_output=True)
        wall = time.perf_counter() - start
        (path,) = Path(folder, "runs").rglob("*.json")
        record = json.loads(path.read_text(encoding="utf-8"))

    seconds = dict(record["seconds"])
    total = seconds.pop("total")
    seconds["rest of the loop (set-up)"] = total - sum(seconds.values())
    seconds = {"import torch": float(started[0]), "import psasc_bench": float(started[1])} | seconds
    seconds["rest of the process (interpreter, data, files)"] = wall - sum(seconds.values())
    for phase, value in seconds.items():
        print(f"{phase:48} {value:9.2f} s {100 * value / wall:6.1f} %")
    print(f"{'whole process':48} {wall:9.2f} s")
    print(f"{'peak memory, libraries included':48} {record['provenance']['peak_memory_mib']:9.0f} MiB")
    spent = sum(record["seconds"][phase] for phase in ("passes", "weighting"))
    print(f"{'share of training outside passes and weighting':48} {100 * (1 - spent / total):9.1f} %")
    if options.json:
        figures = {"seconds": seconds, "wall": wall, "provenance": record["provenance"]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
