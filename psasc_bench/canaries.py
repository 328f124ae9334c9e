"""Problems whose gradients are chosen, and one step of training on them, for the checks and the audit to look at.

A step is put together from the functions that ``train`` puts its own together from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import gradients, mechanism, models, sampling
from psasc_bench.methods import Method
from psasc_bench.train import averaging


class Problem:
    """A ``model`` and the ``losses``, which map the indices ``[B]`` of examples to their losses ``[B]``."""

    def __init__(self, model: nn.Module, losses: Callable[[Tensor], Tensor]) -> None:
        self.model, self.losses = model, losses
        self.parameters = models.flatten(model)
        self.books = gradients.GradientBooks(model)

    def gradient_sum(
        self, method: Method, batch: Tensor, *, micro_batch_size: int, iterates: Sequence[Tensor] = ()
    ) -> tuple[Tensor, int]:
        """``sum_i w(||v_i||) v_i [P]`` over the indices in ``batch``, and how many examples were not finite. ``v_i``
        is averaged over ``iterates`` (oldest first); without any, it is the gradient at the model's parameters."""
        iterates = iterates or [self.parameters]
        total, nonfinite = torch.zeros_like(self.parameters), 0
        for indices, mask in sampling.micro_batches(batch, micro_batch_size):
            for iterate, coefficient in zip(iterates, averaging(len(iterates), method.decay), strict=True):
                models.point_at(self.model, iterate)
                self.books.record(self.losses(indices), mask, coefficient=coefficient)
            weighted = self.books.weighted_sum(method.weight)
            total += models.gather(self.model, weighted.sums)
            nonfinite += weighted.nonfinite
        return total, nonfinite

    def release(
        self,
        method: Method,
        batch: Tensor,
        *,
        noise_multiplier: float,
        expected_batch_size: float,
        generator: torch.Generator,
        micro_batch_size: int = 4096,
    ) -> Tensor:
        """What one step of training lets out ``[P]``, where all iterates are the model's parameters."""
        iterates = [self.parameters] * int(method.iterates)
        total, _ = self.gradient_sum(method, batch, micro_batch_size=micro_batch_size, iterates=iterates)
        return mechanism.privatise(
            total,
            sensitivity=method.sensitivity(),
            noise_multiplier=noise_multiplier,
            expected_batch_size=expected_batch_size,
            generator=generator,
        )


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def vectors(chosen: Tensor) -> Problem:
    """Example i's gradient is ``chosen[i]``, exactly: ``loss_i = <theta, chosen[i]>``."""
    model = nn.Linear(chosen.shape[1], 1, bias=False).to(chosen.dtype)
    return Problem(model, lambda indices: model(chosen[indices]).squeeze(1))


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def diracs(norms: Tensor, *, parameters: int) -> Problem:
    """Example i's gradient is ``norms[i]`` times the i-th unit vector of ``[parameters]``. ``norms`` may be changed in
    place from step to step, signs included. Costs no more than the vectors that it does not write down."""
    model = nn.Embedding(parameters, 1, dtype=norms.dtype)
    return Problem(model, lambda indices: norms[indices] * model(indices).squeeze(1))


@torch.random.fork_rng(devices=[])  # torch initialises from its global generator: leave that as it was
def networks(scales: Tensor, *, generator: torch.Generator) -> dict[str, Problem]:
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
) -> Problem:
    model = model.double()
    with torch.no_grad():
        for parameter in model.parameters():  # by the generator given: torch initialises from its global one
            parameter.copy_(0.5 * torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator))

    def losses(indices: Tensor) -> Tensor:
        return scales[indices] * F.cross_entropy(model(inputs[indices]), labels[indices], reduction="none")

    return Problem(model, losses)
