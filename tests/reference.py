"""A training run written out: one backward pass an example, plain loops, and nothing of the suite but its methods,
models and random streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import methods, models
from psasc_bench.data import Dataset
from psasc_bench.engine import flatten, gather, point_at
from psasc_bench.study import RunSpec


@dataclass(frozen=True)
class Reference:
    """The sum over the batch and the size of the batch of every step, and the last iterate's metrics."""

    sums: list[Tensor]
    sizes: list[int]
    test_loss: float
    test_accuracy: float


def reference_run(spec: RunSpec, dataset: Dataset, *, noise_multiplier: float) -> Reference:
    method = methods.create(spec.method, dict(spec.parameters))
    model = models.create(spec.model, seed=spec.stream("initialisation"))
    released = [flatten(model)]  # the initial parameters, and then what every release made of them
    velocity = torch.zeros_like(released[0])
    sampling, noise = (torch.Generator().manual_seed(spec.stream(axis)) for axis in ("sampling", "noise"))
    examples = len(dataset.y_train)
    images, labels = _tensors(dataset, "train")
    sums, sizes = [], []
    for _ in range(round(spec.epochs * examples / spec.expected_batch_size)):
        coins = torch.rand(examples, dtype=torch.float64, generator=sampling)
        batch = [i for i in range(examples) if coins[i] < spec.expected_batch_size / examples]
        total = torch.zeros_like(released[0])
        for i in batch:
            points = released[-int(method.iterates) :]
            powers = [method.decay**age for age in reversed(range(len(points)))]
            v = torch.zeros_like(total)
            for power, point in zip(powers, points, strict=True):
                v += power / sum(powers) * _gradient(model, point, images[i], labels[i])
            total += method.weight(v.norm()[None]) * v
        scale = noise_multiplier * method.sensitivity()
        gradient = (total + scale * torch.randn(total.shape, generator=noise)) / spec.expected_batch_size
        velocity = spec.momentum * velocity + gradient
        released.append(released[-1] - spec.learning_rate * velocity)
        sums.append(total)
        sizes.append(len(batch))
    point_at(model.parameters(), released[-1])
    images, labels = _tensors(dataset, "test")
    with torch.no_grad():
        outputs = model(images)
    accuracy = (outputs.argmax(1) == labels).double().mean()
    return Reference(sums, sizes, F.cross_entropy(outputs, labels).item(), accuracy.item())


def _gradient(model: nn.Module, point: Tensor, image: Tensor, label: Tensor) -> Tensor:
    parameters = list(model.parameters())
    point_at(parameters, point)
    found = torch.autograd.grad(F.cross_entropy(model(image[None]), label[None]), parameters)
    return gather(parameters, dict(zip(parameters, found, strict=True)))


def _tensors(dataset: Dataset, part: str) -> tuple[Tensor, Tensor]:
    images = (getattr(dataset, f"x_{part}").astype(np.float32) - dataset.offset) / dataset.scale
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(getattr(dataset, f"y_{part}"))
