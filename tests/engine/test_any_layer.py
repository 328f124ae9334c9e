"""Layers of several tensors, keywords and nested outputs, against the gradient of each example alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from explicit_gradients import check, clip, explicit_sums, relative_error
from model_inputs import features, of_outputs
from opacus.layers import DPGRU, DPLSTM, DPRNN, DPMultiheadAttention
from torch import Tensor, nn

from psasc_bench.engine import ByLayer, GradientBooks

BATCH, TIMES, WIDTH = 5, 5, 4  # as many examples as time steps: whoever guesses by size guesses wrong
RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
Run = Callable[[Any, Tensor], Any]


class Around(nn.Module):
    """``run(layer, x)``, or all that comes of it, and a linear layer; ``x`` and what is given ``[B, T, features]``."""

    def __init__(self, layer: nn.Module, run: Run) -> None:
        super().__init__()
        self.first, self.layer, self.run = nn.Linear(WIDTH, WIDTH), layer, run

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.run(self.layer, self.first(x))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return torch.cat([output.flatten(1) for output in outputs], 1)


def states(layer: Any, x: Tensor) -> Any:
    """Initial ones, different for each example and one a function of the layer below."""
    count = layer.num_layers * (1 + layer.bidirectional)
    hidden = x[:, :1, :1].transpose(0, 1).expand(count, -1, layer.hidden_size).contiguous()
    projected = hidden[..., : getattr(layer, "proj_size", 0) or None]
    return (projected, hidden.tanh()) if hasattr(layer, "proj_size") and isinstance(layer, nn.LSTM) else hidden


def batch_first(layer: Any, x: Tensor) -> Tensor:
    return layer(x)[0]


def time_first(layer: Any, x: Tensor) -> Tensor:
    return layer(x.transpose(0, 1))[0].transpose(0, 1)


def with_states(layer: Any, x: Tensor) -> tuple[Tensor, ...]:
    """All that it gives."""
    outputs, ends = layer(x, states(layer, x))
    return outputs, *(end.transpose(0, 1) for end in (ends if isinstance(ends, tuple) else (ends,)))


def itself(**how: Any) -> Run:
    return lambda layer, x: layer(x, x, x, **how)[0]


def itself_time_first(layer: Any, x: Tensor) -> Tensor:
    x = x.transpose(0, 1)
    return layer(x, x, x)[0].transpose(0, 1)


def padded(x: Tensor) -> Tensor:
    """Which places of each example are none: as many as its first feature says."""
    return torch.arange(x.shape[1]) > 1 + (x[:, :1, 0].detach() > 0) + (x[:, 1:2, 0].detach() > 0)


CAUSAL = torch.ones(TIMES, TIMES).triu(1).bool()


class Both(nn.Module):
    """Takes a tensor, another by keyword, a number and a flag; gives one output on the way to another, in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(features(WIDTH, WIDTH)), nn.Parameter(features(WIDTH))

    def forward(self, x: Tensor, *, power: int, inner: dict[str, Any]) -> dict[str, Any]:
        y = (x @ self.one).tanh() + inner["other"] if inner["use"] else x
        return {"first": y, "rest": [(y * self.two) ** power, None]}


def both(layer: Any, x: Tensor) -> tuple[Tensor, ...]:
    given = layer(x, power=2, inner={"other": x.sin(), "use": True})
    return given["first"], given["rest"][0].relu_()


class Masked(nn.Module):
    """Takes a mask ``[T, T]`` that is every example's."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return mask @ (x * self.scale).tanh()


class Branching(nn.Module):
    """Asks for a value, which ``vmap`` cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([one * self.scale**2 if one.sum() > 0 else one * self.scale.sin() for one in x])


class View(nn.Module):
    """Its output is a view, which is then changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 2, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale).transpose(1, 2)


class OwnLSTM(nn.LSTM):
    pass


class TwoWays(nn.Module):
    """One attention layer, to itself and to others, whose projections are rows of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.attention(x, x, x)[0]
        z = self.attention(y, x, x, need_weights=False)[0]
        return self.attention(x, y, z)[0]


def tied() -> nn.Module:
    """Two attention layers with one projection."""
    layers = nn.ModuleList(nn.MultiheadAttention(WIDTH, 2, batch_first=True) for _ in range(2))
    layers[1].in_proj_weight = layers[0].in_proj_weight
    return layers


def tied_recurrences() -> nn.Module:
    layers = nn.ModuleList([nn.GRU(WIDTH, WIDTH, batch_first=True), nn.GRU(WIDTH, WIDTH, batch_first=True)])
    layers[1].weight_hh_l0 = layers[0].weight_hh_l0
    return layers


def partly_frozen(layer: nn.Module, *names: str) -> nn.Module:
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(not any(part in name for part in names))
    return layer


def attention(**how: Any) -> nn.Module:
    return nn.MultiheadAttention(WIDTH, 2, **{"batch_first": True} | how)


def encoder_layer(**how: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, 2, 7, **{"dropout": 0.0, "batch_first": True} | how)


LAYERS: dict[str, tuple[Callable[[], nn.Module], Run]] = {
    **{
        f"{name}: {what}": (lambda cls=cls, how=how: cls(WIDTH, 3, **how), run)
        for name, cls in {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}.items()
        for what, (how, run) in {
            "batch first": ({"batch_first": True}, batch_first),
            "time first": ({}, time_first),
            "two layers, both ways, given states": (
                {"batch_first": True, "num_layers": 2, "bidirectional": True},
                with_states,
            ),
            "no bias": ({"batch_first": True, "bias": False, "num_layers": 2}, batch_first),
            "last state": ({"batch_first": True}, lambda layer, x: with_states(layer, x)[1]),
        }.items()
    },
    "rnn: relu": (lambda: nn.RNN(WIDTH, 3, nonlinearity="relu", batch_first=True), batch_first),
    "lstm: projection": (lambda: nn.LSTM(WIDTH, 3, 2, proj_size=2, batch_first=True), with_states),
    "lstm: one that derives from it": (lambda: OwnLSTM(WIDTH, 3, batch_first=True), batch_first),
    "gru: partly frozen": (
        lambda: partly_frozen(nn.GRU(WIDTH, 3, 2, batch_first=True), "weight_ih_l0", "bias_hh_l1"),
        batch_first,
    ),
    "gru: tied": (tied_recurrences, lambda layers, x: layers[1](layers[0](x)[0])[0]),
    "gru: twice": (lambda: nn.GRU(WIDTH, WIDTH, batch_first=True), lambda layer, x: layer(layer(x)[0])[0]),
    "lstm cell": (lambda: nn.LSTMCell(WIDTH, 3), lambda layer, x: layer(x[:, 1], layer(x[:, 0]))),
    "gru cell": (lambda: nn.GRUCell(WIDTH, 3), lambda layer, x: layer(x[:, 1], hx=layer(x[:, 0]))),
    **{
        f"{name}: {what}": (lambda cls=cls, how=how: cls(WIDTH, 3, **how), run)
        for name, cls in {"Opacus' rnn": DPRNN, "Opacus' lstm": DPLSTM, "Opacus' gru": DPGRU}.items()
        for what, (how, run) in {
            "batch first": ({"batch_first": True}, batch_first),
            "time first": ({}, time_first),
            "two layers, both ways": ({"batch_first": True, "num_layers": 2, "bidirectional": True}, batch_first),
        }.items()
    },
    **{
        f"Opacus' attention: {what}": (lambda how=how: DPMultiheadAttention(WIDTH, 2, **how), run)
        for what, (how, run) in {
            "batch first": ({"batch_first": True}, itself()),
            "time first": ({}, itself_time_first),
            "biases of keys": ({"add_bias_kv": True}, itself_time_first),
        }.items()
    },
    "attention": (attention, itself()),
    "attention: no weights asked for": (attention, itself(need_weights=False)),
    "attention: weights as well": (attention, lambda layer, x: layer(x, x, x)),
    "attention: weights of each head": (attention, lambda layer, x: layer(x, x, x, average_attn_weights=False)),
    "attention: time first": (lambda: attention(batch_first=False), itself_time_first),
    "attention: no bias": (lambda: attention(bias=False), itself()),
    "attention: biases of keys": (lambda: attention(add_bias_kv=True), itself()),
    "attention: to nothing": (lambda: attention(add_zero_attn=True), itself(need_weights=False)),
    "attention: causal": (attention, itself(attn_mask=CAUSAL)),
    "attention: causal by a hint": (attention, itself(attn_mask=CAUSAL, is_causal=True, need_weights=False)),
    "attention: padded": (attention, lambda layer, x: layer(x, x, x, key_padding_mask=padded(x))[0]),
    "attention: padded, no weights": (
        attention,
        lambda layer, x: layer(x, x, x, key_padding_mask=padded(x), need_weights=False)[0],
    ),
    "attention: a mask for each example and head": (
        attention,
        lambda layer, x: layer(x, x, x, attn_mask=padded(x).repeat_interleave(2, 0)[:, None].expand(-1, TIMES, -1))[0],
    ),
    "attention: other keys and values": (
        lambda: attention(kdim=3, vdim=2),
        lambda layer, x: layer(x, x[:, 1:, :3], value=x[:, 1:, :2])[0],
    ),
    "attention: to others": (attention, lambda layer, x: layer(x[:, :2], x, x)[0]),
    "attention: three inputs": (attention, lambda layer, x: layer(x, x.sin(), x.cos())[0]),
    "attention: in several ways": (TwoWays, lambda layer, x: layer(x)),
    "attention: tied": (tied, lambda layers, x: layers[1](y := layers[0](x, x, x)[0], y, y)[0]),
    "attention: partly frozen": (lambda: partly_frozen(attention(), "in_proj_bias", "out_proj.weight"), itself()),
    "attention: only a bias": (lambda: partly_frozen(attention(), "weight"), itself()),
    "encoder layer": (encoder_layer, lambda layer, x: layer(x)),
    "encoder layer: time first": (
        lambda: encoder_layer(batch_first=False),
        lambda layer, x: layer(x.transpose(0, 1)).transpose(0, 1),
    ),
    "encoder layer: norm first, padded": (
        lambda: encoder_layer(norm_first=True, activation="gelu"),
        lambda layer, x: layer(x, src_key_padding_mask=padded(x)),
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(encoder_layer(), 2),
        lambda layer, x: layer(x, src_key_padding_mask=padded(x)),
    ),
    "encoder: causal": (
        lambda: nn.TransformerEncoder(encoder_layer(), 2, norm=nn.LayerNorm(WIDTH)),
        lambda layer, x: layer(x, mask=nn.Transformer.generate_square_subsequent_mask(TIMES, dtype=x.dtype)),
    ),
    "encoder and decoder": (
        lambda: nn.Transformer(WIDTH, 2, 1, 1, 7, dropout=0.0, batch_first=True),
        lambda layer, x: layer(x, x[:, :3]),
    ),
    "bilinear": (lambda: nn.Bilinear(WIDTH, WIDTH, 3), lambda layer, x: layer(x, x.sin())),
    "linear: time first": (
        lambda: nn.Linear(WIDTH, 3),
        lambda layer, x: layer(x.transpose(0, 1)).transpose(0, 1).tanh(),
    ),
    "linear: by keyword": (lambda: nn.Linear(WIDTH, 3), lambda layer, x: layer(input=x)),
    "layer norm: time first": (lambda: nn.LayerNorm(WIDTH), lambda layer, x: layer(x.transpose(0, 1)).transpose(0, 1)),
    "nested, one output behind another": (Both, both),
    "a mask that is everyone's": (Masked, lambda layer, x: layer(x, torch.ones(TIMES, TIMES).tril().to(x))),
    "a value asked for": (Branching, lambda layer, x: layer(x)),
    "a view changed in place": (View, lambda layer, x: layer(x).relu_()),
}


def made(name: str) -> Around:
    return Around(LAYERS[name][0](), LAYERS[name][1]).double()


def losses(model: nn.Module, x: Tensor) -> Tensor:
    """Those of examples differ, and bend."""
    outputs = model(x)
    slopes = torch.randn(outputs.shape[1:], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return ((outputs * x.sum((1, 2))[:, None]).tanh() * slopes).sum(1)


def gradients_alone(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Per trainable parameter ``[B, ...]``: each from a pass of the example alone."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = [
        torch.autograd.grad(losses(model, x[i : i + 1]).sum(), parameters, allow_unused=True, materialize_grads=True)
        for i in range(len(x))
    ]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def compare(model: nn.Module, x: Tensor, mask: Tensor | None = None, *, points: int = 1) -> None:
    mask, expected = torch.ones(len(x)) if mask is None else mask, []
    shifts = [0.1 * j for j in range(points)]

    def at(shift: float) -> None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(shift)

    for shift in shifts:
        at(shift)
        alone = [g * mask.view(-1, *[1] * (g.dim() - 1)) / points for g in gradients_alone(model, x)]
        expected = [a + b for a, b in zip(expected, alone, strict=True)] if expected else alone
        at(-shift)
    sums, norms = explicit_sums(expected, clip)
    books = GradientBooks(model)
    for shift in shifts:
        at(shift)
        books.record(losses(model, x), mask, coefficient=1 / points)
        at(-shift)
    result = books.weighted_sum(clip)
    # 1e-9 leaves float64 some 10^6 roundings
    assert relative_error(result.norms, norms) < 1e-9
    parameters = [p for p in model.parameters() if p.requires_grad]
    scale = torch.stack([total.norm() for total in sums]).norm()
    for parameter, total in zip(parameters, sums, strict=True):
        assert result.sums[parameter].shape == total.shape
        assert float((result.sums[parameter] - total).norm() / scale) < 1e-9


@pytest.mark.parametrize("name", LAYERS)
def test_sums_and_norms_are_those_of_each_example_alone(name: str) -> None:
    compare(made(name), features(BATCH, TIMES, WIDTH))


@pytest.mark.parametrize("name", LAYERS)
def test_several_points_and_padding(name: str) -> None:
    compare(made(name), features(BATCH, TIMES, WIDTH), torch.tensor([1.0, 1, 0, 1, 0]), points=2)


@pytest.mark.parametrize(
    "name", ["lstm: time first", "attention: padded", "encoder", "nested, one output behind another"]
)
def test_float32_is_right_to_rounding(name: str) -> None:
    model, x = made(name), features(BATCH, TIMES, WIDTH)
    expected, norms = explicit_sums(gradients_alone(model, x), clip)
    books = GradientBooks(model.float())
    outputs = model(x.float())
    slopes = torch.randn(outputs.shape[1:], generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
    books.record(((outputs * x.float().sum((1, 2))[:, None]).tanh() * slopes).sum(1), torch.ones(BATCH))
    result = books.weighted_sum(clip)
    # some hundred roundings of 6e-8 each
    assert relative_error(result.norms, norms) < 1e-5
    total = torch.cat([result.sums[p].flatten() for p in model.parameters()])
    assert relative_error(total, torch.cat([one.flatten() for one in expected])) < 1e-5


@pytest.mark.parametrize("name", ["lstm: batch first", "attention", "encoder layer", "bilinear"])
def test_example_that_is_not_finite_contributes_nothing(name: str) -> None:
    model, x = made(name), features(BATCH, TIMES, WIDTH)
    results = []
    for value, drawn in ((0.0, [1.0, 1, 0, 1, 1]), (float("nan"), [1.0] * 5)):
        books = GradientBooks(model)
        spoilt = x.clone()
        spoilt[2] = value
        books.record(losses(model, spoilt), torch.tensor(drawn))
        results.append(books.weighted_sum(clip))
    without, result = results
    assert result.zeroed.tolist() == [False, False, True, False, False]
    for parameter in model.parameters():
        # to the last bit but one: zeroed books lie in memory in another order, and are summed in it
        assert relative_error(result.sums[parameter], without.sums[parameter]) < 1e-14


@pytest.mark.parametrize("name", ["lstm: two layers, both ways, given states", "attention: in several ways", "encoder"])
def test_each_layer_is_weighed_by_its_own_norm(name: str) -> None:
    """An attention layer is one layer, with its projections."""
    model, x = made(name), features(BATCH, TIMES, WIDTH)
    alone = dict(zip(model.parameters(), gradients_alone(model, x), strict=True))
    books = GradientBooks(model)
    books.record(losses(model, x), torch.ones(BATCH))
    result = books.weighted_sum(ByLayer(clip))
    whole = [m for m in model.modules() if isinstance(m, nn.MultiheadAttention)]
    inside = {child for module in whole for child in module.children()}
    for module in set(model.modules()) - inside:
        own = list(module.parameters(recurse=module in whole))
        if not own:
            continue
        norms = torch.stack([alone[p].flatten(1).norm(dim=1) for p in own]).norm(dim=0)
        for parameter in own:
            expected = torch.tensordot(clip(norms), alone[parameter], 1)
            # against all of them, for a bias of keys has no gradient but for rounding
            scale = torch.stack([alone[p].norm() for p in own]).norm()
            assert float((result.sums[parameter] - expected).norm() / scale) < 1e-9


@pytest.mark.parametrize("name", [name for name in LAYERS if name.split(":")[0] in ("rnn", "lstm", "gru", "attention")])
def test_outputs_are_the_layers_own(name: str) -> None:
    """Written out, to rounding; and torch's own to the last bit when nothing is recorded."""
    model, x = made(name), features(BATCH, TIMES, WIDTH)
    own = model(x)
    GradientBooks(model)
    assert relative_error(model(x).detach(), own.detach()) < 1e-12
    with torch.no_grad():
        assert torch.equal(model(x), own)


def test_nothing_is_left_behind_by_a_pass_that_fails() -> None:
    model = Around(nn.LSTM(WIDTH + 1, 3, batch_first=True), batch_first).double()
    GradientBooks(model)
    with pytest.raises(RuntimeError, match=r"input.size\(-1\)"):
        model(features(BATCH, TIMES, WIDTH))
    assert torch.overrides._len_torch_function_stack() == 0


class Positions(nn.Module):
    """A parameter of the network's own goes into the layers inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.positions, self.inner = nn.Parameter(features(TIMES, WIDTH)), encoder_layer()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x + self.positions).flatten(1)


def test_parameter_of_a_layer_around_others() -> None:
    compare(Positions().double(), features(BATCH, TIMES, WIDTH), points=2)


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode: str, padding_idx: int | None) -> None:
    layer = nn.EmbeddingBag(6, 3, mode=mode, padding_idx=padding_idx).double()
    ids = torch.randint(0, 6, (BATCH, 4), generator=torch.Generator().manual_seed(0))
    check(layer, of_outputs(ids))


REFUSED: dict[str, tuple[Callable[[], nn.Module], Run, str]] = {
    "ids with offsets": (
        lambda: nn.EmbeddingBag(6, 3),
        lambda layer, _: layer(torch.arange(5), torch.arange(5)),
        r"layer 'layer' \(EmbeddingBag\) must be given one tensor \[B, T\] and nothing else",
    ),
    "positions that all share": (
        lambda: nn.Embedding(TIMES + 1, WIDTH),
        lambda layer, x: x[:, :-1] + layer(torch.arange(TIMES - 1)),
        r"layer 'layer' \(Embedding\) gives \[4, 4\], no dimension of which is as long as the losses, 5",
    ),
    "as many positions as examples": (
        lambda: nn.Embedding(TIMES, WIDTH),
        lambda layer, x: x + layer(torch.arange(TIMES)),
        r"layer 'layer' \(Embedding\) is followed by what mixes",
    ),
    "examples merged with time": (
        lambda: nn.Linear(WIDTH, WIDTH),
        lambda layer, x: layer(x.reshape(-1, WIDTH)).view_as(x),
        r"layer 'layer' \(Linear\) gives \[25, 4\], no dimension of which",
    ),
    "a recurrence over the batch": (
        lambda: nn.GRU(WIDTH, 3),
        lambda layer, x: layer(x)[0],
        r"layer '(first|layer)' \((Linear|GRU)\) is followed by what mixes",
    ),
    "attention to other examples": (
        lambda: nn.MultiheadAttention(WIDTH, 2),
        itself(),
        r"layer '(first|layer)' \((Linear|MultiheadAttention)\) is followed by what mixes",
    ),
    "one long sequence": (
        lambda: nn.GRU(WIDTH, WIDTH),
        lambda layer, x: layer(x.reshape(-1, WIDTH))[0].view_as(x),
        r"layer 'layer' \(GRU\) computes \[1, 12\] inside, which do not fall into 5 examples",
    ),
    "packed sequences": (
        lambda: nn.LSTM(WIDTH, 3, batch_first=True),
        lambda layer, x: layer(nn.utils.rnn.pack_padded_sequence(x, torch.full((BATCH,), 3), batch_first=True))[1][0],
        r"layer 'layer' \(LSTM\) has a PackedSequence, whose examples are not told apart; give it a padded one",
    ),
    "packed sequences of Opacus": (
        lambda: DPLSTM(WIDTH, 3, batch_first=True),
        lambda layer, x: (
            layer(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 4, 3, 2, 1]), batch_first=True))[0]
            .data.sum(0, keepdim=True)
            .expand(BATCH, -1)
        ),
        r"layer 'layer' \(DPLSTM\) has a PackedSequence",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fall_into_examples_is_refused(name: str) -> None:
    make, run, message = REFUSED[name]
    model, x = Around(make(), run).double(), features(BATCH, TIMES, WIDTH)
    books = GradientBooks(model)
    with pytest.raises(TypeError, match=f"^model: {message}") as refused:
        books.record(model(x).tanh().sum(1), torch.ones(BATCH))
    assert "\n" not in str(refused.value)
