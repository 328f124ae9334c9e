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


def _squared_norms(g: Tensor) -> Tensor:
    # vector_norm is several times faster on a CPU than einsum or square().sum()
    norms: Tensor = torch.linalg.vector_norm(g.flatten(1), dim=1)
    return norms.square()


def _scale(b: Tensor, w: Tensor) -> Tensor:
    return b * w.view(-1, *[1] * (b.dim() - 1))


def _linear(layer: nn.Linear, books: Books) -> LayerGradients:
    parameters = trained(layer)
    weight, bias = parameters.get("weight"), parameters.get("bias")
    # [B, T, features], the books one after the other along T
    inputs, outputs = (
        torch.cat([t.reshape(len(t), -1, t.shape[-1]) for t in side], 1)
        if len(books) > 1 or side[0].dim() > 2
        else side[0].unsqueeze(1)
        for side in zip(*books, strict=True)
    )
    times = inputs.shape[1]
    if 2 * times**2 > layer.in_features * layer.out_features:
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
    biases = {} if bias is None else {bias: _total(b.sum((2, 3)) for _, b in books)}
    if weight is None:
        return explicit(biases)
    outputs, channels = weight.shape[:2]
    pixels, size = books[0][1][0, 0].numel(), weight.numel()
    plain = layer.groups == 1 and set(layer.dilation) == {1}
    gram_cost = pixels**2 * (channels + outputs + SHIFT_COST) * (len(books) + 1) / 2
    if plain and set(layer.stride) == {1} and gram_cost <= pixels * size / 4 + STORE_COST * size:
        return _conv2d_by_gram(layer, books, weight, biases)
    if not plain:
        return explicit({weight: _total(_conv2d_by_groups(layer, x, b) for x, b in books)} | biases)
    unfolded = explicit({weight: _total(_conv2d_by_unfolding(layer, x, b) for x, b in books)} | biases)

    def weighted_sum(w: Tensor) -> Sums:
        sums = unfolded.weighted_sum(w)
        return sums | {weight: sums[weight].permute(0, 3, 1, 2)}

    return LayerGradients(unfolded.squared_norms, weighted_sum)


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
    """``[B, outputs, kernel height, kernel width, channels]`` by a matrix product per example, with few of them
    unfolded at a time."""
    (high, wide), (down, right), (pad_high, pad_wide) = layer.kernel_size, layer.stride, _padding(layer)
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad_wide, pad_wide, pad_high, pad_high)).contiguous()
    (batch, _, _, channels), (s0, s1, s2, _) = x.shape, x.stride()
    b = b.permute(0, 2, 3, 1)
    rows, columns, outputs = b.shape[1:]
    # a patch is copied in ``high`` runs of ``wide * channels`` floats
    patches = x.as_strided((batch, rows, columns, high, wide * channels), (s0, s1 * down, s2 * right, s1, 1))
    b = b.reshape(batch, rows * columns, outputs).mT
    gradients = x.new_empty(batch, outputs, high * wide * channels)
    at_once = batch if x.is_cuda else max(1, UNFOLDED_FLOATS // patches[0].numel())
    for some_b, some_patches, result in zip(*(torch.split(t, at_once) for t in (b, patches, gradients)), strict=True):
        torch.bmm(some_b, some_patches.reshape(len(some_b), rows * columns, -1), out=result)
    return gradients.view(batch, outputs, high, wide, channels)


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
