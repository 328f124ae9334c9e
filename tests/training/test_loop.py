"""The training loop against Opacus, plain PyTorch and loops over examples: every step is the one that was meant."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from shipped_methods import SHIPPED
from small_runs import MakeSpec, Train, first, generator, initial, pixels, rows_in_training, vector
from torch import Tensor, nn

from psasc_bench import methods, models
from psasc_bench.data import Dataset
from psasc_bench.engine import point_at
from psasc_bench.methods.noise_only import NoiseOnly
from psasc_bench.privacy import poisson_batch
from psasc_bench.study import RunSpec

PLAIN = {"method": "nonprivate", "parameters": {}, "epsilon": math.inf}


def noise_direction(spec: RunSpec, model: nn.Module, shared: torch.Generator) -> list[Tensor]:
    """One step's standard normal noise as the loop draws it (one buffer, kernels channels-last), by parameter."""
    copy = models.create(spec.model, seed=0)
    point_at(copy.parameters(), torch.randn(sum(p.numel() for p in model.parameters()), generator=shared))
    return [p.detach().contiguous() for p in copy.parameters()]


# ------------------------------------------------------------------------------------------ independent implementations


@pytest.mark.filterwarnings("ignore")  # Opacus warns of insecure randomness and of hooks: both are meant here
def test_steps_equal_those_of_opacus_with_shared_noise(
    digits: Dataset, digits_spec: MakeSpec, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer, optimizer

    dataset = first(digits, 80)
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.5}, expected_batch_size=32, epochs=4)
    model = GradSampleModule(initial(spec), loss_reduction="mean")
    private = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=spec.learning_rate, momentum=spec.momentum),
        noise_multiplier=0.8,
        max_grad_norm=0.5,
        expected_batch_size=32,
        loss_reduction="mean",
    )
    sampling, noise = generator(spec, "sampling"), generator(spec, "noise")
    directions: dict[Tensor, Tensor] = {}
    # Opacus keeps its own scale and its own place for the noise; only the standard normal numbers are ours
    monkeypatch.setattr(
        optimizer, "_generate_noise", lambda std, reference, **_: std * directions[reference].view_as(reference)
    )
    expected = []
    ends = spec.epoch_ends(80)
    for step in range(1, ends[-1] + 1):
        images, labels = pixels(dataset, poisson_batch(80, 32 / 80, sampling))
        private.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        by_parameter = noise_direction(spec, model, noise)
        original = DPOptimizer.clip_and_accumulate

        def noted(self: Any, parts: list[Tensor] = by_parameter, original: Any = original) -> None:
            original(self)
            directions.clear()
            directions.update({p.summed_grad: part for p, part in zip(self.params, parts, strict=True)})

        with monkeypatch.context() as patch:
            patch.setattr(DPOptimizer, "clip_and_accumulate", noted)
            private.step()
        if step in ends:
            expected.append(vector(model))

    _, found = train(spec, dataset, noise_multiplier=0.8)
    assert len(found) == 4
    for f, e in zip(found, expected, strict=True):
        # Opacus clips to C/(norm + 1e-6), a relative 1e-6 of norms around one; ten float32 steps add as much again
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-5)
    # what is compared has moved by far more than it may differ
    assert float((found[-1] - vector(initial(spec))).abs().max()) > 1e-2


def test_full_batches_without_privacy_are_plain_sgd_with_momentum(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset = first(digits, 96)
    spec = digits_spec(**PLAIN, expected_batch_size=96, epochs=6)
    model = initial(spec)
    sgd = torch.optim.SGD(model.parameters(), lr=spec.learning_rate, momentum=spec.momentum)
    images, labels = pixels(dataset)
    _, found = train(spec, dataset)
    for f in found:
        sgd.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        sgd.step()
        # float32 sums over 96 examples in another order: some 1e-7 a step, and it grows along the trajectory
        torch.testing.assert_close(f, vector(model), rtol=1e-4, atol=1e-5)
    assert len(found) == 6


def weighted_step(spec: RunSpec, dataset: Dataset, examples: list[int]) -> Tensor:
    """One full-batch step without noise or momentum, by a loop over examples in float64."""
    model, method = initial(spec).double(), methods.create(spec.method, dict(spec.parameters))
    images, labels = pixels(dataset)
    total = torch.zeros_like(vector(model))
    for i in examples:
        loss = F.cross_entropy(model(images[i : i + 1].double()), labels[i : i + 1])
        gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
        total += method.weight(gradient.norm()) * gradient
    return (vector(model) - spec.learning_rate * total / spec.expected_batch_size).float()


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "nonprivate"])
def test_step_of_every_method_equals_a_loop_over_examples(
    name: str, digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset = first(digits, 20)
    given = {"C": 0.5, "s": 2.0, "r": 0.1, "gamma": 0.01}
    parameters = {key: value for key, value in given.items() if key in methods.load(name).__dataclass_fields__}
    spec = digits_spec(method=name, parameters=parameters, epsilon=math.inf, expected_batch_size=20)
    _, (found,) = train(spec, dataset)
    # float32 against float64: parameters of size .3 moved by .01
    torch.testing.assert_close(found, weighted_step(spec, dataset, list(range(20))), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------ micro-batches


def test_micro_batches_have_no_more_rows_than_there_are_examples(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset, spec = first(digits, 40), digits_spec(expected_batch_size=20, epochs=3)
    outcome, points = train(spec, dataset, micro_batch_size=40)
    with rows_in_training() as rows:
        larger, same = train(spec, dataset, micro_batch_size=400)
    assert max(rows) == 40
    assert all(torch.equal(a, b) for a, b in zip(points, same, strict=True))
    assert outcome.curve == larger.curve


# ------------------------------------------------------------------------------------------------ empty batches


def test_empty_batch_still_adds_noise_and_counts_as_a_step(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset = first(digits, 2)

    def only_empty(seed: int) -> bool:
        shared = generator(digits_spec(seed=seed), "sampling")
        return not any(len(poisson_batch(2, 0.5, shared)) for _ in range(2))

    seed = next(seed for seed in range(1000) if only_empty(seed))
    spec = digits_spec(expected_batch_size=1, epochs=1, seed=seed)
    outcome, (found,) = train(spec, dataset, noise_multiplier=0.8)

    model, shared = initial(spec), generator(spec, "noise")
    expected, velocity = vector(model), torch.zeros_like(vector(model))
    for _ in range(2):
        noise = torch.cat([part.flatten() for part in noise_direction(spec, model, shared)])
        velocity = spec.momentum * velocity + 0.8 * (0.1 / 2.0) * noise  # sigma C / s, over an expected batch of one
        expected = expected - spec.learning_rate * velocity
    assert outcome.steps_taken == 2
    # a few float32 roundings of numbers of order one
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------------------------------------ update rules


def test_full_batches_without_privacy_are_torchs_adam(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    dataset = first(digits, 96)
    rules = ({"adam": {"epsilon": 1e-3}},)  # a small one divides by gradients that are nothing but rounding
    spec = digits_spec(**PLAIN, expected_batch_size=96, epochs=6, momentum=0.0, learning_rate=0.01, optimiser=rules)
    model = initial(spec)
    adam = torch.optim.Adam(model.parameters(), lr=spec.learning_rate, eps=1e-3)
    images, labels = pixels(dataset)
    _, found = train(spec, dataset)
    for f in found:
        adam.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        adam.step()
        torch.testing.assert_close(f, vector(model), rtol=1e-4, atol=1e-5)
    assert len(found) == 6


def test_rules_are_told_the_scale_of_the_noise_that_was_released(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    """Of nothing but noise, AdamBC knows the second moment: two thirds of what it leaves are at the floor."""
    rules = ({"adam-bc": {"beta1": 0.0, "beta2": 0.0, "floor": 1e-12}},)
    spec = digits_spec(
        method="noise-only",
        parameters={"C": 0.3},
        expected_batch_size=len(digits.y_train),
        momentum=0.0,
        optimiser=rules,
    )
    _, (found,) = train(spec, digits, noise_multiplier=4.0)
    model, scale = initial(spec), 4.0 * 0.3 / len(digits.y_train)
    noise = noise_direction(spec, model, generator(spec, "noise"))
    released = scale * torch.cat([part.flatten() for part in noise])
    corrected = (released**2 - scale**2).clamp(min=1e-12)
    expected = vector(model) - spec.learning_rate * released / corrected.sqrt()
    # a difference of squares loses digits, and most where it is divided by
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    assert 0.6 < float((corrected == 1e-12).double().mean()) < 0.75  # of a normal variable, 68 % are within one sigma


def test_average_is_what_is_evaluated(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    dataset, sgd = first(digits, 32), {"heavy-ball": {"momentum": 0.9}}
    full: dict[str, Any] = {"expected_batch_size": 32, "epochs": 3}  # an epoch is one step
    _, points = train(digits_spec(**full), dataset)
    spec = digits_spec(**full, momentum=0.0, optimiser=(sgd, {"average": {"decay": 0.15}}))
    outcome, averaged = train(spec, dataset)
    expected = vector(initial(spec))
    for step, (point, found) in enumerate(zip(points, averaged, strict=True), start=1):
        kept = min(0.15, step / (step + 9))
        expected = kept * expected + (1 - kept) * point
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    point_at(model := list(initial(spec).parameters()), outcome.parameters)
    torch.testing.assert_close(torch.cat([p.detach().contiguous().flatten() for p in model]), averaged[-1])


def test_noise_only_learns_nothing_but_moves(digits: Dataset, digits_spec: MakeSpec, train: Train) -> None:
    spec = digits_spec(method="noise-only", parameters={"C": 0.1}, learning_rate=0.01)
    one, (moved,) = train(spec, digits)
    other, (same,) = train(spec, replace(digits, x_train=digits.x_train[::-1].copy()))
    assert torch.equal(moved, same)
    assert not torch.equal(moved, vector(initial(spec)))
    assert one.curve[-1]["test_accuracy"] == other.curve[-1]["test_accuracy"]


def test_blind_method_draws_and_moves_as_if_it_had_looked(
    digits: Dataset, digits_spec: MakeSpec, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = digits_spec(method="noise-only", parameters={"C": 0.1}, learning_rate=0.01)
    blind, (moved,) = train(spec, digits)
    monkeypatch.setattr(NoiseOnly, "blind", False)
    looking, (same,) = train(spec, digits)
    assert torch.equal(moved, same)
    assert blind.curve[-1]["test_loss"] == looking.curve[-1]["test_loss"]
    assert math.isnan(blind.curve[-1]["nonprivate_train_loss"])
    assert looking.curve[-1]["nonprivate_train_loss"] > 0


# ------------------------------------------------------------------------------------------------ inner momentum


def test_inner_momentum_starts_as_the_ordinary_step_and_then_parts(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset = first(digits, 32)
    given = {"C": 0.1, "s": 2.0, "r": 0.1}
    small: dict[str, Any] = {
        "expected_batch_size": 32,
        "epochs": 2,
        "learning_rate": 20.0,
    }  # an epoch is one step, and a long one
    _, ordinary = train(digits_spec(**small, parameters=given), dataset)
    _, inner = train(digits_spec(**small, parameters={**given, "iterates": 2, "decay": 0.5}), dataset)
    assert torch.equal(inner[0], ordinary[0])
    # by much more than rounding
    assert float((inner[1] - ordinary[1]).abs().max()) > 1e-4


def test_inner_momentum_weighs_the_average_of_an_examples_gradients(
    digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    """The third step of k = 2 and decay .5: two thirds of the gradient here, one third of that one step ago."""
    dataset = first(digits, 16)
    parameters = {"C": 0.1, "s": 2.0, "r": 0.1, "iterates": 2, "decay": 0.5}
    spec = digits_spec(parameters=parameters, epsilon=math.inf, expected_batch_size=16, epochs=3, momentum=0.0)
    _, points = train(spec, dataset)
    method = methods.create(spec.method, dict(spec.parameters))
    images, labels = pixels(dataset)
    model = initial(spec).double()

    def gradients(point: Tensor) -> Tensor:
        nn.utils.vector_to_parameters(point.double(), model.parameters())
        losses = (
            F.cross_entropy(model(image[None].double()), label[None])
            for image, label in zip(images, labels, strict=True)
        )
        rows = (torch.autograd.grad(loss, list(model.parameters())) for loss in losses)
        return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])

    averaged = gradients(points[1]) * 2 / 3 + gradients(points[0]) / 3
    total = method.weight(averaged.norm(dim=1)) @ averaged
    expected = points[1].double() - spec.learning_rate * total / 16
    # float32 against float64: parameters of size .3 moved by .02
    torch.testing.assert_close(points[2], expected.float(), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------------------------------------ damaged examples


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("micro_batch_size", [3, 8])
def test_example_that_is_not_finite_contributes_nothing_and_is_counted(
    micro_batch_size: int, place: int, value: float, digits: Dataset, digits_spec: MakeSpec, train: Train
) -> None:
    dataset = first(replace(digits, x_train=digits.x_train.astype(np.float32)), 8)
    dataset.x_train[place, 0, 4, 4] = value
    spec = digits_spec(epsilon=math.inf, expected_batch_size=8)
    outcome, (found,) = train(spec, dataset, micro_batch_size=micro_batch_size)
    expected = weighted_step(spec, dataset, [i for i in range(8) if i != place])
    # float32 against float64: parameters of size .3 moved by .02
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert outcome.nonfinite_examples == 1
