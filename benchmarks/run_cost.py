"""Where the seconds of one whole run go, start-up included, and its peak memory.

    python benchmarks/run_cost.py --dataset digits --method dp-psasc --epsilon 3

A fresh process trains one run of the study; its own clock and its record say the rest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STARTUP = """
import time
start = time.perf_counter()
import torch
torch_loaded = time.perf_counter()
import psasc_bench.cell, psasc_bench.config
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
    common = ["--config", options.config, "--dataset", options.dataset]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "data.npz")
        _psasc_bench("prepare", *common, "--output", prepared)
        _psasc_bench("budgets", *common, "--data", prepared, "--epsilons", options.epsilon, "--output", folder)
        train = ["train", *common, "--method", options.method, "--epsilon", options.epsilon, "--seeds", 0]
        start = time.perf_counter()
        _psasc_bench(
            *train, "--data", prepared, "--budget", Path(folder, f"eps-{options.epsilon}.json"), "--runs", folder
        )
        wall = time.perf_counter() - start
        (path,) = Path(folder).glob("*/*/*/*.json")
        record = json.loads(path.read_text(encoding="utf-8"))

    seconds = dict(record["seconds"])
    total = seconds.pop("total")
    seconds["rest of the loop (diagnostics, set-up)"] = total - sum(seconds.values())
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


def _psasc_bench(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "psasc_bench", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
