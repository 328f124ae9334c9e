"""Whether what a model makes of an example is the same in company as alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

NEAR = 1e-4  # relative: other batch sizes have other sums in float32, which differ by some 1e-6


def examples_apart(
    model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, batch_dim: int = 0
) -> bool | None:
    """Whether ``model`` gives the first and the last example of a batch, each alone, what it gives them in the batch;
    None if this batch cannot tell: it has fewer than two examples, or the outputs of both are the same.

    ``args`` and ``kwargs`` are those of ``model``, in any nesting of tuples, lists and dicts. The examples lie in
    dimension ``batch_dim`` of the first tensor among them, and of each other tensor that is as long there. The model is
    run in evaluation mode and without gradients, up to four times; its modes, torch's own generator and the inputs stay
    as they are. A model that draws at random even then is not looked at: True. One that does not run on an example
    alone is not apart.
    """
    batched = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and t.dim() > batch_dim]
    count = batched[0].shape[batch_dim] if batched else 0
    if count < 2:
        return None

    def outputs(place: int | None = None) -> list[Tensor]:
        def given(t: Tensor) -> Tensor:
            of_examples = t.dim() > batch_dim and t.shape[batch_dim] == count
            return (t if place is None or not of_examples else _at(t, batch_dim, place)).clone()

        some, named = tree_map_only(Tensor, given, (args, dict(kwargs)))
        return [leaf for leaf in tree_leaves(model(*some, **named)) if isinstance(leaf, Tensor)]

    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            company = outputs()
            try:
                first, last = outputs(0), outputs(-1)
            except (RuntimeError, ValueError, IndexError):
                return False
            if _all_same(company, first, 0) and _all_same(company, last, -1):
                return None if _all_same(first, last, 0) else True
            return not _all_same(company, outputs(), 0)
    finally:
        for module, mode in modes:
            module.training = mode


def same_example(one: Tensor, two: Tensor, place: int = 0) -> bool:
    """Whether the first example of both (``place`` 0) or the last (-1) is the same, to rounding. The dimension in which
    their numbers of examples show is the examples'; without one, all of them is compared."""
    if one.dim() != two.dim():
        return False
    if not one.numel():
        return True
    differing = [dim for dim in range(one.dim()) if one.shape[dim] != two.shape[dim]]
    if len(differing) > 1:
        return False
    for dim in differing:
        one, two = _at(one, dim, place), _at(two, dim, place)
    near = max(NEAR, 8 * torch.finfo(one.dtype).eps) if one.is_floating_point() else NEAR
    first, second = one.double(), two.double()
    within = (first - second).abs() <= near * first.nan_to_num(0, 0, 0).abs().max()
    return bool((within | (first == second) | (first.isnan() & second.isnan())).all())


def _all_same(some: list[Tensor], others: list[Tensor], place: int) -> bool:
    return len(some) == len(others) and all(
        same_example(one, two, place) for one, two in zip(some, others, strict=True)
    )


def _at(t: Tensor, dim: int, place: int) -> Tensor:
    return t.narrow(dim, place % t.shape[dim], 1)
