"""Every layer rule, and every way it can take, against one backward pass per example."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from explicit_gradients import check
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from psasc_bench.engine import convolution

BATCH = 5


class Square(nn.Module):
    """A layer that is not linear in its parameter, and that no rule knows."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 2, features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight**2 + self.weight


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(7, 4), (7,)),
    "linear without bias": (lambda: nn.Linear(7, 4, bias=False), (7,)),
    "linear over a short time": (lambda: nn.Linear(7, 4), (3, 7)),
    "linear over a long time": (lambda: nn.Linear(7, 4), (9, 7)),
    "linear over two times": (lambda: nn.Linear(7, 4), (2, 2, 7)),
    "convolution": (lambda: nn.Conv2d(3, 4, 3), (3, 6, 7)),
    "convolution without bias": (lambda: nn.Conv2d(3, 4, 3, bias=False), (3, 6, 7)),
    "convolution with a string for padding": (lambda: nn.Conv2d(3, 4, (1, 3), padding="same"), (3, 6, 7)),
    "convolution with reflected padding": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), (3, 6, 7)),
    "transposed convolution": (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), (3, 4, 4)),
    "convolution in one dimension": (lambda: nn.Conv1d(3, 4, 3), (3, 8)),
    "convolution in one dimension, in groups": (
        lambda: nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
        (4, 9),
    ),
    "convolution in one dimension, circular": (
        lambda: nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular", bias=False),
        (3, 8),
    ),
    "convolution in three dimensions": (lambda: nn.Conv3d(2, 4, (3, 2, 1), stride=(1, 2, 1), padding=1), (2, 4, 5, 3)),
    "convolution in three dimensions, the same size": (lambda: nn.Conv3d(2, 4, 3, padding="same"), (2, 3, 4, 3)),
    "group norm": (lambda: nn.GroupNorm(2, 6), (6, 4, 5)),
    "group norm without pixels": (lambda: nn.GroupNorm(2, 6), (6,)),
    "layer norm": (lambda: nn.LayerNorm(6), (6,)),
    "layer norm over time": (lambda: nn.LayerNorm(6), (4, 6)),
    "layer norm of two dimensions": (lambda: nn.LayerNorm((4, 6)), (3, 4, 6)),
    "layer norm without bias": (lambda: nn.LayerNorm(6, bias=False), (4, 6)),
    "prelu": (lambda: nn.PReLU(3), (3, 4, 4)),
    "a layer not linear in its parameter": (lambda: Square(6), (4, 6)),
}


def check_layer(layer: nn.Module, x: Tensor, *, tolerance: float = 1e-10) -> None:
    """On losses that differ between examples and bend, so that every output has a gradient of its own."""
    with torch.no_grad():
        direction = torch.randn(layer(x).shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def losses(layer: nn.Module) -> Tensor:
        parameter = next(layer.parameters())
        outputs = layer(x.to(parameter.dtype) if x.is_floating_point() else x)
        return (outputs.tanh() * direction.to(outputs.dtype)).flatten(1).sum(1)

    check(layer, losses, tolerance=tolerance)


def example(shape: tuple[int, ...], *, dtype: torch.dtype = torch.float64, batch: int = BATCH) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_gives_the_sums_and_norms_of_explicit_gradients(name: str) -> None:
    make, shape = LAYERS[name]
    check_layer(make().double(), example(shape))


@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_float32_is_right_to_rounding(name: str) -> None:
    make, shape = LAYERS[name]
    # some hundred roundings of 6e-8 each
    check_layer(make(), example(shape, dtype=torch.float32), tolerance=1e-5)


@pytest.mark.parametrize(
    "name", [name for name, (make, _) in LAYERS.items() if getattr(make(), "bias", None) is not None]
)
@pytest.mark.parametrize("frozen", ["weight", "bias"])
def test_layer_with_one_parameter_frozen_gives_the_other(name: str, frozen: str) -> None:
    make, shape = LAYERS[name]
    layer = make().double()
    layer.get_parameter(frozen).requires_grad_(False)
    check_layer(layer, example(shape))


@settings(max_examples=25)
@given(
    times=st.lists(st.integers(1, 5), max_size=2),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    bias=st.booleans(),
)
def test_linear_layer_of_any_shape(times: list[int], inputs: int, outputs: int, bias: bool) -> None:
    check_layer(nn.Linear(inputs, outputs, bias=bias).double(), example((*times, inputs)))


@settings(max_examples=25)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.sampled_from([(1, 1), (2, 1), (2, 2)]),
    groups=st.sampled_from([1, 1, 2]),
    inputs=st.integers(1, 2),
    outputs=st.integers(1, 3),
    bias=st.booleans(),
    channels_last=st.booleans(),
)
def test_convolution_of_any_shape(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    inputs: int,
    outputs: int,
    bias: bool,
    channels_last: bool,
) -> None:
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)))
    layer = nn.Conv2d(inputs * groups, outputs * groups, kernel, stride, padding, dilation, groups, bias).double()
    x = example((inputs * groups, *size))
    if channels_last:
        layer, x = layer.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    check_layer(layer, x)


def watched(monkeypatch: pytest.MonkeyPatch, way: str, constants: dict[str, float]) -> list[str]:
    """With these costs. The list gets an entry whenever a convolution takes this way."""
    for name, value in constants.items():
        monkeypatch.setattr(convolution, name, value)
    taken: list[str] = []
    real = getattr(convolution, way)
    monkeypatch.setattr(convolution, way, lambda *arguments: (taken.append(way), real(*arguments))[1])
    return taken


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("way", "constants"),
    {
        "_conv2d_by_gram": {"SHIFT_COST": -1000},
        "matrix_product": {"SHIFT_COST": 1e9, "SMALL_GRAM_COST": 0},
        "_conv2d_by_unfolding": {"SHIFT_COST": 1e9, "SMALL_GRAM_COST": 1e9, "UNFOLDED_FLOATS": 2000},
    }.items(),
)
def test_costs_choose_a_way_but_never_a_result(
    monkeypatch: pytest.MonkeyPatch, way: str, constants: dict[str, float], channels_last: bool
) -> None:
    taken = watched(monkeypatch, way, constants)
    x = example((3, 6, 7))
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    check_layer(nn.Conv2d(3, 4, 3, padding=1).double(), x)
    assert taken


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
@pytest.mark.parametrize("outputs", [4, 30], ids=["wide patches", "narrow patches"])
@pytest.mark.parametrize(
    ("few", "way"), [(0, "_conv2d_by_unfolding"), (30, "_by_groups")], ids=["products", "grouped convolution"]
)
def test_large_layers_by_onednn_are_right_to_rounding(
    monkeypatch: pytest.MonkeyPatch, few: int, way: str, outputs: int
) -> None:
    constants = {"SHIFT_COST": 1e9, "SMALL_GRAM_COST": 1e9, "LARGE_PRODUCT": 0, "FEW_OUTPUTS": few}
    taken = watched(monkeypatch, way, constants)
    monkeypatch.setattr(convolution, "_onednn_has_wider_vectors", lambda _: True)
    monkeypatch.delattr(torch, "bmm")  # what smaller ones take
    check_layer(nn.Conv2d(3, outputs, 3, padding=1), example((3, 6, 7), dtype=torch.float32), tolerance=1e-5)
    assert taken


@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_embedding_adds_up_repeated_indices(padding_idx: int | None, shape: tuple[int, ...]) -> None:
    indices = torch.randint(0, 4, (6, *shape), generator=torch.Generator().manual_seed(0))
    check_layer(nn.Embedding(5, 3, padding_idx=padding_idx).double(), indices)


def test_embedding_that_scales_by_frequency_in_the_batch_is_refused() -> None:
    layer = nn.Embedding(5, 3, scale_grad_by_freq=True).double()
    with pytest.raises(TypeError, match="mixes the examples"):
        check_layer(layer, torch.tensor([[1, 1], [2, 3]]))


def test_subclass_of_a_known_layer_is_not_taken_for_it() -> None:
    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.weight.sum()

    check_layer(Scaled(7, 4).double(), example((7,)))


def test_one_example_is_a_batch() -> None:
    check_layer(nn.Conv2d(3, 4, 3).double(), example((3, 6, 7), batch=1))
