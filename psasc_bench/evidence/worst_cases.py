"""Objectives whose gradients are chosen, for the checks and the audit to take steps of training on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench.methods import Method
from psasc_bench.training import Objective, Released, View, release


def one_step(
    objective: Objective,
    method: Method,
    batch: Tensor,
    *,
    noise_multiplier: float,
    expected_batch_size: float,
    generator: torch.Generator,
    statistic_generator: torch.Generator | None = None,
) -> Released:
    """What one step of training lets out, all iterates being the initial parameters. Without a generator of its own, a
    statistic gets the noise of a new one."""
    iterates = [objective.parameters] * int(method.iterates)
    return release(
        objective.gradient_sum(method, batch, micro_batch_size=4096, iterates=iterates),
        method,
        noise_multiplier=noise_multiplier,
        expected_batch_size=expected_batch_size,
        generator=generator,
        statistic_generator=statistic_generator or torch.Generator(),
    )


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def vectors(chosen: Tensor) -> Objective:
    """Example i's gradient is ``chosen[i]``, exactly: ``loss_i = <theta, chosen[i]>``."""
    model = nn.Linear(chosen.shape[1], 1, bias=False).to(chosen.dtype)
    return Objective(model, lambda indices: [lambda: model(chosen[indices]).squeeze(1)])


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def diracs(norms: Tensor, *, parameters: int) -> Objective:
    """Example i's gradient is ``norms[i]`` times the i-th unit vector of ``[parameters]``. ``norms`` may be changed in
    place from step to step, signs included. Costs no more than the vectors that it does not write down."""
    model = nn.Embedding(parameters, 1, dtype=norms.dtype)
    return Objective(model, lambda indices: [lambda: norms[indices] * model(indices).squeeze(1)])


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def networks(scales: Tensor, *, generator: torch.Generator) -> dict[str, Objective]:
    """Small networks that between them take every path of the engine, on as many random examples as there are
    ``scales [B]`` of their losses; in double precision."""
    examples = len(scales)
    images = torch.randn(examples, 1, 8, 8, dtype=torch.float64, generator=generator)
    words = torch.randint(11, (examples, 5), generator=generator)
    features = torch.randn(examples, 6, dtype=torch.float64, generator=generator)
    labels = torch.randint(4, (examples,), generator=generator)
    shared = nn.Linear(6, 6)
    inputs = {
        "convolutions": (images, _convolutions()),
        "sequence": (words, nn.Sequential(*_sequence_layers())),
        "shared layer": (features, nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(6, 4))),
    }
    return {name: _classifier(model, x, labels, scales, generator) for name, (x, model) in inputs.items()}


def _convolutions() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh()),
        *(nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.GroupNorm(2, 4), nn.Tanh()),
        *(nn.Conv2d(4, 6, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(54, 4)),
    )


def _sequence_layers() -> list[nn.Module]:
    return [nn.Embedding(11, 6), nn.LayerNorm(6), nn.Linear(6, 8), nn.Tanh(), nn.Flatten(), nn.Linear(40, 4)]


def _classifier(
    model: nn.Module, inputs: Tensor, labels: Tensor, scales: Tensor, generator: torch.Generator
) -> Objective:
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():  # by the generator given: torch initialises from its global one
            parameter.copy_(0.5 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator))

    def losses(indices: Tensor) -> list[View]:
        x, y, scale = inputs[indices], labels[indices], scales[indices]
        return [lambda: scale * F.cross_entropy(model(x), y, reduction="none")]

    return Objective(model, losses)
