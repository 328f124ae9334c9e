"""Modules with parameters of their own around layers, made of others, or in lists; and hooks of somebody else's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from explicit_gradients import check, compare, from_books, rows_of
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from psasc_bench.engine import GradientBooks

X = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

Forward = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Own(nn.Module):
    """``forward`` of its own parameter and of the layer in it."""

    def __init__(
        self, layer: nn.Module, shape: tuple[int, ...], forward: Callable[[nn.Module, Tensor, Tensor], Tensor]
    ):
        super().__init__()
        self.layer, self.own, self._forward = layer, nn.Parameter(torch.randn(shape)), forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self.layer, self.own, x)


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.some = nn.ParameterList([torch.randn(6, 5), torch.randn(5)])
        self.named = nn.ParameterDict({"scale": torch.randn(5)})

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = (x @ self.some[0] + self.some[1]) * self.named["scale"]
        return scaled


def class_token(layer: nn.Module, own: Tensor, x: Tensor) -> Tensor:
    given: Tensor = layer(torch.cat([own.expand(len(x), 1, -1), x], 1))[:, 0]
    return given


MODELS: dict[str, Callable[[], nn.Module]] = {
    "ends in a layer": lambda: Own(nn.Linear(6, 2), (6,), lambda layer, own, x: layer(x + own)),
    "is followed by one": lambda: nn.Sequential(
        Own(nn.Linear(6, 4), (3, 6), lambda layer, own, x: layer(x + own)), nn.Tanh(), nn.Linear(4, 2)
    ),
    "class token": lambda: Own(nn.Linear(6, 2), (6,), class_token),
    "around a convolution": lambda: Own(nn.Conv1d(3, 2, 3), (6,), lambda layer, own, x: layer(x * own).relu_()),
    "lists": Listed,
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 5)), nn.Tanh(), nn.Linear(5, 2)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(6, 6)),
    "weight norm of a recurrence": lambda: parametrizations.weight_norm(nn.GRU(6, 4, batch_first=True), "weight_hh_l0"),
    "weight norm of a convolution": lambda: parametrizations.weight_norm(nn.Conv1d(3, 2, 3)),
    "weight norm, as it was": lambda: nn.utils.weight_norm(nn.Linear(6, 5)),
}


def of_outputs(model: nn.Module) -> Tensor:
    outputs = model(X)
    given: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return given.flatten(1).tanh().square().sum(1)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_by_autograd(name: str) -> None:
    torch.manual_seed(1)
    model = MODELS[name]().double()
    compare(model, of_outputs, rows_of(model, of_outputs))  # some of these cannot be copied


def test_hooks_of_others_come_after_ours() -> None:
    """What they make of an output is no business of the layer's rule."""
    torch.manual_seed(1)
    layers: tuple[nn.Module, ...] = (nn.Linear(6, 5), nn.GRU(5, 4, batch_first=True))
    layers[0].register_forward_hook(lambda _, __, output: output * 2)
    layers[1].register_forward_hook(lambda _, __, output: (output[0] * 3, output[1]))
    check(nn.Sequential(*layers).double(), of_outputs)


def test_mixing_in_an_earlier_hook_is_refused() -> None:
    layer = nn.Linear(6, 5)
    layer.register_forward_hook(lambda _, __, output: (output - output.mean(0)) / output.std(0))
    with pytest.raises(TypeError, match="mixes the examples of a batch"):
        from_books(layer.double(), of_outputs, torch.ones_like)


def test_a_way_around_a_layer_that_opens_later_is_seen_with_other_layers() -> None:
    class Later(nn.Sequential):
        late = False

        def forward(self, x: Tensor) -> Tensor:
            hidden = self[0](x)
            return self[1](hidden) if not self.late else nn.functional.linear(hidden, self[1].weight)

    model = Later(nn.Linear(6, 6), nn.Linear(6, 6)).double()
    books = GradientBooks(model)
    books.record(of_outputs(model), torch.ones(4))
    books.weighted_sum(torch.ones_like)
    model.late = True
    with pytest.raises(RuntimeError, match=r"parameter '1\.weight' took part outside"):
        books.record(of_outputs(model), torch.ones(4))


def test_recurrences_run_under_autocast() -> None:
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        model = kind(6, 4, batch_first=True)
        books = GradientBooks(model)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(X.float())[0]
        losses = outputs.float().square().sum((1, 2))
        books.record(losses, torch.ones(4))
        assert books.weighted_sum(torch.ones_like).norms.isfinite().all()


def test_a_parameter_is_called_by_its_name() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2)).double()
    with pytest.raises(RuntimeError, match=r"took no part in the forward pass, the first is '1\.weight'; freeze"):
        from_books(model, lambda model: model[0](X).square().sum((1, 2)), torch.ones_like)  # type: ignore[index]
