"""One training run, top to bottom: draw, weigh, sum, noise, step, and evaluate at the end of every epoch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import methods, models, sampling
from psasc_bench.clock import Clock
from psasc_bench.data import Dataset
from psasc_bench.diagnostics import Diagnostics
from psasc_bench.privacy import Budget
from psasc_bench.record import Status
from psasc_bench.spec import RunSpec
from psasc_bench.step import Objective, release

EVALUATION_BATCH = 1000
# Of the number of an epoch that has ended and the released iterates at hand (each [P], oldest first), more columns for
# the epoch's row. It must leave the iterates as they are.
Probe = Callable[[int, Sequence[Tensor]], Mapping[str, float]]


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ``curve`` has a row per epoch; the last row is the result: the last iterate, never the
    best. ``seconds`` are per phase: sampling (drawing), passes (fetching, forward and backward), weighting
    (norms and weighted sum), release (noise and step), evaluation, diagnostics. ``parameters [P]`` are the last
    iterate."""

    status: Status
    reason: str | None
    curve: list[dict[str, float]]
    steps_taken: int
    nonfinite_examples: int
    seconds: Mapping[str, float]
    parameters: Tensor


class Examples:
    """Images and labels of one part of a data set, on the device, images normalised as they are taken out."""

    def __init__(self, dataset: Dataset, part: str, device: torch.device) -> None:
        self._images = torch.from_numpy(getattr(dataset, f"x_{part}")).to(device)
        self._labels = torch.from_numpy(getattr(dataset, f"y_{part}")).to(device)
        self._offset, self._scale = (
            torch.from_numpy(constant).to(device).view(-1, 1, 1) for constant in (dataset.offset, dataset.scale)
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        images = (self._images[index].float() - self._offset).div_(self._scale)
        return images.contiguous(memory_format=torch.channels_last), self._labels[index]


def train(
    spec: RunSpec,
    dataset: Dataset,
    budget: Budget,
    *,
    micro_batch_size: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    probe: Probe | None = None,
) -> Outcome:
    """Train ``spec`` on ``dataset`` with the noise of ``budget``. ``progress`` is told (steps taken, steps) after each.
    ``probe`` is asked at the end of each epoch.

    Raises ``ValueError`` if the budget was calibrated for another schedule, or the model does not fit the data.
    """
    try:
        models.check_fit(spec.model, dataset)
    except ValueError as error:
        raise ValueError(f"datasets.{spec.dataset}: {error}") from None
    examples = len(dataset.y_train)
    epoch_ends = spec.epoch_ends(examples)
    sampling_rate, steps = spec.sampling_rate(examples), epoch_ends[-1]
    check_budget(spec, budget, sampling_rate=sampling_rate, steps=steps)

    method = methods.create(spec.method, dict(spec.parameters))
    model = models.create(spec.model, seed=spec.stream("initialisation")).to(device)
    draws, noise = (torch.Generator(device).manual_seed(spec.stream(axis)) for axis in ("sampling", "noise"))
    train_set, test_set = Examples(dataset, "train", device), Examples(dataset, "test", device)

    def losses(indices: Tensor) -> Tensor:
        images, labels = train_set[indices]
        return F.cross_entropy(model(images), labels, reduction="none")

    objective = Objective(model, losses)
    parameters = objective.parameters
    velocity = torch.zeros_like(parameters)
    iterates: deque[Tensor] = deque(maxlen=int(method.iterates))
    clock, diagnostics, nonfinite = Clock(), Diagnostics(), 0
    curve: list[dict[str, float]] = []
    for step in range(1, steps + 1):
        iterates.append(parameters)
        with clock("sampling"):
            batch = sampling.poisson_batch(examples, sampling_rate, draws)
        gradient_sum = objective.gradient_sum(
            method, batch, iterates=iterates, micro_batch_size=micro_batch_size, clock=clock
        )
        nonfinite += gradient_sum.nonfinite
        with clock("diagnostics"):
            diagnostics.add(gradient_sum)
        with clock("release"):
            released = release(
                gradient_sum,
                method,
                noise_multiplier=budget.noise_multiplier,
                expected_batch_size=spec.expected_batch_size,
                generator=noise,
            )
            # torch.optim.SGD's rule: importing torch.optim would take as long as training the smallest runs
            velocity = spec.momentum * velocity + released
            parameters = parameters - spec.learning_rate * velocity
        if step in epoch_ends:
            with clock("evaluation"):
                models.point_at(model, parameters)
                row = {"epoch": len(curve) + 1, "step": step, **evaluate(model, test_set)}
            with clock("diagnostics"):
                row |= diagnostics.row(method, noise_multiplier=budget.noise_multiplier)
                row |= probe(len(curve) + 1, [*iterates, parameters]) if probe else {}
                diagnostics = Diagnostics()
            curve.append(row)
            if not (bool(parameters.isfinite().all()) and math.isfinite(row["test_loss"])):
                reason = f"parameters or test loss not finite at step {step}"
                return Outcome("diverged", reason, curve, step, nonfinite, clock.seconds, parameters)
        if progress:
            progress(step, steps)
    return Outcome("done", None, curve, steps, nonfinite, clock.seconds, parameters)


def check_budget(spec: RunSpec, budget: Budget, *, sampling_rate: float, steps: int) -> None:
    """Raises ``ValueError`` unless ``budget`` was calibrated for just this run's target and schedule."""
    planned = {"epsilon": spec.epsilon, "delta": spec.delta, "sampling_rate": sampling_rate, "steps": steps}
    for key, value in planned.items():
        if getattr(budget, key) != value:
            raise ValueError(
                f"the budget was calibrated for {key} {getattr(budget, key)}, but the run has {value}; "
                "delete the budget's file and run the workflow again"
            )
    if math.isfinite(spec.epsilon) and not budget.noise_multiplier > 0:
        raise ValueError(f"the budget promises epsilon {spec.epsilon:g} at noise multiplier {budget.noise_multiplier}")


@torch.no_grad()
def evaluate(model: nn.Module, examples: Examples) -> dict[str, float]:
    """``test_loss`` (mean cross-entropy, nats) and ``test_accuracy`` (a fraction) of the model as it stands."""
    model.eval()
    loss, correct = 0.0, 0
    for start in range(0, len(examples), EVALUATION_BATCH):
        images, labels = examples[slice(start, start + EVALUATION_BATCH)]
        outputs = model(images)
        loss += F.cross_entropy(outputs, labels, reduction="sum").item()
        correct += int((outputs.argmax(1) == labels).sum())
    model.train()
    return {"test_loss": loss / len(examples), "test_accuracy": correct / len(examples)}
