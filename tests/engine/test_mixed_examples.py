"""Nothing that the engine gives an example depends on another: planted mistakes are seen."""

from __future__ import annotations

import pytest
import torch
from explicit_gradients import clip
from model_inputs import features
from test_any_layer import BATCH, WIDTH, Around, compare, losses, made
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks, calls, examples

SAME_SIZE = [
    "linear: time first",
    "layer norm: time first",
    "Opacus' attention: time first",
    "encoder layer: time first",
]


@pytest.mark.parametrize("name", SAME_SIZE)
def test_first_dimension_taken_for_the_examples_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many time steps as examples nothing but the numbering tells them apart."""
    monkeypatch.setattr(examples, "carries", lambda *_: True)
    with pytest.raises(AssertionError):
        compare(made(name), features(BATCH, BATCH, WIDTH))


class Checkered(nn.Module):
    """Of each example those time steps that are even as its number is, which is its first feature."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        even = (x[:, 0, :1] + torch.arange(BATCH)) % 2 == 0
        return (self.inner(x.transpose(0, 1)).transpose(0, 1) * even[..., None]).flatten(1)


@pytest.mark.parametrize("numbers", [[1.0], [1.0, 2.0, 1.0, 2.0, 1.0]], ids=["one number for all", "two numbers"])
def test_too_few_numbers_are_seen(numbers: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "numberings", lambda count, like: [like.new_tensor(numbers).expand(count)])

    model, x = Checkered().double(), features(BATCH, BATCH, WIDTH)
    x[:, 0, 0] = torch.arange(BATCH)
    with pytest.raises(AssertionError):
        compare(model, x)
    monkeypatch.undo()
    compare(Checkered().double(), x)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 256, 257, 5000])
def test_any_two_examples_have_another_number(count: int) -> None:
    numbers = torch.stack(examples.numberings(count, torch.zeros(1)), 1)
    assert len(numbers) == count
    assert len(numbers.unique(dim=0)) == count
    assert bool((numbers.log2() == numbers.log2().round()).all())


class Weighed(nn.Module):
    """Of two tensors; the second one has its examples in the last dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return (x * self.scale).tanh() * weights.T[:, :, None]


def weighed(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, x[..., 0].sin().T)


def test_argument_may_have_its_examples_anywhere() -> None:
    compare(Around(Weighed(), weighed).double(), features(BATCH, BATCH, WIDTH))


def test_argument_cut_along_the_wrong_dimension_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_same", lambda *_: True)
    with pytest.raises(AssertionError):
        compare(Around(Weighed(), weighed).double(), features(BATCH, BATCH, WIDTH))


class Centred(nn.Module):
    """Mixes inside."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale - (x * self.scale).mean(0)


class ByNumbers(nn.Module):
    """Takes a number for each example, in no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor, numbers: list[float]) -> Tensor:
        return (x * self.scale) ** 2 * torch.tensor(numbers)[:, None, None]


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale * torch.rand_like(x)


@pytest.mark.parametrize(
    "model",
    [
        Around(Centred(), lambda layer, x: layer(x.detach())),
        Around(ByNumbers(), lambda layer, x: layer(x, x[:, 0, 0].tolist())),
        Around(Random(), lambda layer, x: layer(x)),
    ],
    ids=["mixes inside", "numbers in a list", "draws at random"],
)
def test_layer_that_gives_an_example_something_else_alone_is_refused(model: nn.Module) -> None:
    model, x = model.double(), features(BATCH, BATCH, WIDTH)
    model.first.requires_grad_(False)
    books = GradientBooks(model)
    with pytest.raises(
        TypeError, match=r"^model: layer 'layer' \(\w+\) does not give an example alone what it gives it"
    ):
        books.record(losses(model, x), torch.ones(BATCH))


@pytest.mark.parametrize("around", ["seen", "not seen"])
def test_mixing_behind_a_layer_is_refused(around: str) -> None:
    """Whether the outputs show it or not."""

    def mixed(layer: nn.Module, x: Tensor) -> Tensor:
        outputs = layer(x)
        return outputs - outputs.mean(0) if around == "seen" else outputs + 5 * (outputs - outputs.detach()).mean(0)

    model, x = Around(nn.Linear(WIDTH, 3), mixed).double(), features(BATCH, BATCH, WIDTH)
    books = GradientBooks(model)
    with pytest.raises(TypeError, match=r"is followed by what mixes the examples of a batch, or moves them"):
        books.record(losses(model, x), torch.ones(BATCH))


def test_dimension_is_learnt_when_there_is_a_gradient() -> None:
    """A network whose last layer is zero at first has none below it."""

    class Zero(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = nn.Linear(WIDTH, 3), nn.Linear(3, 2)
            nn.init.zeros_(self.last.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.inner(x.transpose(0, 1)).tanh()).transpose(0, 1).flatten(1)

    model, x = Zero().double(), features(BATCH, BATCH, WIDTH)
    books = GradientBooks(model)
    for weight in (0.0, 1.0):
        nn.init.constant_(model.last.weight, weight)
        books.record(losses(model, x), torch.ones(BATCH))
        result = books.weighted_sum(clip)
    fresh = GradientBooks(again := Zero().double())
    again.load_state_dict(model.state_dict())
    fresh.record(losses(again, x), torch.ones(BATCH))
    assert torch.equal(result.norms, fresh.weighted_sum(clip).norms)
    assert result.norms.unique().numel() == BATCH


def test_layer_with_its_examples_here_and_there_is_refused() -> None:
    model = Around(nn.Linear(WIDTH, WIDTH), lambda layer, x: layer(layer(x).transpose(0, 1)).transpose(0, 1)).double()
    books = GradientBooks(model)
    with pytest.raises(TypeError, match=r"layer 'layer' \(Linear\) has its examples now in one dimension and now in"):
        books.record(losses(model, features(BATCH, BATCH, WIDTH)), torch.ones(BATCH))


class UsesTheChilds(nn.Module):
    """Has a parameter of its own, and uses one of a layer in it without calling that."""

    def __init__(self, *, calls: bool) -> None:
        super().__init__()
        self.scale, self.inner, self.calls = nn.Parameter(torch.ones(3)), nn.Linear(WIDTH, 3), calls

    def forward(self, x: Tensor) -> Tensor:
        outputs = x @ self.inner.weight.T * self.scale
        return outputs + self.inner(x) if self.calls else outputs


@pytest.mark.parametrize("calls", [False, True], ids=["never called", "called as well"])
def test_parameter_used_behind_its_layers_back_is_refused(calls: bool) -> None:
    model = Around(UsesTheChilds(calls=calls), lambda layer, x: layer(x)).double()
    books = GradientBooks(model)
    with pytest.raises(RuntimeError, match=r"parameter '[^']+' took part outside its layer's own forward pass"):
        books.record(losses(model, features(BATCH, BATCH, WIDTH)), torch.ones(BATCH))


def test_parameter_given_as_an_argument_is_refused() -> None:
    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.others = nn.Bilinear(WIDTH, WIDTH, 3), nn.Linear(WIDTH, BATCH)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x[:, 0], self.others.weight.expand(len(x), -1) if len(x) == BATCH else x[:, 0])

    model = Given().double()
    books = GradientBooks(model)
    with pytest.raises(RuntimeError, match=r"parameter '[^']+' took part outside"):
        books.record(losses(model, features(BATCH, BATCH, WIDTH)), torch.ones(BATCH))
