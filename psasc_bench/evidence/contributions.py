"""What single examples contribute to the weighted sum that the engine computes: figures for the ``battery``.

A figure's docstring begins with what the battery prints beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from psasc_bench.engine import gather, point_at
from psasc_bench.evidence.worst_cases import networks, vectors
from psasc_bench.methods import Method, PerLayer
from psasc_bench.training import Objective, averaging


def relative_difference(one: Tensor, two: Tensor) -> float:
    """``max |one - two| / max |two|``; 0 where both are 0."""
    scale = float(two.abs().max()) if two.numel() else 0.0
    difference = float((one - two).abs().max()) if two.numel() else 0.0
    return difference / scale if scale else difference


def hostile_vectors(method: Method, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Four ordinary gradients ``[4, 16]``, then such as might move the sum too far: huge, tiny, zero, near the
    threshold, along the ordinary ones' sum and against it."""
    ordinary = torch.randn(4, 16, dtype=torch.float64, generator=generator)
    towards = ordinary.sum(0) / ordinary.sum(0).norm()
    bound = method.sensitivity() if math.isfinite(method.sensitivity()) else 1.0
    norms = [
        1e30,
        1e19,
        1e15,
        1e3,
        1.0,
        1e-3,
        1e-12,
        1e-21,
        1e-25,
        1e-30,
        0.0,
        *(bound * f for f in (0.5, 0.999, 1.001, 2)),
    ]
    hostile = torch.tensor(norms, dtype=torch.float64)[:, None] * towards
    return torch.cat([ordinary, hostile, -hostile]).to(dtype)


def neighbours(method: Method) -> float:
    """how far one example, put in or left out, moves the sum / sensitivity; all layers, 1 and 3 iterates

    **Why inner momentum costs no privacy.** Let ``theta_1 .. theta_t`` be the iterates released so far, and condition
    on them. Step t draws a Poisson batch and sums ``w(||v_i||) v_i`` over it, where ``v_i = sum_j c_j
    grad_i(theta_{t-j})`` is *recomputed* at the last k released iterates with the public coefficients ``c_j``. Given
    the iterates, ``v_i`` is a function of example i alone (no mixing), so is its contribution, and

    * if i is not drawn its contribution is exactly 0, whatever was drawn at earlier steps: no buffer remembers it;
    * if i is drawn its contribution has norm ``||v_i|| w(||v_i||) <= sensitivity()``, as for any other vector.

    Adding or removing i therefore changes the sum by nothing with probability ``1 - q`` and by at most the sensitivity
    with probability ``q``: the step is an ordinary Poisson-subsampled Gaussian mechanism, chosen adaptively by
    what was released. Adaptive composition, which every accountant here assumes, gives the whole run. QED. The three
    premises are the three checks ``neighbours``, ``own contribution`` and, of training itself, that its iterates are
    the released parameters and nothing else. At k = 1 this is the ordinary proof.
    """
    generator, bound, worst = torch.Generator().manual_seed(1), method.sensitivity(), 0.0
    for dtype in (torch.float32, torch.float64):
        hostile = hostile_vectors(method, dtype, generator)
        problem = vectors(hostile)
        ordinary = problem.gradient_sum(method, torch.arange(4), micro_batch_size=5).total
        for i in range(4, len(hostile)):
            batch = torch.tensor([0, 1, 2, 3, i])
            moved = problem.gradient_sum(method, batch, micro_batch_size=5).total.double() - ordinary.double()
            worst = max(worst, float(moved.norm()) / bound)
    for problem, batch, iterates in _network_steps(generator):
        whole = problem.gradient_sum(method, batch, micro_batch_size=8, iterates=iterates).total
        for i in range(len(batch)):
            rest = torch.cat([batch[:i], batch[i + 1 :]])
            moved = whole - problem.gradient_sum(method, rest, micro_batch_size=8, iterates=iterates).total
            worst = max(worst, float(moved.norm()) / bound)
    return worst


def mixing(model: nn.Module, inputs: Tensor) -> float:
    """How far the model's output for ``inputs[0]`` moves, relative to the outputs' size, when the other examples of the
    batch are replaced by copies of it: 0 but for rounding, or else no example has a gradient of its own."""
    with torch.no_grad():
        return relative_difference(model(inputs)[:1], model(inputs[:1].expand_as(inputs))[:1])


def _network_steps(
    generator: torch.Generator, *, spread: float = 9.0
) -> Iterator[tuple[Objective, Tensor, list[Tensor]]]:
    """A batch of six on every small network, with one and three iterates; the losses' scales spread over
    ``10^±spread``."""
    scales = torch.logspace(-spread, spread, 6, dtype=torch.float64)
    for problem in networks(scales, generator=generator).values():
        steps = [
            0.3 * torch.randn(problem.parameters.shape, dtype=torch.float64, generator=generator) for _ in range(2)
        ]
        iterates = [problem.parameters + steps[0], problem.parameters + steps[1], problem.parameters]
        yield problem, torch.arange(6), iterates[-1:]
        yield problem, torch.arange(6), iterates


def own_contribution(method: Method) -> float:
    """largest relative difference of an example's contribution from w(|v|) v by plain autograd, in whatever company

    Of a method that weighs layers apart, from ``w_l v_l`` layer by layer.
    """
    worst = 0.0
    for problem, batch, iterates in _network_steps(torch.Generator().manual_seed(2), spread=1.0):
        whole = problem.gradient_sum(method, batch, micro_batch_size=6, iterates=iterates).total
        expected = []
        for i in batch:
            coefficients = averaging(len(iterates), method.decay)
            pairs = zip(coefficients, iterates, strict=True)
            v = torch.stack([c * _autograd(problem, i, iterate) for c, iterate in pairs]).sum(0)
            expected.append(_weighted(problem, method, v))
            alone = problem.gradient_sum(method, i[None], micro_batch_size=1, iterates=iterates).total
            few = problem.gradient_sum(method, batch[batch != i][:2], micro_batch_size=3, iterates=iterates).total
            both = torch.cat([batch[batch != i][:2], i[None]])
            added = problem.gradient_sum(method, both, micro_batch_size=3, iterates=iterates).total - few
            worst = max(worst, relative_difference(alone, expected[-1]), relative_difference(added, expected[-1]))
        worst = max(worst, relative_difference(whole, torch.stack(expected).sum(0)))
    return worst


def _weighted(problem: Objective, method: Method, v: Tensor) -> Tensor:
    """What an example with the gradient ``v [P]`` is to contribute."""
    if not isinstance(method, PerLayer):
        return method.weight(v.norm()[None]) * v
    parameters = list(problem.model.parameters())
    parts = torch.split(v, [parameter.numel() for parameter in parameters])
    layers: dict[nn.Parameter, nn.Module] = {}
    for module in problem.model.modules():
        for parameter in module.parameters(recurse=False):
            layers.setdefault(parameter, module)
    of_layer: dict[nn.Module, list[Tensor]] = {}
    for parameter, part in zip(parameters, parts, strict=True):
        of_layer.setdefault(layers[parameter], []).append(part)
    norms = torch.stack([torch.cat(own).norm() for own in of_layer.values()])
    weights = dict(zip(of_layer, method.layer_weights(norms[None])[0], strict=True))
    return torch.cat([weights[layers[p]] * part for p, part in zip(parameters, parts, strict=True)])


def _autograd(problem: Objective, example: Tensor, iterate: Tensor) -> Tensor:
    parameters = list(problem.model.parameters())
    point_at(parameters, iterate)
    problem.model.eval()  # the books are kept in training mode only
    (losses,) = problem.losses(example[None])
    loss = losses().sum()
    problem.model.train()
    return gather(parameters, dict(zip(parameters, torch.autograd.grad(loss, parameters), strict=True)))


def micro_batches(method: Method) -> float:
    """largest relative change of the sum with the micro-batch size (1, 4, 6, 64) and the order of the batch"""
    worst = 0.0
    for problem, batch, iterates in _network_steps(torch.Generator().manual_seed(3), spread=1.0):
        whole = problem.gradient_sum(method, batch, micro_batch_size=6, iterates=iterates).total
        for size in (1, 4, 64):
            for order in (batch, batch.flip(0)):
                other = problem.gradient_sum(method, order, micro_batch_size=size, iterates=iterates).total
                worst = max(worst, relative_difference(other, whole))
    return worst


def nonfinite(method: Method) -> float:
    """what NaN and infinite gradients, and padding, add to the sum, plus how many of them were miscounted"""
    good = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    bad = torch.zeros(3, 8, dtype=torch.float64)
    bad[0, 0], bad[1, :], bad[2, 3] = math.nan, math.inf, -math.inf
    problem = vectors(torch.cat([good, bad]))
    wanted = problem.gradient_sum(method, torch.arange(3), micro_batch_size=3).total
    mixed = problem.gradient_sum(method, torch.arange(6), micro_batch_size=6)
    nothing = problem.gradient_sum(method, torch.arange(3, 6), micro_batch_size=4)
    empty = problem.gradient_sum(method, torch.arange(0), micro_batch_size=4)
    left = float(nothing.total.abs().max() + empty.total.abs().max()) + relative_difference(mixed.total, wanted)
    return left + abs(mixed.nonfinite - 3) + abs(nothing.nonfinite - 3) + abs(empty.nonfinite)
