"""What weights of single layers come to for all of an example's layers together: figures for the ``battery``.

A figure's docstring begins with what the battery prints beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from psasc_bench.evidence.joint_release import on_the_way
from psasc_bench.evidence.weights import COMPANY, alike
from psasc_bench.methods import PerLayer

LAYERS = (*range(1, 33), 50, 300)  # numbers of them: of most networks, and more
EXAMPLES = 1000


def _examples(layers: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """Norms ``[B, layers]``: alike in all layers, all but one of them zero, and drawn at random on a log scale."""
    generator = torch.Generator().manual_seed(13)
    norms = torch.cat([torch.zeros(1), torch.logspace(-12, 15, EXAMPLES)]).to(dtype)
    yield norms[:, None].expand(-1, layers).clone()
    alone = torch.zeros(len(norms), layers, dtype=dtype)
    alone[:, -1] = norms
    yield alone
    for decades in (1, 12):
        drawn = torch.rand(EXAMPLES, layers, dtype=torch.float64, generator=generator)
        yield (10 ** (decades * (2 * drawn - 1))).to(dtype)


def _weights(method: PerLayer, norms: Tensor) -> Tensor:
    given = norms.clone()
    weights = method.layer_weights(given)
    if not (alike(weights, norms) and torch.equal(given, norms)):
        raise TypeError(
            f"of norms {list(norms.shape)} of {norms.dtype} weights are {list(weights.shape)}, {weights.dtype}; they "
            "must have the norms' form, and leave the norms as they were"
        )
    return weights


def layers_supremum(method: PerLayer) -> float:
    """sup of the L2 norm of what an example adds in all its layers / sensitivity; 1 to 300 layers, alike and unlike;
    and at settings on the way, if they move"""
    return max(_supremum(now) for now in on_the_way(method))


def _supremum(method: PerLayer) -> float:
    worst = 0.0
    for layers in LAYERS:
        for dtype in (torch.float32, torch.float64):
            for norms in _examples(layers, dtype):
                added = (norms * _weights(method, norms)).double().norm(dim=1).max()
                worst = max(worst, float(added.nan_to_num(nan=math.inf)))
    return worst / method.sensitivity()


def own_layers(method: PerLayer) -> float:
    """largest change of what an example adds with the others, their number or order / sensitivity; and at settings on
    the way, if they move"""
    return max(_own(now) for now in on_the_way(method))


def _own(method: PerLayer) -> float:
    worst = 0.0
    for layers in LAYERS[:32]:
        norms = torch.cat([part[::151] for part in _examples(layers, torch.float64)])
        alone = torch.cat([_weights(method, norm[None]) for norm in norms])
        order = torch.randperm(len(norms), generator=torch.Generator().manual_seed(14))
        others = [torch.cat([norms, norms.new_full((3, layers), other)]) for other in COMPANY]
        found = [_weights(method, one)[: len(norms)] for one in others]
        found.append(_weights(method, norms[order])[order.argsort()])
        worst = max(worst, *(float(((one - alone) * norms).abs().max().nan_to_num(nan=math.inf)) for one in found))
    return worst / method.sensitivity()
