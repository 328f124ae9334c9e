"""Inner momentum: the same example's gradient averaged over several parameter points, before it is weighted."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from explicit_gradients import clip, explicit_gradients, explicit_sums, relative_error
from torch import Tensor, nn

from psasc_bench import models
from psasc_bench.engine import GradientBooks, convolution, flatten, point_at

COEFFICIENTS = {1: [1.0], 2: [0.1 / 1.1, 1 / 1.1], 3: [0.2, -0.3, 0.5]}


class Square(nn.Module):
    """Not linear in its parameter: its gradient depends on the point."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 2, features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight**2


def everything() -> nn.Sequential:
    """A layer of every rule that images can pass, one without a rule, and one used twice."""
    norm = nn.GroupNorm(2, 4)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), norm, nn.Tanh(), nn.Conv2d(4, 4, 3, stride=2, groups=2), norm, nn.Tanh()),
        *(nn.PReLU(4), nn.Flatten(2), nn.Linear(4, 6), nn.LayerNorm(6), Square(6), nn.Flatten(), nn.Linear(24, 10)),
    )


MODELS = {"digits_cnn": models.digits_cnn, "a layer of every kind": everything}


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 1, 8, 8, generator=generator).double(), torch.randint(0, 10, (5,), generator=generator)


def model_and_points(name: str, count: int) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    model = MODELS[name]().double()
    start = flatten(model)
    return model, [start + 0.1 * torch.randn_like(start) for _ in range(count)]


def check(name: str, count: int, *, fetched_anew: bool) -> None:
    """The engine's sums over ``count`` points are those of averaged explicit gradients. Points that are given the very
    same tensor share the first layer's books."""
    (x, y), (model, points) = batch(), model_and_points(name, count)
    averages: list[Tensor] = []
    for point, coefficient in zip(points, COEFFICIENTS[count], strict=True):
        point_at(model.parameters(), point)
        gradients = explicit_gradients(model, lambda model: F.cross_entropy(model(x), y, reduction="none"))
        averages = [coefficient * g + (averages[i] if averages else 0) for i, g in enumerate(gradients)]
    sums, norms = explicit_sums(averages, clip)

    books = GradientBooks(model)
    for point, coefficient in zip(points, COEFFICIENTS[count], strict=True):
        point_at(model.parameters(), point)
        outputs = model(x.clone() if fetched_anew else x)
        books.record(F.cross_entropy(outputs, y, reduction="none"), torch.ones(5), coefficient=coefficient)
    result = books.weighted_sum(clip)
    # 1e-10 leaves float64 some 10^5 roundings
    assert relative_error(result.norms, norms) < 1e-10
    assert all(relative_error(result.sums[p], s) < 1e-10 for p, s in zip(model.parameters(), sums, strict=True))


@pytest.mark.parametrize("fetched_anew", [False, True], ids=["fetched once", "fetched anew"])
@pytest.mark.parametrize("count", COEFFICIENTS)
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_several_points_are_averaged_before_they_are_weighted(
    name: str, count: int, fetched_anew: bool
) -> None:
    check(name, count, fetched_anew=fetched_anew)


@pytest.mark.parametrize("fetched_anew", [False, True], ids=["fetched once", "fetched anew"])
@pytest.mark.parametrize(
    "constants",
    [{"SHIFT_COST": -1000}, {"SMALL_GRAM_COST": 0}, {"SMALL_GRAM_COST": 1e9, "UNFOLDED_FLOATS": 2000}],
    ids=["pixel Gram matrices", "Gram matrices of patches", "written down"],
)
def test_every_way_of_a_convolution_averages(
    monkeypatch: pytest.MonkeyPatch, constants: dict[str, float], fetched_anew: bool
) -> None:
    for name, value in constants.items():
        monkeypatch.setattr(convolution, name, value)
    check("a layer of every kind", 3, fetched_anew=fetched_anew)


def test_padding_has_no_momentum() -> None:
    (x, y), (model, points) = batch(), model_and_points("digits_cnn", 2)
    books = GradientBooks(model)
    for point in points:
        point_at(model.parameters(), point)
        books.record(F.cross_entropy(model(x), y, reduction="none"), torch.tensor([1.0, 1, 1, 1, 0]), coefficient=0.5)
    assert books.weighted_sum(clip).norms[4] == 0


def test_example_that_is_not_finite_at_one_point_contributes_nothing_at_all() -> None:
    (x, y), (model, points) = batch(), model_and_points("digits_cnn", 2)
    books = GradientBooks(model)
    for point, factor in zip(points, (1.0, float("nan")), strict=True):
        point_at(model.parameters(), point)
        scale = torch.tensor([1.0, 1, factor, 1, 1])
        books.record(F.cross_entropy(model(x), y, reduction="none") * scale, torch.ones(5), coefficient=0.5)
    result = books.weighted_sum(clip)
    assert result.nonfinite == 1
    assert result.norms[2] == 0
