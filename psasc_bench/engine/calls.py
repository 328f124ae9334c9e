"""Per-example gradients of one call of any layer: one example at a time, by ``vmap`` where that can."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.func import functional_call, grad, vmap
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from psasc_bench.engine.layers import Sums, add_up, trained

ERRORS = (RuntimeError, TypeError, ValueError, IndexError, AssertionError)  # of a layer given what it does not take


@dataclass(frozen=True)
class Way:
    """How one example's share of a call is had: along which dimension of each tensor among the arguments (None: all
    of it is every example's), and whether all at once."""

    dims: tuple[int | None, ...]
    at_once: bool


@dataclass(frozen=True)
class Call:
    """``layer`` as called: its arguments, flat, and how they were nested; copies of the ``outputs`` that depend on a
    parameter or an input, and which these are among all that it gave."""

    layer: nn.Module
    arguments: list[Any]
    nesting: TreeSpec
    outputs: list[Tensor]
    places: list[int]

    @classmethod
    def made(
        cls, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any, *, ends: Container[Node]
    ) -> tuple[Call, list[Tensor], list[Tensor], Any]:
        """The call, with its arguments' tensors and those outputs as they are in the graph, and what to give in place
        of what the layer gave: several outputs as copies, for one may lie on the way to another; one that is a view
        likewise, for a change in place would lead around it; and one whose node is among ``ends``, where the passes of
        layers inside end."""
        arguments, nesting = tree_flatten((args, kwargs))
        leaves, outer = tree_flatten(outputs)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if len(places) > 1 or any(leaves[i]._is_view() or leaves[i].grad_fn in ends for i in places):
            leaves = [leaf.clone() if i in places else leaf for i, leaf in enumerate(leaves)]
        given = [leaves[place] for place in places]
        tensors = [leaf for leaf in arguments if isinstance(leaf, Tensor)]
        detached = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in arguments]
        call = cls(layer, detached, nesting, [output.detach().clone() for output in given], places)
        return call, tensors, given, tree_unflatten(leaves, outer)

    def cast(self, dtype: torch.dtype, *, outputs: list[int]) -> Call:
        """In the parameters' precision, and with these outputs alone."""
        arguments = [
            leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf for leaf in self.arguments
        ]
        chosen = [self.outputs[i] for i in outputs], [self.places[i] for i in outputs]
        return Call(self.layer, arguments, self.nesting, *chosen)

    @property
    def tensors(self) -> list[Tensor]:
        return [leaf for leaf in self.arguments if isinstance(leaf, Tensor)]

    def of(self, parameters: dict[str, Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
        """The outputs, of other parameters and tensors."""
        following = iter(tensors)
        leaves = [next(following) if isinstance(leaf, Tensor) else leaf for leaf in self.arguments]
        args, kwargs = tree_unflatten(leaves, self.nesting)
        outputs = tree_leaves(functional_call(self.layer, parameters, args, kwargs))
        return [outputs[place] for place in self.places]


def per_example_gradients(
    call: Call, gradients: Sequence[Tensor], dims: Sequence[int], *, known: Way | None
) -> tuple[Sums, Way]:
    """``{parameter: gradients [B, *parameter shape]}`` for the gradients of the summed loss with respect to the
    outputs, whose examples lie along ``dims``, and how they were had: what is to be ``known`` at the next call.

    Raises ``TypeError`` unless there is a way to give the layer one example at a time on which it gives what it gave
    all of them, to rounding.
    """
    for first in _ways(call.tensors, gradients[0].shape[dims[0]], dims[0], known):
        for way in dict.fromkeys((first, replace(first, at_once=False))):
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message=".*performance drop")
                    sums, outputs = (_at_once if way.at_once else _one_by_one)(call, gradients, dims, way.dims)
            except ERRORS:
                continue
            if all(_same(*compared) for compared in zip(outputs, call.outputs, dims, strict=True)):
                return sums, way
            break  # it ran, and gave something else: so it would one by one
    raise TypeError(
        "does not give an example alone what it gives it in a batch: it mixes examples, or draws random numbers; where "
        "layers in it do that, put its own parameters into a module of their own"
    )


def _ways(tensors: Sequence[Tensor], examples: int, dim: int, known: Way | None) -> Iterator[Way]:
    if known:
        yield known
    fitting = [[d for d, size in enumerate(t.shape) if size == examples] for t in tensors]
    likeliest_first = [sorted(some, key=lambda d: d != dim) for some in fitting]
    for dims in product(*([*some, None] for some in likeliest_first)):
        yield Way(dims, at_once=True)


def _at_once(
    call: Call, gradients: Sequence[Tensor], dims: Sequence[int], along: tuple[int | None, ...]
) -> tuple[Sums, list[Tensor]]:
    parameters = trained(call.layer)

    def inner_product(values: dict[str, Tensor], tensors: list[Tensor], b: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        alone = [t if d is None else t.unsqueeze(d) for t, d in zip(tensors, along, strict=True)]
        outputs = call.of(values, alone)
        products = zip(outputs, b, dims, strict=True)
        return add_up((output * b.unsqueeze(d)).sum() for output, b, d in products), outputs

    each = vmap(grad(inner_product, has_aux=True), (None, list(along), list(dims)))
    values = {name: p.detach() for name, p in parameters.items()}
    sums, outputs = each(values, call.tensors, list(gradients))
    return {parameter: sums[name] for name, parameter in parameters.items()}, outputs


@torch.enable_grad()
def _one_by_one(
    call: Call, gradients: Sequence[Tensor], dims: Sequence[int], along: tuple[int | None, ...]
) -> tuple[Sums, list[Tensor]]:
    parameters = trained(call.layer)
    values = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    rows, outputs = [], []
    for i in range(gradients[0].shape[dims[0]]):
        alone = [t if d is None else t.narrow(d, i, 1) for t, d in zip(call.tensors, along, strict=True)]
        given = call.of(values, alone)
        products = zip(given, gradients, dims, strict=True)
        total = add_up((output * b.narrow(d, i, 1)).sum() for output, b, d in products)
        rows.append(torch.autograd.grad(total, list(values.values()), allow_unused=True, materialize_grads=True))
        outputs.append([output.detach() for output in given])
    columns = map(torch.stack, zip(*rows, strict=True))
    return dict(zip(parameters.values(), columns, strict=True)), list(map(torch.stack, zip(*outputs, strict=True)))


def _same(alone: Tensor, together: Tensor, dim: int) -> bool:
    """Whether ``alone [B, ...]`` is what the examples got together; those that are not finite aside."""
    alone, together = alone.flatten(1), together.movedim(dim, 0).flatten(1)
    if alone.shape != together.shape:
        return False
    tolerance = torch.finfo(together.dtype).eps ** 0.5
    scale = torch.linalg.vector_norm(together.to(alone.dtype), dim=1)
    off = torch.linalg.vector_norm(alone - together.to(alone.dtype), dim=1)
    finite = scale.isfinite()
    return bool((off <= tolerance * (scale + scale[finite].mean()))[finite].all())
