"""Per-example gradients of one layer, seen only through their norms and their weighted sum.

A rule takes a layer and its *books*, the pairs ``(a, b)`` of the layer's input ``a [B, ...]`` and the gradient ``b [B,
...]`` of the summed loss with respect to the layer's output, one pair for every use of the layer. The per-example
gradient is the sum over the books, so a layer used twice, and the several parameter points of inner momentum, need no
code of their own. A rule answers with a :class:`LayerGradients`, having chosen the cheapest way to it:

* in closed form, ``||b a^T||^2 = ||a||^2 ||b||^2`` (a linear layer without a time axis);
* by Gram matrices over the time axis, ``sum_{t,t'} <a_t, a_t'> <b_t, b_t'>`` (Li et al. 2022, "ghost norm"; for a
  convolution at stride 1 without unfolding anything, see ``convolution``);
* by writing the per-example gradients down, where that costs less than either.

The book-keeping idea (one backward pass, no second one for the weighted sum) is that of Bu et al. 2022, arXiv
2210.00038.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

Books = list[tuple[Tensor, Tensor]]
Sums = dict[nn.Parameter, Tensor]
# In multiply-adds of Gram matrices, and as a multiple of a Gram matrix's floats; they choose a way, never a result.
WRITING_COST = 24  # of one float of a per-example gradient: it is written once and read twice
MOST_WRITTEN = 16
# In units of the precision, and of what the squared norm would be if nothing cancelled: of what is left below that, an
# inner product has lost half of the digits or more.
LOST = 4096
UNCALLED_INSIDE = nn.MultiheadAttention  # whose `out_proj` is never called
HOLDERS = (nn.ParameterList, nn.ParameterDict)


@dataclass(frozen=True)
class LayerGradients:
    """What one layer contributes: ``squared_norms [B]`` of its per-example gradients, and ``weighted_sum``, which maps
    weights ``w [B]`` to ``{parameter: sum_i w_i g_i}``."""

    squared_norms: Tensor
    weighted_sum: Callable[[Tensor], Sums]


def held(layer: nn.Module) -> list[nn.Module]:
    """The modules in it that are no layers, for their parameters are used by it, and no forward pass of theirs shows
    it: lists and dicts of parameters, and what parametrizations keep."""
    parametrized = layer.parametrizations if is_parametrized(layer) else None
    return [one for one in layer.children() if isinstance(one, HOLDERS) or one is parametrized]


def trained(layer: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen, by name: the layer's own, without those that belong to a layer in it, too;
    and all of a layer that uses those of layers in it without calling them."""
    if isinstance(layer, UNCALLED_INSIDE):
        return {name: p for name, p in layer.named_parameters() if p.requires_grad}
    if not layer._modules:  # of most layers, which every step asks
        return {name: p for name, p in layer._parameters.items() if p is not None and p.requires_grad}
    own = held(layer)
    inner = {p for child in layer.children() if child not in own for p in child.parameters()}
    return {name: p for name, p in layer.named_parameters(recurse=bool(own)) if p.requires_grad and p not in inner}


def explicit(gradients: Mapping[nn.Parameter, Tensor]) -> LayerGradients:
    """From per-example gradients ``{parameter: [B, ...]}`` that have been written down."""

    def weighted_sum(w: Tensor) -> Sums:
        return {parameter: (w @ _by_row(g)).view(g.shape[1:]) for parameter, g in gradients.items()}

    return LayerGradients(add_up(squared_row_norms(g) for g in gradients.values()), weighted_sum)


def joined(parts: Sequence[LayerGradients]) -> LayerGradients:
    """Of one layer, from those of its parts, which share no entry of a parameter."""

    def weighted_sum(w: Tensor) -> Sums:
        sums: Sums = {}
        for parameter, total in (item for part in parts for item in part.weighted_sum(w).items()):
            sums[parameter] = sums[parameter] + total if parameter in sums else total
        return sums

    return LayerGradients(add_up(part.squared_norms for part in parts), weighted_sum)


def add_up(tensors: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)


def along_time(tensors: Iterable[Tensor]) -> Tensor:
    """One ``[B, T, features]`` of several, without a copy if there is only one."""
    first, *others = tensors
    return torch.cat([first, *others], 1) if others else first


def squared_row_norms(g: Tensor) -> Tensor:
    # vector_norm is several times faster on a CPU than einsum or square().sum()
    norms: Tensor = torch.linalg.vector_norm(_by_row(g), dim=1)
    return norms.square()


def _by_row(g: Tensor) -> Tensor:
    return g.reshape(len(g), -1)  # unlike `flatten(1)` also of numbers, which a parameter may be


def scale_rows(b: Tensor, w: Tensor) -> Tensor:
    return b * w.view(-1, *[1] * (b.dim() - 1))


def linear(layer: nn.Linear, books: Books) -> LayerGradients:
    parameters = trained(layer)
    inputs, outputs = (
        along_time(t.reshape(len(t), -1, t.shape[-1]) for t in side) for side in zip(*books, strict=True)
    )
    if "weight" not in parameters:
        return explicit({parameters["bias"]: outputs.sum(1)})
    return matrix_product(inputs, outputs, parameters["weight"], parameters.get("bias"))


def never_lost(
    found: LayerGradients, bounds: Tensor, write: Callable[[Tensor], Mapping[nn.Parameter, Tensor]]
) -> LayerGradients:
    """``found``, whose squared norms are sums of terms that may cancel, at most ``bounds [B]`` together. Where they do,
    rounding may leave any number, 0 among them, and a weight for that number no bound: those examples' gradients are
    written down by ``write``, which takes their indices, and both the norm and the sum are of what is written."""
    lost = found.squared_norms < LOST * torch.finfo(bounds.dtype).eps * bounds
    if not lost.any():
        return found
    rows = lost.nonzero().squeeze(1)
    written = explicit(write(rows))

    def weighted_sum(w: Tensor) -> Sums:
        sums, of_written = found.weighted_sum(w.index_fill(0, rows, 0.0)), written.weighted_sum(w[rows])
        return {parameter: total + of_written[parameter] for parameter, total in sums.items()}

    return LayerGradients(found.squared_norms.index_copy(0, rows, written.squared_norms), weighted_sum)


def matrix_product(inputs: Tensor, outputs: Tensor, weight: nn.Parameter, bias: nn.Parameter | None) -> LayerGradients:
    """Of ``sum_t outputs_t inputs_t^T``, for ``inputs [B, T, I]`` and ``outputs [B, T, O]`` with the books one after
    the other along T. The weight's sum is ``[O, I]``."""
    times, has_bias = inputs.shape[1], bias is not None
    size, width = inputs.shape[2] * outputs.shape[2], inputs.shape[2] + outputs.shape[2]

    def write(rows: Tensor | slice) -> Sums:
        a, b = inputs[rows], outputs[rows]
        return {weight: b.mT @ a} | ({} if bias is None else {bias: b.sum(1)})

    def weighted_sum(w: Tensor) -> Sums:
        scaled = scale_rows(outputs, w).flatten(0, 1)
        return {weight: scaled.t() @ inputs.flatten(0, 1)} | ({} if bias is None else {bias: scaled.sum(0)})

    if 2 * times**2 > size or (times**2 * width > WRITING_COST * size and size <= MOST_WRITTEN * times**2):
        return explicit(write(slice(None)))
    if times == 1:
        return LayerGradients((squared_row_norms(inputs) + has_bias) * squared_row_norms(outputs), weighted_sum)
    gram = (inputs @ inputs.mT + has_bias) * (outputs @ outputs.mT)
    found = LayerGradients(gram.sum((1, 2)).clamp(min=0), weighted_sum)
    return never_lost(found, _square_of_sum(gram.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()), write)


def _square_of_sum(lengths: Tensor) -> Tensor:
    """Of vectors ``[B, T]`` long: the squared length of their sum, were they all in one direction."""
    return lengths.sum(1).square()


def group_norm(layer: nn.GroupNorm, books: Books) -> LayerGradients:
    dims = list(range(2, books[0][0].dim()))
    return _affine(layer, [(F.group_norm(a, layer.num_groups, eps=layer.eps), b) for a, b in books], dims)


def layer_norm(layer: nn.LayerNorm, books: Books) -> LayerGradients:
    dims = list(range(1, books[0][0].dim() - len(layer.normalized_shape)))
    return _affine(layer, [(F.layer_norm(a, layer.normalized_shape, eps=layer.eps), b) for a, b in books], dims)


def _affine(layer: nn.GroupNorm | nn.LayerNorm, books: Books, dims: list[int]) -> LayerGradients:
    """Of ``weight * a + bias`` with ``a`` normalised, summed over the dimensions that share a weight."""

    def over_dims(t: Tensor) -> Tensor:
        return t.sum(dims) if dims else t

    parameters, gradients = trained(layer), {}
    if "weight" in parameters:
        gradients[parameters["weight"]] = add_up(over_dims(a * b) for a, b in books)
    if "bias" in parameters:
        gradients[parameters["bias"]] = add_up(over_dims(b) for _, b in books)
    return explicit(gradients)


def embedding(layer: nn.Embedding, books: Books) -> LayerGradients:
    return _looked_up(layer, ((a.reshape(len(a), -1), b.reshape(len(b), -1, b.shape[-1])) for a, b in books))


def embedding_bag(layer: nn.EmbeddingBag, books: Books) -> LayerGradients:
    """Of ids ``[B, T]``: each word of a bag has the bag's gradient, or its share of it."""

    def shares(ids: Tensor, b: Tensor) -> Tensor:
        counted = torch.ones_like(ids) if layer.padding_idx is None else ids != layer.padding_idx
        number = counted.sum(1, keepdim=True).clamp(min=1) if layer.mode == "mean" else 1
        return (counted.to(b.dtype) / number).unsqueeze(2) * b.unsqueeze(1)

    return _looked_up(layer, ((a, shares(a, b)) for a, b in books))


def _looked_up(layer: nn.Embedding | nn.EmbeddingBag, books: Iterable[tuple[Tensor, Tensor]]) -> LayerGradients:
    """Of indices ``[B, T]`` and gradients ``[B, T, features]``."""
    indices, outputs = (torch.cat(side, 1) for side in zip(*books, strict=True))
    if layer.padding_idx is not None:
        outputs = outputs * (indices != layer.padding_idx).unsqueeze(-1)
    same = indices.unsqueeze(1) == indices.unsqueeze(2)
    gram = outputs @ outputs.mT
    weight = layer.get_parameter("weight")

    def weighted_sum(w: Tensor) -> Sums:
        scaled = scale_rows(outputs, w).flatten(0, 1)
        return {weight: torch.zeros_like(layer.weight).index_add_(0, indices.flatten(), scaled)}

    def write(rows: Tensor) -> Sums:
        places = indices[rows] + len(weight) * torch.arange(len(rows), device=rows.device).unsqueeze(1)
        written = outputs.new_zeros(len(rows) * len(weight), weight.shape[1])
        written.index_add_(0, places.flatten(), outputs[rows].flatten(0, 1))
        return {weight: written.view(len(rows), *weight.shape)}

    found = LayerGradients((same * gram).sum((1, 2)).clamp(min=0), weighted_sum)
    return never_lost(found, _square_of_sum(gram.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()), write)
