"""Augmented examples: against explicit loops, whatever the micro-batch, and from no generator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_runs import CPU, MakeSpec, budget_for, first, initial, pixels
from torch import Tensor

from psasc_bench import methods
from psasc_bench.data import Dataset
from psasc_bench.engine import flatten, gather, point_at
from psasc_bench.privacy import poisson_batch
from psasc_bench.training.augmentation import augmented
from psasc_bench.training.loop import train

SEED = 7


def views(images: Tensor, indices: Tensor, **changes: Any) -> list[Tensor]:
    how: dict[str, Any] = {"ways": ("shift", "flip"), "count": 3, "seed": SEED, "step": 5}
    return augmented(images, indices, **how | changes)


def numbered(examples: int, side: int = 16) -> Tensor:
    """Images whose pixels are all unlike."""
    return torch.arange(examples * 2 * side * side).float().view(examples, 2, side, side)


def test_view_is_its_image_shifted_by_an_eighth_at_most_and_perhaps_turned_round() -> None:
    images = numbered(40)
    rows, columns, turned = set(), set(), set()
    for view in views(images, torch.arange(40)):
        for image, seen in zip(images, view, strict=True):
            padded = F.pad(image[None], (2, 2, 2, 2), mode="reflect")[0]
            found = {
                (down, right, flip)
                for down in range(5)
                for right in range(5)
                for flip in (False, True)
                for part in [padded[:, down : down + 16, right : right + 16]]
                if torch.equal(part.flip(2) if flip else part, seen)
            }
            assert len(found) == 1
            ((down, right, flip),) = found
            rows.add(down)
            columns.add(right)
            turned.add(flip)
    assert rows == columns == set(range(5))
    assert turned == {False, True}


@pytest.mark.parametrize("way", ["shift", "flip"])
def test_coins_are_fair_and_unlike_for_examples_views_and_steps(way: str) -> None:
    images = torch.linspace(0, 1, 8).expand(1, 1, 8, 8).repeat(4000, 1, 1, 1)
    of = {
        (step, view): seen[:, 0, 3, 4]
        for step in (0, 1)
        for view, seen in enumerate(views(images, torch.arange(4000), ways=(way,), step=step))
    }
    values, counts = torch.cat(list(of.values())).unique(return_counts=True)
    assert len(values) == {"shift": 3, "flip": 2}[way]
    # each as often, to five standard deviations; and no two views agree more often than by chance
    assert float((counts / 24000 - 1 / len(values)).abs().max()) < 5 * (0.25 / 24000) ** 0.5
    for one in of:
        for other in of:
            agree = float((of[one] == of[other]).double().mean())
            assert one == other or abs(agree - 1 / len(values)) < 5 * (0.25 / 4000) ** 0.5


def test_view_of_an_example_depends_on_no_other() -> None:
    images, order = numbered(10), torch.tensor([7, 2, 9])
    whole, some = views(images, torch.arange(10)), views(images[order], order)
    assert all(torch.equal(one[order], other) for one, other in zip(whole, some, strict=True))
    more = views(images, torch.arange(10), count=5)
    assert all(torch.equal(one, other) for one, other in zip(whole, more, strict=False))


def test_without_a_way_an_image_is_what_it_was() -> None:
    images = numbered(2)
    assert all(view is images for view in views(images, torch.arange(2), ways=()))


def test_gradient_is_averaged_over_views_and_iterates_before_it_is_weighed(
    digits: Dataset, digits_spec: MakeSpec
) -> None:
    """The sum of three steps with two iterates, written out."""
    given = {"C": 0.2, "s": 0.5, "r": 0.1, "iterates": 2, "decay": 0.7}
    spec = digits_spec(
        method="dp-psasc-inner",
        parameters=given,
        expected_batch_size=6,
        epochs=1,
        learning_rate=0.3,
        momentum=0.5,
        augmentations=3,
        augment=("shift", "flip"),
    )
    dataset, method, model = first(digits, 18), methods.create(spec.method, given), initial(spec)
    images, labels = pixels(dataset)
    points = [flatten(model)]
    velocity = torch.zeros_like(points[0])
    sampling, noise = (torch.Generator().manual_seed(spec.stream(axis)) for axis in ("sampling", "noise"))
    parameters = list(model.parameters())
    for step in range(3):
        total = torch.zeros_like(points[0])
        for i in poisson_batch(18, 6 / 18, sampling).tolist():
            v, seen = torch.zeros_like(total), points[-2:]
            powers = [0.7**age for age in reversed(range(len(seen)))]
            for power, point in zip(powers, seen, strict=True):
                for view in augmented(
                    images[[i]],
                    torch.tensor([i]),
                    ways=spec.augment,
                    count=3,
                    seed=spec.stream("augmentation"),
                    step=step,
                ):
                    point_at(parameters, point)
                    loss = F.cross_entropy(model(view), labels[[i]])
                    gradients = dict(zip(parameters, torch.autograd.grad(loss, parameters), strict=True))
                    v += power / sum(powers) / 3 * gather(parameters, gradients)
            total += method.weight(v.norm()[None]) * v
        gradient = (total + method.sensitivity() * torch.randn(total.shape, generator=noise)) / 6
        velocity = 0.5 * velocity + gradient
        points.append(points[-1] - 0.3 * velocity)
    for size in (2, 18):
        outcome = train(spec, dataset, budget_for(spec, dataset), micro_batch_size=size, device=CPU)
        assert outcome.steps_taken == 3
        # float32, three steps of entries up to about .4
        torch.testing.assert_close(outcome.parameters, points[-1], rtol=1e-4, atol=1e-5)
