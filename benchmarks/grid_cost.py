"""What the runs of a study would take: core-hours, and hours on so many cores.

    python benchmarks/grid_cost.py config/config.yaml
    python benchmarks/grid_cost.py config/config.yaml --datasets digits --runs 10000

A run takes the median of the seconds in the records of its data set and method; where there are none, some ten steps
of it are trained here, on as many examples as these need. Every job also starts a process. Jobs are dealt to cores
longest first; what a scheduler adds by its queue is not in it. Cores are taken to be as fast together as each alone,
which they are not quite (docs/scale.md).
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from psasc_bench import planning, records
from psasc_bench.privacy import calibrate
from psasc_bench.study import Cell, Study, load_study
from psasc_bench.training import prepared_dataset, train

CORES = (2, 16, 64, 1000)
STEPS = 10
Seconds = Mapping[tuple[str, str], float]


def recorded(study: Study, runs: Path) -> dict[tuple[str, str], float]:
    """The median seconds of a run on one CPU thread, by data set and method, of those that have finished."""
    found = defaultdict(list)
    for run in records.survey(study, runs):
        if run.status == "done" and run.record and run.record.provenance["device"] == "cpu":
            found[run.spec.dataset, run.spec.label].append(run.record.seconds["total"])
    return {key: statistics.median(seconds) for key, seconds in found.items()}


def by_steps(study: Study, dataset: str, method: str) -> float:
    """The seconds of a run, by those of ``STEPS`` of its steps, without its evaluations."""
    data = prepared_dataset(study, dataset, None, warn=print)
    epsilon = min(study.cell_epsilons(dataset, method))
    spec = study.spec(Cell(dataset, method, epsilon), seed=0)
    examples = min(STEPS * spec.expected_batch_size, len(data.y_train))
    few = replace(data, x_train=data.x_train[:examples], y_train=data.y_train[:examples])
    few = replace(few, x_test=data.x_test[:1], y_test=data.y_test[:1])
    short = replace(spec, epochs=1)
    budget = calibrate(
        epsilon=epsilon,
        delta=spec.delta,
        sampling_rate=short.sampling_rate(examples),
        steps=short.epoch_ends(examples)[-1],
        accountant=spec.accountant,
    )
    micro_batch_size = study.dataset(dataset).micro_batch_size
    made = train(short, few, budget, micro_batch_size=micro_batch_size, device=torch.device("cpu"))
    return made.seconds["total"] / made.steps_taken * spec.epoch_ends(len(data.y_train))[-1]


def jobs(study: Study, datasets: Sequence[str], seconds: Seconds, *, start_up: float, runs: int | None) -> list[float]:
    """The seconds of each job; with ``runs``, of a study that has so many, by more seeds."""
    cells = [cell for cell in study.cells() if cell.dataset in datasets]
    counts = [len(study.cell_seeds(cell.dataset, cell.epsilon)) for cell in cells]
    share = (runs / sum(counts)) if runs else 1
    made = []
    for cell, count in zip(cells, counts, strict=True):
        of_run, seeds = seconds[cell.dataset, cell.method], round(share * count)
        shared = study.dataset(cell.dataset).share_process
        made += [start_up + seeds * of_run] if shared else [start_up + of_run] * seeds
    return made


def makespan(durations: Iterable[float], cores: int) -> float:
    """Seconds until the last of the jobs ends, dealt longest first to the core that is free first."""
    free = [0.0] * cores
    for duration in sorted(durations, reverse=True):
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def whole(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--datasets", nargs="+", help="(default: all of the study)")
    parser.add_argument("--results", type=Path, help="the folder with its records (default: that of the study)")
    parser.add_argument("--runs", type=whole, help="as many, by more seeds (default: those of the study)")
    parser.add_argument(
        "--start-up", type=float, default=2.0, help="seconds of a job before its first step (%(default)s)"
    )
    parser.add_argument("--price", type=float, default=0.04, help="of a core-hour (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        tell(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def tell(options: argparse.Namespace) -> None:
    study = load_study(options.config)
    if root := os.environ.get("PSASC_BENCH_DATA"):
        study = study.model_copy(update={"data_root": root})
    names = options.datasets or list(study.datasets)
    results = options.results or planning.study_folder(study, [options.config], project=Path()) / "results"
    seconds = recorded(study, results / "runs")
    for dataset in names:
        for method in study.methods_on(dataset):
            if (dataset, method) not in seconds:
                seconds[dataset, method] = by_steps(study, dataset, method)
                print(f"{dataset}, {method}: {seconds[dataset, method]:.0f} s a run, by {STEPS} steps", flush=True)
    every = []
    print(f"\n| | jobs | core-hours | {' | '.join(f'{cores:,} cores' for cores in CORES)} | price |")
    print("|---|" + "---|" * (len(CORES) + 3))
    for name in names:
        made = jobs(study, [name], seconds, start_up=options.start_up, runs=options.runs)
        every += made
        print(row(name, made, options.price))
    if len(names) > 1:
        print(row("all", every, options.price))


def row(name: str, made: Sequence[float], price: float) -> str:
    hours = sum(made) / 3600
    spans = " | ".join(lasting(makespan(made, cores)) for cores in CORES)
    return f"| {name} | {len(made):,} | {hours:.1f} | {spans} | {price * hours:.2f} |"


def lasting(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    main()
