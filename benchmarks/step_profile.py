"""Where the time of a private step goes, and what its arithmetic would take alone.

    python benchmarks/step_profile.py --model mnist --batch 256

Parts take turns, and are medians of their ratio to an ordinary channels-last step of the same round. *Calls* are the
same with two examples, where there is next to no arithmetic. *Products* are those of a convolution's per-example
gradients, with their billions of multiply-adds a second; an ordinary step does as many for its weight gradient, in
fewer and larger calls.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from models import BENCHMARKS, create, examples
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks, convolution, flatten
from psasc_bench.memory import keep_freed_memory

CLIP = 0.1
Part = Callable[[], object]


def parts(model: str, batch: int) -> tuple[dict[str, Part], dict[str, int]]:
    """What is timed, by name, and the multiply-adds of what has any to speak of."""
    x, y = examples(model, batch)
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    ordinary, private = create(model), create(model)
    if x.dim() == 4:
        ordinary = ordinary.to(memory_format=torch.channels_last)
    flatten(private)
    books = GradientBooks(private)

    def plain(count: int) -> None:
        F.cross_entropy(ordinary(x[:count]), y[:count], reduction="sum").backward()

    def record(count: int) -> None:
        losses = F.cross_entropy(private(x[:count]), y[:count], reduction="none")
        books.record(losses, torch.ones_like(losses))

    def passes() -> None:
        record(batch)
        books._books.clear()

    def step(count: int) -> None:
        record(count)
        books.weighted_sum(lambda norms: CLIP / norms.clamp(min=CLIP))

    timed: dict[str, Part] = {
        "an ordinary step": lambda: plain(batch),
        "a private step": lambda: step(batch),
        "its passes": passes,
        "its calls": lambda: step(2),
        "an ordinary step's calls": lambda: plain(2),
    }
    multiply_adds = {}
    record(batch)
    for layer, sources in books._books.items():
        (name,) = (name for name, module in private.named_modules() if module is layer)
        ((inputs, outputs),) = sources[None]
        if isinstance(layer, nn.Conv2d):
            timed |= _of_convolution(f"layer {name}", layer, inputs, outputs)
            multiply_adds[f"layer {name}: products"] = outputs[:, 0].numel() * layer.weight.numel()
            multiply_adds[f"layer {name}: ordinary weight gradient"] = multiply_adds[f"layer {name}: products"]
    books._books.clear()
    return timed, multiply_adds


def _of_convolution(name: str, layer: nn.Conv2d, inputs: Tensor, outputs: Tensor) -> dict[str, Part]:
    padded, b = convolution._padded(layer, inputs), convolution._pixels_by_outputs(outputs)
    patches = convolution._unfolded(layer, padded)
    gradients = torch.bmm(b.mT, patches).flatten(1)
    weights = torch.rand(len(b))
    return {
        f"{name}: unfolding": lambda: convolution._unfolded(layer, convolution._padded(layer, inputs)),
        f"{name}: products": lambda: torch.bmm(b.mT, patches),
        f"{name}: norms and sum": lambda: (torch.linalg.vector_norm(gradients, dim=1), weights @ gradients),
        f"{name}: ordinary weight gradient": lambda: convolution._weight_gradient(
            layer, inputs, outputs, layer.weight.detach()
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=BENCHMARKS, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    timed, multiply_adds = parts(arguments.model, arguments.batch)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for part in timed.values():
        part()
    for _ in range(arguments.rounds):
        for name, part in timed.items():
            start = time.perf_counter()
            part()
            seconds[name].append(time.perf_counter() - start)
    base = seconds["an ordinary step"]
    for name, times in seconds.items():
        ratio = statistics.median(mine / plain for mine, plain in zip(times, base, strict=True))
        speed = f"{multiply_adds[name] / statistics.median(times) / 1e9:6.1f} G/s" if name in multiply_adds else ""
        print(f"{name:40} {ratio:6.3f} {speed}")


if __name__ == "__main__":
    main()
