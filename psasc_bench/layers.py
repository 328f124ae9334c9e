"""Per-example gradients of one layer, seen only through their norms and their weighted sum.

A rule takes a layer and its *books*, the pairs ``(a, b)`` of the layer's input ``a [B, ...]`` and the gradient ``b [B,
...]`` of the summed loss with respect to the layer's output, one pair for every use of the layer. The per-example
gradient is the sum over the books, so a layer used twice, and the several parameter points of inner momentum, need no
code of their own. A rule answers with a :class:`LayerGradients`, having chosen the cheapest way to it:

* in closed form, ``||b a^T||^2 = ||a||^2 ||b||^2`` (a linear layer without a time axis);
* by Gram matrices over the time axis, ``sum_{t,t'} <a_t, a_t'> <b_t, b_t'>`` (Li et al. 2022, "ghost norm"; for a
  convolution at stride 1 without unfolding anything, see :func:`_conv2d_inner_product`);
* by writing the per-example gradients down, where that costs less than either.

The book-keeping idea (one backward pass, no second one for the weighted sum) is that of Bu et al. 2022, arXiv
2210.00038.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

Books = list[tuple[Tensor, Tensor]]
Sums = dict[nn.Parameter, Tensor]

# Costs in multiply-adds, fitted on CPUs with 512 KiB to 2 MiB of L2 cache; they choose between ways, never a result.
STORE_COST = 50  # of storing one float of a per-example gradient
SHIFT_COST = 80  # of summing one entry of a pixel Gram matrix along the kernel's shifts
SMALL_GRAM_COST = 3  # of a multiply-add in a Gram matrix over few output pixels
UNFOLDED_FLOATS = 2**18  # of the examples unfolded at a time: more would leave the cache, less would pay more calls


@dataclass(frozen=True)
class LayerGradients:
    """What one layer contributes: ``squared_norms [B]`` of its per-example gradients, and ``weighted_sum``, which maps
    weights ``w [B]`` to ``{parameter: sum_i w_i g_i}``."""

    squared_norms: Tensor
    weighted_sum: Callable[[Tensor], Sums]


def trained(layer: nn.Module) -> dict[str, nn.Parameter]:
    """The layer's own parameters that are not frozen, by name."""
    return {name: p for name, p in layer.named_parameters(recurse=False) if p.requires_grad}


def per_example_gradients(layer: nn.Module, a: Tensor, b: Tensor) -> Sums:
    """``{parameter: gradients [B, *parameter shape]}`` of any layer, by ``vmap`` over that layer alone."""
    parameters = trained(layer)

    def inner_product(values: dict[str, Tensor], a: Tensor, b: Tensor) -> Tensor:
        outputs: Tensor = functional_call(layer, values, (a[None],))
        return (outputs * b[None]).sum()

    gradients: dict[str, Tensor] = vmap(grad(inner_product), (None, 0, 0))(
        {name: p.detach() for name, p in parameters.items()}, a, b
    )
    return {parameter: gradients[name] for name, parameter in parameters.items()}


def explicit(gradients: Mapping[nn.Parameter, Tensor]) -> LayerGradients:
    """From per-example gradients ``{parameter: [B, ...]}`` that have been written down."""

    def weighted_sum(w: Tensor) -> Sums:
        return {parameter: (w @ g.flatten(1)).view(g.shape[1:]) for parameter, g in gradients.items()}

    return LayerGradients(_total(_squared_norms(g) for g in gradients.values()), weighted_sum)


def _total(tensors: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)


def _along_time(tensors: Iterable[Tensor]) -> Tensor:
    """One ``[B, T, features]`` of several, without a copy if there is only one."""
    first, *others = tensors
    return torch.cat([first, *others], 1) if others else first


def _squared_norms(g: Tensor) -> Tensor:
    # vector_norm is several times faster on a CPU than einsum or square().sum()
    norms: Tensor = torch.linalg.vector_norm(g.flatten(1), dim=1)
    return norms.square()


def _scale(b: Tensor, w: Tensor) -> Tensor:
    return b * w.view(-1, *[1] * (b.dim() - 1))


def _linear(layer: nn.Linear, books: Books) -> LayerGradients:
    parameters = trained(layer)
    inputs, outputs = (
        _along_time(t.reshape(len(t), -1, t.shape[-1]) for t in side) for side in zip(*books, strict=True)
    )
    return _matrix_product(inputs, outputs, parameters.get("weight"), parameters.get("bias"))


def _matrix_product(
    inputs: Tensor, outputs: Tensor, weight: nn.Parameter | None, bias: nn.Parameter | None
) -> LayerGradients:
    """Of ``sum_t outputs_t inputs_t^T``, for ``inputs [B, T, I]`` and ``outputs [B, T, O]`` with the books one after
    the other along T. The weight's sum is ``[O, I]``."""
    times = inputs.shape[1]
    if 2 * times**2 > inputs.shape[2] * outputs.shape[2]:
        gradients: Sums = {}
        if weight is not None:
            gradients[weight] = outputs.mT @ inputs
        if bias is not None:
            gradients[bias] = outputs.sum(1)
        return explicit(gradients)
    has_weight, has_bias = weight is not None, bias is not None
    if times == 1:
        squared_norms = (has_weight * _squared_norms(inputs) + has_bias) * _squared_norms(outputs)
    else:
        gram = (has_weight * (inputs @ inputs.mT) + has_bias) * (outputs @ outputs.mT)
        squared_norms = gram.sum((1, 2)).clamp(min=0)

    def weighted_sum(w: Tensor) -> Sums:
        scaled = _scale(outputs, w).flatten(0, 1)
        sums: Sums = {}
        if weight is not None:
            sums[weight] = scaled.t() @ inputs.flatten(0, 1)
        if bias is not None:
            sums[bias] = scaled.sum(0)
        return sums

    return LayerGradients(squared_norms, weighted_sum)


def _conv2d(layer: nn.Conv2d, books: Books) -> LayerGradients:
    parameters = trained(layer)
    weight, bias = parameters.get("weight"), parameters.get("bias")
    if weight is None:
        return explicit(_biases(bias, books))
    if layer.groups > 1 or set(layer.dilation) != {1}:
        return explicit({weight: _total(_conv2d_by_groups(layer, x, b) for x, b in books)} | _biases(bias, books))

    (outputs, channels, high, wide), size = weight.shape, weight.numel()
    pixels, times = books[0][1][0, 0].numel(), len(books)
    writing_cost = pixels * size / 4 + STORE_COST * size
    if set(layer.stride) == {1} and pixels**2 * (channels + outputs + SHIFT_COST) * (times + 1) / 2 <= writing_cost:
        return _conv2d_by_gram(layer, books, weight, _biases(bias, books))
    if SMALL_GRAM_COST * (pixels * times) ** 2 * (size / outputs + outputs) <= writing_cost:
        inputs = _along_time(_patches(layer, x).reshape(len(x), pixels, -1) for x, _ in books)
        unfolded = _matrix_product(inputs, _along_time(_pixels_by_outputs(b) for _, b in books), weight, bias)
    else:
        unfolded = explicit(
            {weight: _total(_conv2d_by_unfolding(layer, x, b) for x, b in books)} | _biases(bias, books)
        )

    def weighted_sum(w: Tensor) -> Sums:
        sums = unfolded.weighted_sum(w)
        return sums | {weight: sums[weight].view(outputs, high, wide, channels).permute(0, 3, 1, 2)}

    return LayerGradients(unfolded.squared_norms, weighted_sum)


def _biases(bias: nn.Parameter | None, books: Books) -> Sums:
    return {} if bias is None else {bias: _total(b.sum((2, 3)) for _, b in books)}


def _conv2d_by_gram(layer: nn.Conv2d, books: Books, weight: nn.Parameter, biases: Sums) -> LayerGradients:
    # the inner product is symmetric: pairs of unlike books count twice
    pairs = [(i, j) for i in range(len(books)) for j in range(i + 1)]
    squared_norms = _total((1 + (i > j)) * _conv2d_inner_product(layer, books[i], books[j]) for i, j in pairs)
    squared_norms = _total([squared_norms.clamp(min=0), *map(_squared_norms, biases.values())])

    def weighted_sum(w: Tensor) -> Sums:
        total = _total(_conv2d_weight_gradient(layer, x, _scale(b, w), weight.detach()) for x, b in books)
        return {weight: total} | {parameter: w @ g for parameter, g in biases.items()}

    return LayerGradients(squared_norms, weighted_sum)


def _conv2d_weight_gradient(layer: nn.Conv2d, x: Tensor, b: Tensor, weight: Tensor, *, groups: int = 1) -> Tensor:
    """Shaped like ``weight``, of which only the shape is read."""
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        *(b, x, weight, None, layer.stride, layer.padding, layer.dilation),
        *(False, [0, 0], groups, [False, True, False]),
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
    gram = _total(gram[:, i : i + rows, :, i : i + rows] for i in range(high))
    gram = _total(gram[:, :, j : j + columns, :, j : j + columns] for j in range(wide))
    return (gram * (b1.flatten(2).mT @ b2.flatten(2)).view_as(gram)).sum((1, 2, 3, 4))


def _conv2d_by_groups(layer: nn.Conv2d, x: Tensor, b: Tensor) -> Tensor:
    """``[B, *weight shape]`` by the weight gradient of one grouped convolution whose groups are the examples."""
    batch, (outputs, *rest) = len(x), layer.weight.shape
    x, b = (t.reshape(1, -1, *t.shape[2:]) for t in (x, b))
    weight = layer.weight.new_empty(batch * outputs, *rest)
    return _conv2d_weight_gradient(layer, x, b, weight, groups=batch * layer.groups).view(batch, outputs, *rest)


def _conv2d_by_unfolding(layer: nn.Conv2d, x: Tensor, b: Tensor) -> Tensor:
    """``[B, outputs, kernel height * kernel width * channels]`` by one matrix product per example, with only some of
    the examples unfolded at a time."""
    patches, b = _patches(layer, x), _pixels_by_outputs(b)
    (batch, pixels, outputs), features = b.shape, patches[0].numel() // b.shape[1]
    gradients = x.new_empty(batch, outputs, features)
    at_once = batch if x.is_cuda else max(1, UNFOLDED_FLOATS // (pixels * features))
    for some, b_some, result in zip(*(torch.split(t, at_once) for t in (patches, b, gradients)), strict=True):
        torch.bmm(b_some.mT, some.reshape(-1, pixels, features), out=result)
    return gradients


def _patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A view ``[B, rows, columns, kernel height, kernel width * channels]`` of the padded input, one patch per output
    pixel, each to be copied in ``kernel height`` runs."""
    (high, wide), (down, right), (pad_high, pad_wide) = layer.kernel_size, layer.stride, _padding(layer)
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad_wide, pad_wide, pad_high, pad_high)).contiguous()
    (batch, height, width, channels), (s0, s1, s2, _) = x.shape, x.stride()
    rows, columns = (height - high) // down + 1, (width - wide) // right + 1
    return x.as_strided((batch, rows, columns, high, wide * channels), (s0, s1 * down, s2 * right, s1, 1))


def _pixels_by_outputs(b: Tensor) -> Tensor:
    return b.flatten(2).mT


def _padding(layer: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(layer.padding, str)  # see rule_for
    high, wide = layer.padding
    return high, wide


def _group_norm(layer: nn.GroupNorm, books: Books) -> LayerGradients:
    dims = list(range(2, books[0][0].dim()))
    return _affine(layer, [(F.group_norm(a, layer.num_groups, eps=layer.eps), b) for a, b in books], dims)


def _layer_norm(layer: nn.LayerNorm, books: Books) -> LayerGradients:
    dims = list(range(1, books[0][0].dim() - len(layer.normalized_shape)))
    return _affine(layer, [(F.layer_norm(a, layer.normalized_shape, eps=layer.eps), b) for a, b in books], dims)


def _affine(layer: nn.GroupNorm | nn.LayerNorm, books: Books, dims: list[int]) -> LayerGradients:
    """Of ``weight * a + bias`` with ``a`` normalised, summed over the dimensions that share a weight."""

    def over_dims(t: Tensor) -> Tensor:
        return t.sum(dims) if dims else t

    parameters, gradients = trained(layer), {}
    if "weight" in parameters:
        gradients[parameters["weight"]] = _total(over_dims(a * b) for a, b in books)
    if "bias" in parameters:
        gradients[parameters["bias"]] = _total(over_dims(b) for _, b in books)
    return explicit(gradients)


def _embedding(layer: nn.Embedding, books: Books) -> LayerGradients:
    if layer.scale_grad_by_freq:  # its gradient depends on the rest of the batch
        raise TypeError("an embedding with scale_grad_by_freq=True mixes the examples of a batch")
    indices = torch.cat([a.reshape(len(a), -1) for a, _ in books], 1)
    outputs = torch.cat([b.reshape(len(b), -1, b.shape[-1]) for _, b in books], 1)
    if layer.padding_idx is not None:
        outputs = outputs * (indices != layer.padding_idx).unsqueeze(-1)
    same = indices.unsqueeze(1) == indices.unsqueeze(2)
    squared_norms = (same * (outputs @ outputs.mT)).sum((1, 2)).clamp(min=0)

    def weighted_sum(w: Tensor) -> Sums:
        scaled = _scale(outputs, w).flatten(0, 1)
        return {layer.get_parameter("weight"): torch.zeros_like(layer.weight).index_add_(0, indices.flatten(), scaled)}

    return LayerGradients(squared_norms, weighted_sum)


Rule = Callable[[Any, Books], LayerGradients]
RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.Embedding: _embedding,
}


def rule_for(layer: nn.Module) -> Rule | None:
    """The layer's rule; ``None`` if its per-example gradients have to be written down by
    :func:`per_example_gradients`."""
    if isinstance(layer, nn.Conv2d) and (isinstance(layer.padding, str) or layer.padding_mode != "zeros"):
        return None
    return RULES.get(type(layer))
