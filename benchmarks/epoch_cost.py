"""What an epoch of somebody's training script costs, as a ratio to the same epoch without privacy, and in memory.

    python benchmarks/epoch_cost.py --model mnist --batch 256 --rounds 10 --output results/epoch_cost.csv

DP-SGD on random examples: by Opacus as its tutorial shows it, in each of its modes; by ``psasc_bench.opacus`` in its
place; by ``psasc_bench.PrivateGradient``; and by what the suite itself trains with. All draw Poisson batches, add noise
and move the parameters by SGD; a batch is one micro-batch. Each is tried in both memory layouts, and the faster one
enters the rounds, as in ``step_cost.py``. ``peak_mib`` is what an epoch asks for at most beside what the process
already has, in a process of its own (Linux); columns ``suite_`` are ratios to the suite's
epoch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import re
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from models import BENCHMARKS, create, examples
from opacus import PrivacyEngine
from opacus.validators import ModuleValidator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from turns import Variant, compared, fastest, layouts, merge, ratio, table, take_turns

from psasc_bench import PrivateGradient, method, poisson_batches
from psasc_bench.memory import keep_freed_memory
from psasc_bench.opacus import make_private
from psasc_bench.training import Objective, release

COLUMNS = ("model", "batch", "contestant", "median", "q25", "q75", "layout", "peak_mib")
SUITE = "the suite"
CLIP, NOISE, RATE = 0.1, 1.0, 0.1
Epoch = Callable[[], None]
Contestant = Callable[[nn.Module, Tensor, Tensor, int], Epoch]  # of a model, examples, labels and a batch size


def plain(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> Epoch:
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
    return partial(_tutorial, model, _sgd(model), nn.CrossEntropyLoss(), loader)


def opacus(mode: str) -> Contestant:
    def start(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> Epoch:
        model = ModuleValidator.fix(model)  # it has attention and recurrences of its own in place of torch's
        criterion = {"criterion": nn.CrossEntropyLoss()} if mode == "ghost" else {}
        private, optimizer, *others, loader = PrivacyEngine().make_private(
            module=model,
            optimizer=_sgd(model),
            data_loader=DataLoader(TensorDataset(x, y), batch_size=batch),
            noise_multiplier=NOISE,
            max_grad_norm=CLIP,
            grad_sample_mode=mode,
            **criterion,
        )
        return partial(_tutorial, private, optimizer, *(others or [nn.CrossEntropyLoss()]), loader)

    return start


def adapter(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> Epoch:
    private, optimizer, loader = make_private(
        model,
        _sgd(model),
        DataLoader(TensorDataset(x, y), batch_size=batch),
        noise_multiplier=NOISE,
        method=method("dp-sgd", C=CLIP),
    )
    return partial(_tutorial, private, optimizer, nn.CrossEntropyLoss(), loader)


def library(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> Epoch:
    optimiser = _sgd(model)
    private = PrivateGradient(model, method("dp-sgd", C=CLIP), noise_multiplier=NOISE, expected_batch_size=batch)

    def epoch() -> None:
        for drawn in poisson_batches(len(x), batch / len(x), len(x) // batch):
            private.add(F.cross_entropy(model(x[drawn]), y[drawn], reduction="none"))
            private.release()
            optimiser.step()

    return epoch


def suite(model: nn.Module, x: Tensor, y: Tensor, batch: int) -> Epoch:
    def losses(indices: Tensor) -> list[Callable[[], Tensor]]:
        images, labels = x[indices], y[indices]
        return [lambda: F.cross_entropy(model(images), labels, reduction="none")]

    objective, of_dp_sgd, noise = Objective(model, losses), method("dp-sgd", C=CLIP), torch.Generator(x.device)

    def epoch() -> None:
        parameters = objective.parameters
        for drawn in poisson_batches(len(x), batch / len(x), len(x) // batch):
            found = objective.gradient_sum(of_dp_sgd, drawn, micro_batch_size=max(1, len(drawn)), iterates=[parameters])
            released = release(
                found,
                of_dp_sgd,
                noise_multiplier=NOISE,
                expected_batch_size=batch,
                generator=noise,
                statistic_generator=noise,
            )
            parameters = parameters - RATE * released.gradient

    return epoch


def _sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=RATE)


def _tutorial(model: nn.Module, optimizer: torch.optim.Optimizer, criterion: Any, loader: DataLoader[Any]) -> None:
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()


CONTESTANTS: dict[str, Contestant] = {
    "plain": plain,
    "Opacus hooks": opacus("hooks"),
    "Opacus ew": opacus("ew"),
    "Opacus ghost": opacus("ghost"),
    "psasc_bench.opacus": adapter,
    "psasc_bench": library,
    SUITE: suite,
}


def prepare(contestant: str, model: str, layout: str, *, batch: int, steps: int) -> Variant:
    """An epoch of the contestant on ``steps`` batches' worth of examples."""
    x, y = examples(model, batch * steps)
    module = create(model)
    if layout == "channels-last":
        module, x = module.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    return Variant(layout, batch, CONTESTANTS[contestant](module, x, y, batch))


def measure(model: str, *, batch: int, steps: int, rounds: int) -> list[dict[str, Any]]:
    """A row per contestant, see ``compared``, with its peak of memory."""
    field = {
        name: fastest(
            (
                partial(prepare, name, model, layout, batch=batch, steps=steps)
                for layout in layouts(BENCHMARKS[model][1])
            ),
            repeats=1,
            clock=time.perf_counter,
        )
        for name in CONTESTANTS
    }
    times = take_turns(field, rounds=rounds, repeats=1, clock=time.perf_counter)
    rows = compared(field, times, floor=["plain"])
    own = multiprocessing.get_context("spawn")
    for row in rows:
        if row["status"] == "done":
            of_suite = ratio(times[row["contestant"]], times[SUITE])
            row |= {f"suite_{key}": value for key, value in of_suite.items()}
            with own.Pool(1) as pool:
                row["peak_mib"] = pool.apply(peak, (row["contestant"], model, row["layout"], batch, steps))
    return [{"model": model, "batch": batch, **row} for row in rows]


def peak(contestant: str, model: str, layout: str, batch: int, steps: int) -> int | None:
    """MiB that an epoch takes at most above what this process has before it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    settings()
    variant = prepare(contestant, model, layout, batch=batch, steps=steps)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    (before,) = re.findall(r"VmRSS:\s+(\d+)", status.read_text())
    variant.run()
    (most,) = re.findall(r"VmHWM:\s+(\d+)", status.read_text())
    return (int(most) - int(before)) // 1024


def settings() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # as in training; for every contestant
    warnings.filterwarnings("ignore", message="Full backward hook is firing")  # as it should here
    warnings.filterwarnings("ignore", message="Secure RNG turned off")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=BENCHMARKS, required=True)
    parser.add_argument("--batch", type=int, required=True, help="expected batch size")
    parser.add_argument("--steps", type=int, default=10, help="batches in an epoch")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path, help="the table to put the rows into, such as results/epoch_cost.csv")
    arguments = parser.parse_args()
    settings()
    setting = {
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        **{name: version(name) for name in ("torch", "opacus")},
    }
    rows = measure(arguments.model, batch=arguments.batch, steps=arguments.steps, rounds=arguments.rounds)
    print(f"{arguments.model}, expected batch {arguments.batch}, {arguments.steps} steps, {arguments.rounds} rounds")
    print(table(rows))
    for row in rows:
        if row["status"] == "done":
            of_suite = f"{row['suite_median']:.2f} ({row['suite_q25']:.2f} to {row['suite_q75']:.2f})"
            print(f"{row['contestant']:26} {row['peak_mib']} MiB; {of_suite} of the suite's")
    if arguments.output:
        merge(arguments.output, [row | setting for row in rows], columns=COLUMNS)


if __name__ == "__main__":
    main()
