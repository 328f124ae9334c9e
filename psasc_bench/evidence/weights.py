"""What a method's weight and sensitivity do, asked directly: figures for the battery of ``checks``.

A figure's docstring begins with what the battery prints beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain, product

import numpy as np
import torch
from torch import Tensor

from psasc_bench.evidence.snapshots import Snapshot
from psasc_bench.methods import Adaptive, Method

CHUNK = 1 << 16  # norms asked about at once: more do not fit the cache, and take three times as long
# (from, to, every how manyth float32): nearly all norms of training lie in the middle one, where 8 floats are a
# relative 1e-6. No norm is above 2^64, whose square float32 does not hold.
SPANS = ((2.0**-100, 2.0**-10, 256), (2.0**-10, 2.0**20, 8), (2.0**20, 2.0**64, 256))
BEYOND = ((2.0**64, 2.0**100, 4096),)  # weights must be finite there, too
SPARSER = 16  # how much less densely float64 is looked at, in which no run is computed


@dataclass(frozen=True)
class Survey:
    """A method's contributions ``x |w(x)| / sensitivity()`` over some 40 million norms ``x``, surveyed once when first
    asked for."""

    method: Method

    @cached_property
    def _extremes(self) -> list[tuple[float, int]]:
        return [_extremes(self.method, dtype) for dtype in (torch.float32, torch.float64)]

    def supremum(self) -> float:
        """sup x |w(x)| / sensitivity: norms 0 and 1e-30 to 2e19, every eighth float32 from 1e-3 to 1e6; float64"""
        if not 0 < self.method.sensitivity() < math.inf:
            return math.inf
        at_zero = float(_weights(self.method, torch.zeros(1)))
        if not math.isfinite(at_zero):
            raise ValueError(f"weight is {at_zero} at norm 0; it must be finite there, as of an example of no gradient")
        return max(largest for largest, _ in self._extremes)

    def sharpness(self) -> float:
        """the same where it is smaller: less than 1 is noise for nothing"""
        return min(largest for largest, _ in self._extremes)

    def finite_weights(self) -> float:
        """weights that are NaN or infinite, at norms 0 and 1e-30 to 1e30"""
        return float(sum(nonfinite for _, nonfinite in self._extremes))


def _extremes(method: Method, dtype: torch.dtype) -> tuple[float, int]:
    """The largest contribution, infinite if one is no number, and how many weights are not finite."""
    largest, nonfinite = 0.0, 0
    for norms in chain([landmarks(method, dtype)], _grid(SPANS, dtype)):
        weights = _weights(method, norms)
        least, most = (float(extreme) for extreme in (norms * weights).aminmax())
        if not (math.isfinite(least) and math.isfinite(most)):
            nonfinite += int((~weights.isfinite()).sum())
            least = most = math.inf
        largest = max(largest, -least, most)
    for norms in _grid(BEYOND, dtype):
        nonfinite += int((~_weights(method, norms).isfinite()).sum())
    return largest / method.sensitivity(), nonfinite


def _weights(method: Method, norms: Tensor) -> Tensor:
    """The method's weights, once they have the norms' form: others might be broadcast to what fills the memory."""
    weights = method.weight(norms)
    if not alike(weights, norms):
        raise TypeError(
            f"of norms {list(norms.shape)} of {norms.dtype} weights are {list(weights.shape)}, {weights.dtype}"
        )
    return weights


def alike(one: Tensor, two: Tensor) -> bool:
    return (one.shape, one.dtype, one.device) == (two.shape, two.dtype, two.device)


def _grid(spans: tuple[tuple[float, float, int], ...], dtype: torch.dtype) -> Iterator[Tensor]:
    """Every so manyth float32 of the spans, a chunk at a time: the bits of positive floats count in their order."""
    for low, high, every in spans:
        stride = every if dtype == torch.float32 else every * SPARSER
        start, stop = (int(np.float32(end).view(np.int32)) for end in (low, high))
        offsets = torch.arange(0, CHUNK * stride, stride, dtype=torch.int32)
        for bits in range(start, stop, CHUNK * stride):
            yield (offsets[: -(-(stop - bits) // stride)] + bits).view(torch.float32).to(dtype)


def landmarks(method: Method, dtype: torch.dtype) -> Tensor:
    """Zero, and where a formula may turn: its hyper-parameters and constants, their products and quotients, and the
    numbers next to each."""
    settings = [float(getattr(method, field.name)) for field in fields(method)]
    formulas = [getattr(type(method), name, None) for name in ("weight", "layer_weights", "statistic")]
    written = [constant for one in formulas for constant in getattr(getattr(one, "__code__", None), "co_consts", ())]
    constants = [float(constant) for constant in written if isinstance(constant, int | float)]
    known = np.array([x for x in (*settings, *constants, method.sensitivity(), 1.0) if SPANS[0][0] < x < SPANS[-1][1]])
    turns = np.unique(np.concatenate([[a * b, a / b] for a, b in product(known, known)]))
    exact = torch.from_numpy(turns[(turns > SPANS[0][0]) & (turns < SPANS[-1][1])]).to(dtype)
    above = torch.nextafter(exact, torch.full_like(exact, math.inf))
    return torch.cat([exact.new_zeros(1), exact, above, torch.nextafter(exact, torch.zeros_like(exact))])


NORMS = torch.cat([torch.zeros(1), torch.logspace(-6, 6, 12)])
# sizes of batches: all that training is likely to use, and such as a threshold may lie between
SIZES = (*range(1, 1100), *(2**k + d for k in range(11, 17) for d in (-1, 0, 1)))
COMPANY = (0.0, 1e-30, 1e-6, 1e-3, 0.1, 1.0, 1e3, 1e9, 1e19)  # norms of the others


def own_weights(method: Method, sizes: Sequence[int] = SIZES) -> float:
    """largest change of an example's contribution with the others, their number or order, or 2,300 calls on; roundings

    The unit is the rounding error of the dtype, relative to the sensitivity or, where that is infinite, to the weight.
    """
    return max(_own_weights(method, NORMS.to(dtype), sizes) for dtype in (torch.float32, torch.float64))


def _own_weights(method: Method, norms: Tensor, sizes: Sequence[int]) -> float:
    def alone() -> Tensor:
        return torch.cat([_weights(method, norm[None].clone()) for norm in norms])

    def change(weights: Tensor, of: Tensor, expected: Tensor) -> float:
        moved = (weights - expected).abs()
        relative = moved * of / bound if math.isfinite(bound) else moved / expected.abs().clamp(min=1e-30)
        return float(relative.nan_to_num(nan=math.inf, posinf=math.inf).max()) / torch.finfo(norms.dtype).eps

    bound, first = method.sensitivity(), alone()
    worst = 0.0
    generator = torch.Generator().manual_seed(0)
    tiled = norms.repeat(-(-max(sizes) // len(norms)) + 1)
    expected = first.repeat(len(tiled) // len(norms))
    for size in sizes:
        turn = size % len(norms)  # so that every place in a batch is taken by every norm
        batch = slice(turn, turn + size)
        worst = max(worst, change(_weights(method, tiled[batch].clone()), tiled[batch], expected[batch]))
    for other in COMPANY:
        for count in (1, 3, 50):
            weights = _weights(method, torch.cat([norms, norms.new_full((count,), other)]))[: len(norms)]
            worst = max(worst, change(weights, norms, first))
    for _ in range(10):
        order = torch.randperm(len(norms), generator=generator)
        worst = max(worst, change(_weights(method, norms[order]), norms[order], first[order]))
    return max(worst, change(alone(), norms, first))


def form(method: Method) -> float:
    """calls of weight that answer with another shape, dtype or device than the norms', or that change the norms"""
    wrong = 0
    for dtype, size in product((torch.float32, torch.float64), (1, 2, 7)):
        given = torch.linspace(0, 3, size, dtype=dtype)
        norms = given.clone()
        weights = method.weight(norms)
        wrong += not (alike(weights, given) and torch.equal(norms, given))
    return float(wrong)


def steadiness(method: Method) -> float:
    """largest relative change of sensitivity() from call to call, before and after weights of small and large norms"""
    worst = 0.0
    for sensitivity in _sensitivities(method):
        first = _number(sensitivity())
        for norm in (*COMPANY, 0.0) * 10:
            _look(method, norm)
            again = _number(sensitivity())
            worst = max(worst, 0.0 if again == first else abs(again - first) / abs(first))
    return worst


def _sensitivities(method: Method) -> list[Callable[[], object]]:
    return [method.sensitivity, *([method.statistic_sensitivity] if isinstance(method, Adaptive) else [])]


def _look(method: Method, norm: float) -> None:
    """Show it examples, as training does."""
    method.weight(torch.full((3,), norm))
    if isinstance(method, Adaptive):
        method.statistic(torch.full((3,), norm))


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"sensitivity() must be a float, is {type(value).__name__}")
    return float(value)


def memory(before: Snapshot) -> float:
    """attributes, globals and random generators (Python's, numpy's, torch's) that all of these checks change"""
    (method,) = before.subjects.values()
    assert isinstance(method, Method)
    changes = 0
    for norm in COMPANY:
        _look(method, norm)
        for sensitivity in _sensitivities(method):
            sensitivity()
        if norm in (COMPANY[0], COMPANY[-1]):  # notes of the last one seen may be the same as before after one of them
            changes = max(changes, before.changes())
    return float(changes)


def blindness(method: Method) -> float:
    """largest weight of a method that claims to be blind, so that training shows it no examples"""
    return float(method.weight(NORMS).abs().max()) if method.blind else 0.0
