"""What it costs to calibrate noise by RDP instead of PLD.

    python benchmarks/accountant_cost.py

For every schedule and epsilon of the study's data sets: both noise multipliers, how much more noise RDP asks for, what
epsilon the noise of PLD is by RDP, and the seconds of processor time that each search took. Prints a Markdown table. It
took 2 minutes on one core of a busy machine.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pandas as pd
from honest_ledgers import EXAMPLES

from psasc_bench.privacy import Accountant, Budget, calibrate
from psasc_bench.study import Schedule, load_study


def calibrated(schedule: Schedule, examples: int, *, accountant: Accountant, **target: float) -> tuple[Budget, float]:
    """The budget, and the seconds that it took."""
    start = time.process_time()
    rate, steps = schedule.sampling_rate(examples), schedule.epoch_ends(examples)[-1]
    budget = calibrate(
        epsilon=target["epsilon"], delta=target["delta"], sampling_rate=rate, steps=steps, accountant=accountant
    )
    return budget, time.process_time() - start


def row(title: str, schedule: Schedule, examples: int, *, epsilon: float, delta: float) -> dict[str, Any]:
    target = {"epsilon": epsilon, "delta": delta}
    by_rdp, seconds_rdp = calibrated(schedule, examples, accountant="rdp", **target)
    by_pld, seconds_pld = calibrated(schedule, examples, accountant="pld", **target)
    return {
        "data set": title,
        "epsilon": f"{epsilon:g}",
        "noise by RDP": f"{by_rdp.noise_multiplier:.3f}",
        "noise by PLD": f"{by_pld.noise_multiplier:.3f}",
        "RDP asks for": f"{100 * (by_rdp.noise_multiplier / by_pld.noise_multiplier - 1):.1f} % more",
        "PLD's noise, by RDP": f"epsilon {by_pld.epsilon_rdp:.2f}",
        "seconds by RDP": f"{seconds_rdp:.1f}",
        "seconds by PLD": f"{seconds_pld:.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    study = load_study(parser.parse_args().config)
    calibrate(epsilon=1, delta=1e-5, sampling_rate=0.1, steps=10, accountant="pld")  # what is loaded but once
    rows = []
    for name, protocol in study.datasets.items():
        schedule = Schedule(dataset=name, expected_batch_size=protocol.expected_batch_size, epochs=protocol.epochs)
        for epsilon in study.budgets(name):
            examples = EXAMPLES[protocol.source]
            rows.append(row(protocol.title, schedule, examples, epsilon=epsilon, delta=protocol.delta))
    print(pd.DataFrame(rows).to_markdown(index=False, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
