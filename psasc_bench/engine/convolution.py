"""Per-example gradients of a convolution: the ways there are, and what they cost (see ``layers``).

A convolution is a matrix product over the patches of its input, one for every output pixel. Small Gram matrices of
patches, Gram matrices of pixels, or the per-example gradients themselves: what is cheapest depends on the numbers of
pixels, channels and parameters.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench.engine.layers import (
    Books,
    LayerGradients,
    Sums,
    add_up,
    along_time,
    explicit,
    joined,
    matrix_product,
    never_lost,
    scale_rows,
    trained,
)

# Costs in multiply-adds, fitted on CPUs with 512 KiB to 2 MiB of L2 cache; they choose between ways, never a result.
STORE_COST = 50  # of storing one float of a per-example gradient
SHIFT_COST = 80  # of summing one entry of a pixel Gram matrix along the kernel's shifts
SMALL_GRAM_COST = 3  # of a multiply-add in a Gram matrix over few output pixels
UNFOLDED_FLOATS = 2**18  # of the examples unfolded at a time: more would leave the cache, less would pay more calls
LARGE_PRODUCT = 2**22  # multiply-adds of an example's matrix product, from which oneDNN is faster than MKL
FEW_OUTPUTS = 64  # up to which oneDNN's grouped convolution is 15 to 25 % faster than its matrix products
SHORT_RUN = 8  # floats: patches in runs no longer are gathered float by float, up to four times as fast

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


def conv2d(layer: nn.Conv2d, books: Books) -> LayerGradients:
    parameters = trained(layer)
    weight, bias = parameters.get("weight"), parameters.get("bias")
    if weight is None:
        return explicit(_biases(bias, books))
    (outputs, channels, high, wide), size = weight.shape, weight.numel()
    pixels, times = books[0][1][0, 0].numel(), len(books)
    writing_cost = pixels * size / 4 + STORE_COST * size
    dense = layer.groups == 1 and set(layer.dilation) == {1}
    gram_cost = pixels**2 * (channels + outputs + SHIFT_COST) * (times + 1) / 2
    if dense and set(layer.stride) == {1} and gram_cost <= writing_cost:
        return _conv2d_by_gram(layer, books, weight, _biases(bias, books))
    if not dense or (outputs <= FEW_OUTPUTS and _onednn_is_faster(pixels * size, weight)):
        return explicit({weight: add_up(_by_groups(layer, x, b) for x, b in books)} | _biases(bias, books))
    if SMALL_GRAM_COST * (pixels * times) ** 2 * (size / outputs + outputs) <= writing_cost:
        inputs = along_time(_unfolded(layer, _padded(layer, x)) for x, _ in books)
        output_gradients = along_time(_pixels_by_outputs(b).contiguous() for _, b in books)
        unfolded = matrix_product(inputs, output_gradients, weight, bias)
    else:
        unfolded = explicit(
            {weight: add_up(_conv2d_by_unfolding(layer, x, b) for x, b in books)} | _biases(bias, books)
        )

    def weighted_sum(w: Tensor) -> Sums:
        sums = unfolded.weighted_sum(w)
        return sums | {weight: sums[weight].view(outputs, high, wide, channels).permute(0, 3, 1, 2)}

    return LayerGradients(unfolded.squared_norms, weighted_sum)


def conv1d_or_3d(layer: nn.Conv1d | nn.Conv3d, books: Books) -> LayerGradients:
    parameters = trained(layer)
    gradients = _biases(parameters.get("bias"), books)
    if "weight" in parameters:
        gradients[parameters["weight"]] = add_up(_by_groups(layer, x, b) for x, b in books)
    return explicit(gradients)


def _biases(bias: nn.Parameter | None, books: Books) -> Sums:
    return {} if bias is None else {bias: add_up(b.sum(list(range(2, b.dim()))) for _, b in books)}


def _conv2d_by_gram(layer: nn.Conv2d, books: Books, weight: nn.Parameter, biases: Sums) -> LayerGradients:
    # the inner product is symmetric: pairs of unlike books count twice
    pairs = [(i, j) for i in range(len(books)) for j in range(i + 1)]
    squared_norms = add_up((1 + (i > j)) * _conv2d_inner_product(layer, books[i], books[j]) for i, j in pairs)

    def weighted_sum(w: Tensor) -> Sums:
        return {weight: add_up(_weight_gradient(layer, x, scale_rows(b, w), weight.detach()) for x, b in books)}

    def write(rows: Tensor) -> Sums:
        return {weight: add_up(_by_groups(layer, x[rows], b[rows]) for x, b in books)}

    found = LayerGradients(squared_norms.clamp(min=0), weighted_sum)
    kernel = never_lost(found, add_up(_lengths(layer, x, b) for x, b in books).square(), write)
    return joined([kernel, explicit(biases)]) if biases else kernel


def _lengths(layer: nn.Conv2d, x: Tensor, b: Tensor) -> Tensor:
    """``[B]``: over output pixels, the sum of the patch's length times that of the output's gradient, at stride 1."""
    energies = F.avg_pool2d(x.square().sum(1), layer.kernel_size, 1, _padding(layer), divisor_override=1)
    return (energies * b.square().sum(1)).sqrt().sum((1, 2))


def _weight_gradient(layer: Convolution, x: Tensor, b: Tensor, weight: Tensor, *, groups: int = 1) -> Tensor:
    """Shaped like ``weight``, of which only the shape is read."""
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        *(b, x, weight, None, layer.stride, layer.padding, layer.dilation),
        *(False, [0] * len(layer.stride), groups, [False, True, False]),
    )
    return gradients[1]


def _conv2d_inner_product(layer: nn.Conv2d, one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> Tensor:
    """``<grad_1, grad_2> [B]`` at stride 1 without unfolding: the Gram matrix of the input's pixels, summed along the
    kernel's diagonal shifts, is the Gram matrix of the unfolded patches."""
    (x1, b1), (x2, b2) = one, two
    (high, wide), (pad_high, pad_wide) = layer.kernel_size, _padding(layer)
    (batch, _, height, width), (rows, columns) = x1.shape, b1.shape[2:]
    gram = (x1.flatten(2).mT @ x2.flatten(2)).view(batch, height, width, height, width)
    gram = F.pad(gram, (pad_wide, pad_wide, pad_high, pad_high) * 2)
    gram = add_up(gram[:, i : i + rows, :, i : i + rows] for i in range(high))
    gram = add_up(gram[:, :, j : j + columns, :, j : j + columns] for j in range(wide))
    return (gram * (b1.flatten(2).mT @ b2.flatten(2)).view_as(gram)).sum((1, 2, 3, 4))


def _by_groups(layer: Convolution, x: Tensor, b: Tensor) -> Tensor:
    """``[B, *weight shape]`` by the weight gradient of one grouped convolution whose groups are the examples."""
    batch, (outputs, *rest) = len(x), layer.weight.shape
    x, b = (t.reshape(1, -1, *t.shape[2:]) for t in (x, b))
    weight = layer.weight.new_empty(batch * outputs, *rest)
    return _weight_gradient(layer, x, b, weight, groups=batch * layer.groups).view(batch, outputs, *rest)


def _conv2d_by_unfolding(layer: nn.Conv2d, x: Tensor, b: Tensor) -> Tensor:
    """``[B, outputs, kernel height * kernel width * channels]`` by one matrix product per example, with only some of
    the examples unfolded at a time."""
    x, b = _padded(layer, x), _pixels_by_outputs(b)
    (batch, pixels, outputs), features = b.shape, layer.weight[0].numel()
    narrow = features < outputs  # products with the larger side last are up to twice as fast
    gradients = x.new_empty(batch, *((features, outputs) if narrow else (outputs, features)))
    at_once = batch if x.is_cuda else max(1, UNFOLDED_FLOATS // (pixels * features))
    for x_some, b_some, result in zip(*(torch.split(t, at_once) for t in (x, b, gradients)), strict=True):
        patches = _unfolded(layer, x_some)
        _products(*((patches.mT, b_some) if narrow else (b_some.mT, patches)), out=result)
    return gradients.mT if narrow else gradients


def _products(one: Tensor, two: Tensor, *, out: Tensor) -> None:
    """``torch.bmm``, or what is faster."""
    if _onednn_is_faster(one[0].numel() * two.shape[2], one):
        for left, right, product in zip(one, two, out, strict=True):
            product.copy_(torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], ""))
    else:
        torch.bmm(one, two, out=out)


def _onednn_is_faster(multiply_adds: int, t: Tensor) -> bool:
    """At so many for one example, in numbers like ``t``'s. oneDNN has AVX-512 kernels for every make of CPU, where MKL
    keeps to AVX2 on some: 1.4 to 1.9 times as fast there."""
    return multiply_adds >= LARGE_PRODUCT and t.dtype == torch.float32 and _onednn_has_wider_vectors(t.device)


def _onednn_has_wider_vectors(device: torch.device) -> bool:
    there = device.type == "cpu" and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return there and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _padded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """``[B, height, width, channels]``."""
    pad_high, pad_wide = _padding(layer)
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, pad_wide, pad_wide, pad_high, pad_high)).contiguous()


def _unfolded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """``[B, output pixels, kernel height * kernel width * channels]`` of the padded input: one patch per pixel."""
    (high, wide), (down, right) = layer.kernel_size, layer.stride
    batch, height, width, channels = x.shape
    patches = ((height - high) // down + 1, (width - wide) // right + 1, high, wide * channels)
    strides = (down * width * channels, right * channels, width * channels, 1)
    if wide * channels <= SHORT_RUN:
        places = torch.arange(x[0].numel(), device=x.device).as_strided(patches, strides).flatten()
        copied = x.flatten(1).index_select(1, places)
    else:
        copied = x.as_strided((batch, *patches), (x[0].numel(), *strides)).contiguous()
    return copied.view(batch, patches[0] * patches[1], -1)


def _pixels_by_outputs(b: Tensor) -> Tensor:
    return b.flatten(2).mT


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(layer.padding, str)  # such a layer has no rule
    high, wide = layer.padding
    return high, wide
