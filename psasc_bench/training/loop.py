"""One training run, top to bottom: draw, weigh, sum, noise, step, and evaluate at the end of every epoch."""

from __future__ import annotations

import math
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import data, methods, models, optimisers, plugins
from psasc_bench.data import Dataset
from psasc_bench.engine import point_at
from psasc_bench.methods import Method
from psasc_bench.optimisers import Moment
from psasc_bench.privacy import Budget, noise_scale, poisson_batch
from psasc_bench.records import STATE, Status, pack_predictions
from psasc_bench.signals import Asked, Interrupted
from psasc_bench.study import RunSpec
from psasc_bench.training.augmentation import augmented
from psasc_bench.training.checkpoint import Checkpoint
from psasc_bench.training.diagnostics import Diagnostics
from psasc_bench.training.fit import check_fit
from psasc_bench.training.run_state import State
from psasc_bench.training.step import Objective, View, advanced, check_bounds, release, shares

EVALUATION_BATCH = 1000
# Of the number of an epoch that has ended, the method as it stands and the released iterates at hand (each [P], oldest
# first), more columns for the epoch's row. It must leave the iterates as they are.
Probe = Callable[[int, Method, Sequence[Tensor]], Mapping[str, float]]


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ``curve`` has a row per epoch; the last row is the result: the last iterate, never the
    best. ``seconds`` are per phase: sampling (drawing), passes (fetching, forward and backward), weighting
    (norms and weighted sum), release (noise and step), evaluation, diagnostics; and in total. ``parameters [P]`` are
    what is evaluated: the last iterate, or what the optimiser makes of it. ``resumed_at`` are the steps after which the
    run went on from a checkpoint. ``predictions`` are those of the end of the last epoch, packed; None if none has
    ended. ``out_of_memory`` says that the run failed because the memory of its card did not suffice."""

    status: Status
    reason: str | None
    curve: list[dict[str, float]]
    steps_taken: int
    nonfinite_examples: int
    seconds: Mapping[str, float]
    parameters: Tensor
    resumed_at: list[int]
    predictions: Mapping[str, Any] | None
    out_of_memory: bool = False


class Examples:
    """Images, rows of features or token ids of one part of a data set, and their labels, on the device; all but token
    ids are normalised as they are taken out."""

    def __init__(self, dataset: Dataset, part: str, device: torch.device) -> None:
        self._images = torch.from_numpy(getattr(dataset, f"x_{part}")).to(device)
        self._labels = torch.from_numpy(getattr(dataset, f"y_{part}")).to(device)
        self._offset, self._scale = (
            torch.from_numpy(constant).to(device).view(-1, *[1] * (self._images.dim() - 2))
            for constant in (dataset.offset, dataset.scale)
        )
        self._layout = torch.channels_last if self._images.dim() == 4 else torch.contiguous_format
        self._tokens = data.holds_tokens(dataset)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        if self._tokens:
            return self._images[index], self._labels[index]
        images = (self._images[index].float() - self._offset).div_(self._scale)
        return images.contiguous(memory_format=self._layout), self._labels[index]


def cross_entropies(
    model: nn.Module,
    examples: Examples,
    views: Callable[[Tensor, Tensor], Sequence[Tensor]] = lambda images, _: [images],
) -> Callable[[Tensor], list[View]]:
    """The losses of an ``Objective``, in nats, of what ``views`` makes of the images and indices of a batch."""

    def losses(indices: Tensor) -> list[View]:
        images, labels = examples[indices]
        return [partial(loss, view, labels) for view in views(images, indices)]

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(model(images), labels, reduction="none")

    return losses


def train(
    spec: RunSpec,
    dataset: Dataset,
    budget: Budget,
    *,
    micro_batch_size: int,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    checkpoint: Checkpoint | None = None,
    probe: Probe | None = None,
    asked: Asked = lambda: None,
) -> Outcome:
    """Train ``spec`` on ``dataset`` with the noise of ``budget``: on all training examples or, for a run that is
    evaluated on some of them, on the others. ``progress`` is told (steps taken, steps) after each. With a
    ``checkpoint`` the run goes on from there, and keeps its state there. ``probe`` is asked at the end of each epoch.
    ``asked`` is asked after each step whether a signal wants the run to end: its state is then kept, and
    ``Interrupted`` raised.

    What goes wrong in a step (a method that raises, memory that does not suffice) ends the run as ``failed``. Raises
    ``ValueError`` if the budget was calibrated for another schedule, or the model, or ``augment``, does not fit the
    data.
    """
    dataset = data.as_seen(dataset, spec.evaluation)
    check_fit(spec.model, dataset, name=spec.dataset)
    if spec.augment and dataset.x_train.ndim != 4:
        raise ValueError(
            f"datasets.{spec.dataset}.augment: goes with images, which this data set has none of; leave it out"
        )
    examples = len(dataset.y_train)
    micro_batch_size = min(micro_batch_size, examples)  # no batch has more: the rest would be padding
    epoch_ends = spec.epoch_ends(examples)
    sampling_rate, steps = spec.sampling_rate(examples), epoch_ends[-1]
    check_budget(spec, budget, sampling_rate=sampling_rate, steps=steps)

    method = methods.create(spec.method, dict(spec.parameters))
    noise_scale(sensitivity=method.sensitivity(), noise_multiplier=budget.noise_multiplier)  # or refuse
    share = shares(method, noise_multiplier=budget.noise_multiplier, expected_batch_size=spec.expected_batch_size)
    optimiser = optimisers.create(spec.rules)
    model = models.create(spec.model, dataset, seed=spec.stream("initialisation")).to(device)
    train_set, held_out = Examples(dataset, "train", device), Examples(dataset, "test", device)

    def views(images: Tensor, indices: Tensor) -> list[Tensor]:
        seed, count = spec.stream("augmentation"), spec.augmentations
        return augmented(images, indices, ways=spec.augment, count=count, seed=seed, step=state.step)

    objective = Objective(model, cross_entropies(model, train_set, views))
    draws, noise, statistic_noise = (
        torch.Generator(device).manual_seed(spec.stream(axis)) for axis in ("sampling", "noise", "statistic")
    )
    state = State(
        parameters=objective.parameters,
        optimiser=optimiser.start(objective.parameters),
        iterates=deque(maxlen=int(method.iterates)),
        draws=draws,
        noise=noise,
        statistic_noise=statistic_noise,
        method=method,
    )

    def take_step() -> None:
        state.iterates.append(state.parameters)
        with state.clock("sampling"):
            batch = poisson_batch(examples, sampling_rate, state.draws)
            batch = batch[:0] if method.blind else batch
        gradient_sum = objective.gradient_sum(
            state.method, batch, iterates=state.iterates, micro_batch_size=micro_batch_size, clock=state.clock
        )
        check_bounds(state.method, gradient_sum)
        state.nonfinite_examples += gradient_sum.nonfinite
        with state.clock("diagnostics"):
            state.diagnostics.add(gradient_sum)
        with state.clock("release"):
            released = release(
                gradient_sum,
                state.method,
                noise_multiplier=budget.noise_multiplier,
                expected_batch_size=spec.expected_batch_size,
                generator=state.noise,
                statistic_generator=state.statistic_noise,
            )
            moment = Moment(step=state.step, steps=steps, noise_scale=released.noise_scale, parameters=state.parameters)
            direction, state.optimiser = optimiser.update(released.gradient, state.optimiser, moment)
            state.parameters = state.parameters - spec.learning_rate * direction
            state.method = advanced(state.method, released)
        state.step += 1

    def evaluated() -> Tensor:
        return optimiser.evaluated(state.parameters, state.optimiser)

    def end_epoch() -> None:
        epoch = len(state.curve) + 1
        with state.clock("evaluation"):
            point_at(model.parameters(), evaluated())
            found, state.predictions = evaluate(model, held_out)
            measured = {f"{spec.evaluation}_{key}": value for key, value in found.items()}
            row = {"epoch": epoch, "step": state.step, **measured}
            row |= {f"{STATE}{name}": value for name, value in methods.state_of(state.method).items()}
        with state.clock("diagnostics"):
            row |= state.diagnostics.row(state.method, noise_multiplier=share.gradient)
            row |= probe(epoch, state.method, [*state.iterates, state.parameters]) if probe else {}
            state.diagnostics = Diagnostics()
        state.curve.append(row)

    def outcome(status: Status, reason: str | None = None, *, out_of_memory: bool = False) -> Outcome:
        return Outcome(
            status=status,
            reason=reason,
            curve=state.curve,
            steps_taken=state.step,
            nonfinite_examples=state.nonfinite_examples,
            seconds=state.clock.seconds,
            parameters=state.parameters if status == "failed" else evaluated(),
            resumed_at=state.resumed_at,
            predictions=state.predictions,
            out_of_memory=out_of_memory,
        )

    if checkpoint and (kept := checkpoint.load()):
        state.unpack(*kept)
    while state.step < steps:
        try:
            with state.clock("total"):
                take_step()
                finite = bool(state.parameters.isfinite().all())
                if state.step in epoch_ends or not finite:
                    end_epoch()
                    finite = finite and math.isfinite(state.curve[-1][f"{spec.evaluation}_loss"])
            signum = asked() if finite and state.step < steps else None
            kept_at = None
            if finite and checkpoint and (signum or checkpoint.due()) and checkpoint.save(*state.pack()):
                kept_at = state.step
        except plugins.FAULTS as error:  # whatever a method or a model does: the run is over, the study is not
            full = isinstance(error, torch.OutOfMemoryError)
            if not full:
                traceback.print_exc()
            return outcome("failed", f"{type(error).__name__} after step {state.step}: {error}", out_of_memory=full)
        if not finite:
            return outcome("diverged", f"parameters or {spec.evaluation} loss not finite at step {state.step}")
        if signum:
            raise Interrupted(signum, kept_at)
        if progress:
            progress(state.step, steps)
    return outcome("done")


def check_budget(spec: RunSpec, budget: Budget, *, sampling_rate: float, steps: int) -> None:
    """Raises ``ValueError`` unless ``budget`` was calibrated for just this run's target and schedule, by its
    accountant."""
    planned: dict[str, Any] = {"epsilon": spec.epsilon, "delta": spec.delta, "accountant": spec.accountant}
    for key, value in (planned | {"sampling_rate": sampling_rate, "steps": steps}).items():
        if getattr(budget, key) != value:
            raise ValueError(
                f"the budget was calibrated for {key} {getattr(budget, key)}, but the run has {value}; "
                "delete the budget's file and run the workflow again"
            )
    if math.isfinite(spec.epsilon) and not budget.noise_multiplier > 0:
        raise ValueError(f"the budget promises epsilon {spec.epsilon:g} at noise multiplier {budget.noise_multiplier}")


@torch.no_grad()
def evaluate(model: nn.Module, examples: Examples) -> tuple[dict[str, float], dict[str, Any]]:
    """``loss`` (mean cross-entropy, nats) and ``accuracy`` (a fraction) of the model as it stands, and its packed
    predictions."""
    model.eval()
    loss, correct, predicted = 0.0, 0, list[Tensor]()
    for start in range(0, len(examples), EVALUATION_BATCH):
        images, labels = examples[slice(start, start + EVALUATION_BATCH)]
        outputs = model(images)
        loss += F.cross_entropy(outputs, labels, reduction="sum").item()
        predicted.append(outputs.argmax(1))
        correct += int((predicted[-1] == labels).sum())
    model.train()
    packed = pack_predictions(torch.cat(predicted).cpu().numpy(), classes=outputs.shape[1])
    return {"loss": loss / len(examples), "accuracy": correct / len(examples)}, packed
