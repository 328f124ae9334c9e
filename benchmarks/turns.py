"""Contestants that take turns, so that a busy machine is busy for all of them, and the table of what each one took."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from psasc_bench.files import write_csv

TRIALS = 3
Clock = Callable[[], float]


@dataclass(frozen=True)
class Variant:
    """A contestant in one memory layout and micro-batch: ``run`` does its work once."""

    layout: str
    micro_batch: int
    run: Callable[[], None]

    def seconds(self, repeats: int, clock: Clock) -> float:
        """Of its work, when so many follow each other."""
        start = clock()
        for _ in range(repeats):
            self.run()
        return (clock() - start) / repeats


def after_the_gpu() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def layouts(example: Sequence[int]) -> list[str]:
    """The memory layouts that examples of this shape can lie in."""
    return ["default", "channels-last"] if len(example) == 3 else ["default"]


def fastest(makers: Iterable[Callable[[], Variant]], *, repeats: int, clock: Clock) -> Variant | str:
    """The variant with the fastest of ``TRIALS`` turns after a first one, or why there is none."""
    tried, status = [], "does not apply"
    for make in makers:
        try:
            variant = make()
            variant.run()
            tried.append(variant)
        except Exception as error:  # of somebody else's library: told in the table
            status = f"failed: {type(error).__name__}: {str(error).splitlines()[0]}"
    turns = ([variant.seconds(repeats, clock) for variant in tried] for _ in range(TRIALS))
    least = [min(times) for times in zip(*turns, strict=True)]
    return tried[least.index(min(least))] if tried else status


def take_turns(
    field: Mapping[str, Variant | str], *, rounds: int, repeats: int, clock: Clock
) -> dict[str, list[float]]:
    """Milliseconds of each contestant that runs, one number a round."""
    running = {name: variant for name, variant in field.items() if isinstance(variant, Variant)}
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, variant in running.items():
            times[name].append(1e3 * variant.seconds(repeats, clock))
    return times


def ratio(mine: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """Median and quartiles, of the same round, so that what slows the machine down for a while cancels."""
    ratios = [one / other for one, other in zip(mine, others, strict=True)]
    return dict(zip(("q25", "median", "q75"), statistics.quantiles(ratios, n=4, method="inclusive"), strict=True))


def compared(
    field: Mapping[str, Variant | str], times: Mapping[str, Sequence[float]], *, floor: Sequence[str]
) -> list[dict[str, Any]]:
    """A row per contestant: its ratio to the faster one of ``floor``, and its milliseconds."""
    base = min((name for name in floor if name in times), key=lambda name: statistics.median(times[name]))
    rows: list[dict[str, Any]] = []
    for name, variant in field.items():
        if isinstance(variant, str):
            rows.append({"contestant": name, "status": variant})
            continue
        row = {"contestant": name, **ratio(times[name], times[base]), "status": "done"}
        row |= {"micro_batch": variant.micro_batch, "layout": variant.layout}
        rows.append(row | {"milliseconds": statistics.median(times[name])})
    return rows


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [f"{'':26} {'ms':>8} {'ratio':>6}  {'quartiles':12} variant"]
    for row in rows:
        if row["status"] != "done":
            lines.append(f"{row['contestant']:26} {row['status']}")
            continue
        lines.append(
            f"{row['contestant']:26} {row['milliseconds']:8.2f} {row['median']:6.2f}  "
            f"{row['q25']:.2f} - {row['q75']:.2f}  {row['layout']} @{row['micro_batch']}"
        )
    return "\n".join(lines)


def merge(path: Path, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str]) -> None:
    """Put ``rows`` into the table in ``path``, in place of those of the same model and batch."""
    kept: list[Mapping[str, Any]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            kept = list(csv.DictReader(file))
    measured = {(row["model"], str(row["batch"])) for row in rows}
    kept = [row for row in kept if (row["model"], row["batch"]) not in measured]
    write_csv(path, [*kept, *rows], header=columns)
