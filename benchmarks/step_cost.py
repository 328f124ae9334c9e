"""What the gradient of a private step costs, as a ratio to the fastest ordinary one in the same run.

    python benchmarks/step_cost.py --model mnist --batch 256 --rounds 30 --output results/cost.csv

A step is the forward pass, the backward pass and the (clipped) sum of gradients over one batch, in micro-batches;
neither noise nor an optimiser, which cost the same for all. Every contestant is tried in both memory layouts and in
several micro-batches; the variant that was fastest in ``TRIALS`` turns enters the rounds, where the contestants take
turns, so that a busy machine is busy for all. The table takes the rows of one model and batch after the other; in it,
``median``, ``q25`` and ``q75`` are of the ratio, and ``load`` is how many processes were running as it began.

A turn is one step, before which the others have emptied the caches; ``--steps 20`` makes it twenty, as in training.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from models import BENCHMARKS, create, examples
from opacus.grad_sample import (
    GradSampleModule,
    GradSampleModuleExpandedWeights,
    GradSampleModuleFastGradientClipping,
)
from opacus.optimizers import DPOptimizer
from opacus.validators import ModuleValidator
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from turns import Clock, Variant, after_the_gpu, compared, fastest, layouts, merge, table, take_turns

from psasc_bench.engine import GradientBooks, flatten, gather, point_at
from psasc_bench.memory import keep_freed_memory
from psasc_bench.training import choose_device

COLUMNS = ("model", "batch", "contestant", "median", "q25", "q75", "micro_batch", "layout")
CLIP = 0.1
Step = Callable[[Tensor, Tensor], Any]  # of one micro-batch


def plain(model: nn.Module) -> Step:
    return lambda x, y: F.cross_entropy(model(x), y, reduction="sum").backward()


def ours(iterates: int) -> Callable[[nn.Module], Step]:
    def build(model: nn.Module) -> Step:
        points = [flatten(model).clone() for _ in range(iterates)]
        total = torch.zeros_like(points[0])
        parameters = list(model.parameters())
        books = GradientBooks(model)

        def step(x: Tensor, y: Tensor) -> None:
            for point in points:
                point_at(parameters, point)
                losses = F.cross_entropy(model(x), y, reduction="none")
                books.record(losses, torch.ones_like(losses), coefficient=1 / iterates)
            sums = books.weighted_sum(lambda norms: CLIP / norms.clamp(min=CLIP)).sums
            total.add_(gather(parameters, sums))

        return step

    return build


def opacus_materialised(wrapper: type[nn.Module]) -> Callable[[nn.Module], Step]:
    def build(model: nn.Module) -> Step:
        wrapped = wrapper(model, loss_reduction="sum")
        optimiser = DPOptimizer(
            torch.optim.SGD(wrapped.parameters(), lr=1.0),
            noise_multiplier=0.0,
            max_grad_norm=CLIP,
            expected_batch_size=None,
            loss_reduction="sum",
        )

        def step(x: Tensor, y: Tensor) -> None:
            F.cross_entropy(wrapped(x), y, reduction="sum").backward()
            optimiser.clip_and_accumulate()
            for p in optimiser.params:
                p.grad_sample = None

        return step

    return build


def opacus_ghost(model: nn.Module) -> Step:
    wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=CLIP, loss_reduction="sum")
    total = [torch.zeros_like(p) for p in model.parameters()]

    def step(x: Tensor, y: Tensor) -> None:
        losses = F.cross_entropy(wrapped(x), y, reduction="none")
        losses.sum().backward(retain_graph=True)
        wrapped.zero_grad()
        wrapped.disable_hooks()
        (wrapped.get_clipping_coef() * losses).sum().backward()
        wrapped.enable_hooks()
        for t, p in zip(total, model.parameters(), strict=True):
            t += p.grad

    return step


def per_example(model: nn.Module) -> Step:
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    total = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, parameters, (x[None],)), y[None])

    gradients_of = vmap(grad(loss), (None, 0, 0))

    def step(x: Tensor, y: Tensor) -> None:
        gradients = {name: g.flatten(1) for name, g in gradients_of(parameters, x, y).items()}
        norms = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in gradients.values()]).norm(dim=0)
        weights = CLIP / norms.clamp(min=CLIP)
        for name, g in gradients.items():
            total[name] += (weights @ g).view_as(total[name])

    return step


PLAIN = ("plain", "plain channels-last")
CONTESTANTS: dict[str, Callable[[nn.Module], Step]] = {
    "plain": plain,
    "plain channels-last": plain,
    "psasc-bench": ours(1),
    "psasc-bench, 2 iterates": ours(2),
    "psasc-bench, 4 iterates": ours(4),
    "Opacus hooks": opacus_materialised(GradSampleModule),
    "Opacus ew": opacus_materialised(GradSampleModuleExpandedWeights),
    "Opacus ghost": opacus_ghost,
    "torch.func vmap(grad)": per_example,
}


def variants(contestant: str, example: Sequence[int], micro_batches: list[int]) -> Iterator[tuple[str, int]]:
    """Layouts and micro-batches to try a contestant in."""
    possible = layouts(example)
    if contestant in PLAIN:
        possible = [layout for layout in possible if (layout == "default") == (contestant == "plain")]
    return product(possible, micro_batches)


def prepare(contestant: str, model: str, layout: str, size: int, x: Tensor, y: Tensor) -> Variant:
    """A whole step of the contestant."""
    module = create(model).to(x.device)
    if contestant.startswith("Opacus"):  # which has attention and recurrences of its own in place of torch's
        module = ModuleValidator.fix(module)
    if layout == "channels-last":
        module, x = module.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    step = CONTESTANTS[contestant](module)

    def run() -> None:
        module.zero_grad()
        for start in range(0, len(x), size):
            step(x[start : start + size], y[start : start + size])

    return Variant(layout, size, run)


def measure(
    model: str,
    *,
    batch: int,
    rounds: int,
    micro_batches: list[int],
    steps: int,
    clock: Clock,
    device: torch.device,
) -> list[dict[str, Any]]:
    """A row per contestant, see ``compared``."""
    x, y = (t.to(device) for t in examples(model, batch))
    field = {
        name: fastest(
            (
                partial(prepare, name, model, layout, size, x, y)
                for layout, size in variants(name, x.shape[1:], micro_batches)
            ),
            repeats=steps,
            clock=clock,
        )
        for name in CONTESTANTS
    }
    times = take_turns(field, rounds=rounds, repeats=steps, clock=clock)
    return [{"model": model, "batch": batch, **row} for row in compared(field, times, floor=PLAIN)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=BENCHMARKS, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--micro-batches", type=int, nargs="+", help="default: the batch, its half, quarter, eighth")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=1, help="in a turn, one after the other")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--cpu-time", action="store_true", help="for one thread on a machine with other work")
    parser.add_argument("--output", type=Path, help="the table to put the rows into, such as results/cost.csv")
    arguments = parser.parse_args()
    try:
        device = choose_device(arguments.device)
    except ValueError as error:
        parser.error(str(error))
    gpu = device.type == "cuda"
    if gpu and arguments.cpu_time:
        parser.error("--cpu-time is no measure of a GPU: leave it out with --device cuda")
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as in training; for every contestant
    warnings.filterwarnings("ignore", message="Full backward hook is firing")  # as it should here
    sizes = arguments.micro_batches or [arguments.batch >> i for i in range(4)]
    setting = {
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "threads": arguments.threads,
        "clock": "cpu" if arguments.cpu_time else "wall",
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "load": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        **{name: version(name) for name in ("torch", "opacus")},
    }
    rows = measure(
        arguments.model,
        batch=arguments.batch,
        rounds=arguments.rounds,
        micro_batches=sizes,
        steps=arguments.steps,
        clock=after_the_gpu if gpu else time.process_time if arguments.cpu_time else time.perf_counter,
        device=device,
    )
    print(
        f"{arguments.model}, batch {arguments.batch}, {arguments.threads} thread(s), "
        f"{arguments.rounds} rounds of {arguments.steps} step(s)"
    )
    print(table(rows))
    if arguments.output:
        merge(arguments.output, [row | setting for row in rows], columns=COLUMNS)


if __name__ == "__main__":
    main()
