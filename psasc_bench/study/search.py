"""Random search: settings drawn log-uniformly from ranges, the same wherever and whenever they are drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

DIGITS = 3  # of what is drawn: it stands in file names, and no setting needs more
PATIENCE = 100  # draws for each trial, before a range is said to hold too few values

Ranges = Mapping[str, Sequence[float]]


def draw(
    ranges: Ranges, trials: int, *, part: int, others: Collection[Mapping[str, float]] = ()
) -> list[dict[str, float]]:
    """So many distinct settings, none of them among the ``others``: each from its range ``[low, high]``, with the
    density ``1 / (x log(high / low))``, to three significant digits; one that has a single value has that one.

    A setting has a random stream of its own, seeded by its name, its range and ``part``, which counts the searches of a
    method: methods that share a range try the same values of it, a sweep's name decides nothing, and of more trials
    the first are those that fewer would be. Raises ``ValueError`` for what is no range, and for ranges that hold too
    few values.
    """
    for name, ends in ranges.items():
        _check(name, ends)
    found: list[dict[str, float]] = []
    for point in islice(_points(ranges, part), PATIENCE * trials):
        if len(found) == trials:
            break
        if point not in others and point not in found:
            found.append(point)
    if len(found) < trials:
        raise ValueError(f"these ranges hold too few values of {DIGITS} digits for {trials} trials; widen them")
    return found


def _points(ranges: Ranges, part: int) -> Iterator[dict[str, float]]:
    streams = {name: random.Random(f"{name}/{ends[0]!r}/{ends[-1]!r}/{part}") for name, ends in ranges.items()}
    while True:
        yield {name: _between(ends[0], ends[-1], streams[name].random()) for name, ends in ranges.items()}


def _between(low: float, high: float, share: float) -> float:
    return _rounded(math.exp((1 - share) * math.log(low) + share * math.log(high)))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _check(name: str, ends: Sequence[float]) -> None:
    if len(ends) > 2 or ends[0] > ends[-1]:
        raise ValueError(f"{name}: a range to draw from is [low, high], got {[*ends]}")
    if finer := [end for end in ends if _rounded(end) != end]:  # a value drawn could lie outside
        raise ValueError(f"{name}: a range has ends of at most {DIGITS} significant digits, got {finer[0]:g}")
