"""What a step of many seeds costs in one batch of models, beside as many steps of the engine, and whose bits it has.

    python benchmarks/seeds_batched.py --model digits --rows 288 --seeds 1 5 20 --rounds 30

A step fetches a micro-batch for each seed, passes forward and backward, and sums clipped gradients; the seeds share the
examples, and neither parameters nor rows. The contestants take turns, on one thread:

* engine: one seed, many steps in a row, as the suite trains;
* batched: passes with a group or a matrix for each seed; the engine's own functions for the gradients of all examples;
* vmap: ``torch.func`` over stacked models and then over examples.

Ratios, medians with quartiles over rounds, are of the processor's time for a seed's step; below 1 is faster than the
engine. Of the sums are told the largest relative difference to a seed's by the engine, and how many have the same bits.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
import torch.nn.functional as F
from models import BENCHMARKS, examples
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from turns import ratio

from psasc_bench.engine import GradientBooks, flatten, gather
from psasc_bench.engine.convolution import SMALL_GRAM_COST, STORE_COST, _conv2d_by_unfolding, _padded, _unfolded
from psasc_bench.engine.layers import scale_rows, squared_row_norms
from psasc_bench.memory import keep_freed_memory

CLIP = 0.1
EXAMPLES = 1527  # about as many as the digits are trained on
STEPS = 20  # at least, of a seed in one turn of the engine
NHWC = torch.channels_last
Sums = Callable[[], Tensor]  # [S, P], kernels channels-last, as the engine's buffer has them
Part = tuple[Tensor, Callable[[Tensor], list[Tensor]]]  # squared norms [S * B]; the sums [S, ...] for weights [S * B]


@dataclass(frozen=True)
class Task:
    """A model for each seed, and the ``rows [S, B]`` of the examples that it gets, real where ``mask [S, B]`` is 1."""

    models: Sequence[nn.Sequential]
    x: Tensor
    y: Tensor
    rows: Tensor
    mask: Tensor

    def of(self, seed: int) -> Task:
        one = slice(seed, seed + 1)
        return replace(self, models=self.models[one], rows=self.rows[one], mask=self.mask[one])


def clipping(norms: Tensor) -> Tensor:
    return CLIP / norms.clamp(min=CLIP)


def as_trained(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=NHWC) if images.dim() == 4 else images


def engine(task: Task) -> Sums:
    """Of one seed."""
    (model,), (index,), (mask,) = task.models, task.rows, task.mask
    flatten(model)
    books = GradientBooks(model)

    def step() -> Tensor:
        outputs = model(as_trained(task.x[index]))
        books.record(F.cross_entropy(outputs, task.y[index], reduction="none"), mask)
        return gather(model.parameters(), books.weighted_sum(clipping).sums)[None]

    return step


def batched(task: Task) -> Sums:
    """An example's gradient is a function of what its layers took and of what came back, whichever model they are of:
    the examples of all seeds go through the engine's functions together. Of the engine's ways, those that it takes for
    these models. Not here: what it does where norms cancel, or are not finite."""
    (seeds, count), layers = task.rows.shape, task.models[0]
    stacked = [stack(same) for same in zip(*task.models, strict=True)]

    def step() -> Tensor:
        index = task.rows.flatten()
        activations = as_trained(task.x[index])
        noted: list[tuple[nn.Module, Tensor, Tensor]] = []
        for layer, own in zip(layers, stacked, strict=True):
            inputs = activations
            if isinstance(layer, nn.Conv2d):
                passed, (weight, bias) = by_group(inputs, seeds), own
                outputs = F.conv2d(passed, weight, bias, layer.stride, layer.padding, groups=seeds)
                activations = by_example(outputs, seeds)
            elif isinstance(layer, nn.Linear):
                weight, bias = own
                outputs = torch.baddbmm(bias[:, None], inputs.view(seeds, count, -1), weight.mT)
                activations = outputs.flatten(0, 1)
            else:
                activations = layer(inputs)
                continue
            noted.append((layer, inputs.detach(), outputs))
        losses = task.mask.flatten() * F.cross_entropy(activations, task.y[index], reduction="none")
        back = torch.autograd.grad(losses.sum(), [outputs for _, _, outputs in noted])
        parts = [part(layer, a, b, seeds) for (layer, a, _), b in zip(noted, back, strict=True)]
        weights = clipping(reduce(torch.add, (squared for squared, _ in parts)).sqrt())
        return torch.cat([total.flatten(1) for _, sums in parts for total in sums(weights)], 1)

    return step


def stack(layers: Sequence[nn.Module]) -> tuple[Tensor, ...]:
    """The parameters of one layer of all models: kernels and their biases as those of one convolution with groups."""
    together = [torch.stack(same).detach() for same in zip(*(layer.parameters() for layer in layers), strict=True)]
    if isinstance(layers[0], nn.Conv2d):
        together = [t.flatten(0, 1) for t in together]
        together[0] = together[0].contiguous(memory_format=NHWC)
    return tuple(t.requires_grad_() for t in together)


def by_group(t: Tensor, seeds: int) -> Tensor:
    """``[S * B, C, H, W]`` as ``[B, S * C, H, W]``, channels last: other layouts have other kernels, and bits."""
    return t.unflatten(0, (seeds, -1)).permute(1, 3, 4, 0, 2).flatten(3).contiguous().permute(0, 3, 1, 2)


def by_example(t: Tensor, seeds: int) -> Tensor:
    """The inverse."""
    return t.permute(0, 2, 3, 1).unflatten(3, (seeds, -1)).permute(3, 0, 1, 2, 4).flatten(0, 1).permute(0, 3, 1, 2)


def part(layer: nn.Module, inputs: Tensor, back: Tensor, seeds: int) -> Part:
    if isinstance(layer, nn.Linear):
        return products(inputs[:, None], back.flatten(0, 1)[:, None], seeds)
    assert isinstance(layer, nn.Conv2d)
    b = by_example(back, seeds)
    pixels, size, outputs = b[0, 0].numel(), layer.weight.numel(), len(layer.weight)
    if SMALL_GRAM_COST * pixels**2 * (size / outputs + outputs) <= (pixels / 4 + STORE_COST) * size:
        return products(_unfolded(layer, _padded(layer, inputs)), b.flatten(2).mT.contiguous(), seeds)
    written = [_conv2d_by_unfolding(layer, inputs, b), b.sum([2, 3])]

    def sums(weights: Tensor) -> list[Tensor]:
        return [torch.bmm(weights.view(seeds, 1, -1), g.reshape(seeds, len(g) // seeds, -1)) for g in written]

    return reduce(torch.add, map(squared_row_norms, written)), sums


def products(inputs: Tensor, outputs: Tensor, seeds: int) -> Part:
    """Of ``[S * B, T, I]`` and ``[S * B, T, O]``: norms by Gram matrices."""

    def sums(weights: Tensor) -> list[Tensor]:
        scaled = scale_rows(outputs, weights).view(seeds, -1, outputs.shape[2])
        return [torch.bmm(scaled.mT, inputs.reshape(seeds, -1, inputs.shape[2])), scaled.sum(1)]

    if inputs.shape[1] == 1:
        return (squared_row_norms(inputs) + 1) * squared_row_norms(outputs), sums
    gram = (inputs @ inputs.mT + 1) * (outputs @ outputs.mT)
    return gram.sum((1, 2)).clamp(min=0), sums


def by_vmap(task: Task) -> Sums:
    parameters, _ = stack_module_state(list(task.models))
    parameters = {name: tensor.detach() for name, tensor in parameters.items()}

    def loss(own: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(task.models[0], own, (image[None],)), label[None])

    each = vmap(vmap(grad(loss), in_dims=(None, 0, 0)))

    def step() -> Tensor:
        found = each(parameters, task.x[task.rows], task.y[task.rows])
        norms = torch.stack([g.flatten(2).square().sum(2) for g in found.values()]).sum(0).sqrt()
        sums = [torch.einsum("sb,sb...->s...", task.mask * clipping(norms), g) for g in found.values()]
        return torch.cat([(g.permute(0, 1, 3, 4, 2) if g.dim() == 5 else g).flatten(1) for g in sums], 1)

    return step


CONTESTANTS: dict[str, Callable[[Task], Sums]] = {"batched": batched, "vmap": by_vmap}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["digits", "linear", "mlp"], default="digits")
    parser.add_argument("--rows", type=int, default=288, help="of a micro-batch (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--contestants", choices=CONTESTANTS, nargs="+", default=list(CONTESTANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for seeds in arguments.seeds:
        compare(arguments.model, arguments.contestants, seeds=seeds, count=arguments.rows, rounds=arguments.rounds)


def compare(name: str, contestants: Sequence[str], *, seeds: int, count: int, rounds: int) -> None:
    task = set_up(name, seeds=seeds, count=count)
    alone = [engine(task.of(seed)) for seed in range(seeds)]
    exact = torch.cat([run() for run in alone])
    field = {title: CONTESTANTS[title](task) for title in contestants}
    bits = {title: told(run(), exact) for title, run in field.items()}
    times: dict[str, list[float]] = {title: [] for title in ["engine", *field]}
    repeats = math.ceil(STEPS / seeds)
    for turn in range(rounds + 1):
        lap = {"engine": seconds(alone[turn % seeds], repeats * seeds)}
        lap |= {title: seconds(run, repeats) for title, run in field.items()}
        for title, took in lap.items() if turn else ():
            times[title].append(1e3 * took / repeats / seeds)
    for title, found in times.items():
        than = ratio(found, times["engine"])
        print(
            f"{name}, {seeds:2} seeds: {title:8} {statistics.median(found):6.2f} ms a seed's step, "
            f"{than['median']:.2f} ({than['q25']:.2f} to {than['q75']:.2f}) {bits.get(title, '')}",
            flush=True,
        )


def set_up(name: str, *, seeds: int, count: int) -> Task:
    x, y = examples(name, EXAMPLES)
    models: list[nn.Sequential] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        models.append(BENCHMARKS[name][0]())  # type: ignore[arg-type]
    rows = torch.randint(len(x), (seeds, count), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(count) < count - count // 9).float()  # padded as in training
    return Task(models, x, y, rows, mask.repeat(seeds, 1))


def told(sums: Tensor, exact: Tensor) -> str:
    off = ((sums - exact).norm(dim=1) / exact.norm(dim=1)).max()
    return f" off by {float(off):.0e}, same bits in {float((sums == exact).float().mean()):.1%}"


def seconds(run: Sums, repeats: int) -> float:
    """Of the processor: others may be at work."""
    start = time.process_time()
    for _ in range(repeats):
        run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
