"""Methods that are not private, or not what they say, each with the check that must refuse it."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import planted
import torch
from torch import Tensor

from psasc_bench.methods import Method
from psasc_bench.methods.auto_s import AutoS
from psasc_bench.methods.dp_sgd import DPSGD

CALLS = itertools.count()


class _Clipping(DPSGD):
    """DP-SGD, for what is wrong to be added to."""

    def scaled(self, norm: Tensor, factor: Tensor | float) -> Tensor:
        return DPSGD.weight(self, norm) * factor


# ----------------------------------------------------------------------------- weights that look at the other examples


class Median(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 / (1 + norm.median()))


class Maximum(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, norm / norm.max().clamp(min=1e-30))


class Spread(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 / (1 + norm.std(correction=0)))


class FullBatch(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 2.0 if len(norm) == 288 else 1.0)


class ManyExamples(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0 if len(norm) < 5000 else 0.5)


class FirstOnly(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, (torch.arange(len(norm)) == 0).to(norm.dtype))


class Rank(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, norm.argsort().argsort().to(norm.dtype) / len(norm))


class Padding(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.5 if (norm == 0).any() else 1.0)


class Huge(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.5 if (norm > 1e8).any() else 1.0)


# ---------------------------------------------------------------------------------- weights that go beyond their bound


class FiveInAHundred(DPSGD):
    def sensitivity(self) -> float:
        return self.C / 1.05


class Float32(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 2.0 if norm.dtype == torch.float32 else 1.0)


@dataclass(frozen=True, kw_only=True)
class Spike(_Clipping):
    """Three times too large in an interval of norms."""

    at: float
    width: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 + 2 * ((norm / self.at - 1).abs() < self.width))


class AtTheThreshold(_Clipping):
    """Three times too large at one norm."""

    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 + 2 * (norm == self.C))


class AtAConstant(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 + 2 * (norm == 0.123456789))


class SpikeDownwards(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1 - 3 * ((norm - 47.11).abs() < 1e-3))


# ------------------------------------------------------------------------------------------ weights that are no number


class NotANumber(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0).masked_fill((norm > 5) & (norm < 5.001), math.nan)


class InfiniteFarOut(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0).masked_fill(norm > 1e29, math.inf)


class InfiniteAtZero(DPSGD):
    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm


# ----------------------------------------------------------------------------------- weights that change by themselves


class Later(_Clipping):
    """Doubles after a million calls, which no check waits for."""

    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0 if next(CALLS) < 1_000_000 else 2.0)


class Warming(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        steps = vars(self).get("steps", 0)
        object.__setattr__(self, "steps", steps + 1)
        return self.scaled(norm, min(1.0, steps / 100))


class FirstBatch(_Clipping):
    """Calibrates itself on the first batch that it sees, once for all."""

    def weight(self, norm: Tensor) -> Tensor:
        if "scale" not in vars(self):
            object.__setattr__(self, "scale", 1 / (1 + float(norm.median())))
        return self.scaled(norm, vars(self)["scale"])


class FirstBatchOfAll(_Clipping):
    """The same for the whole process."""

    scale: ClassVar[list[float]] = []

    def weight(self, norm: Tensor) -> Tensor:
        if not self.scale:
            self.scale.append(1 / (1 + float(norm.median())))
        return self.scaled(norm, self.scale[0])


class _Notebook:
    """Looks the same whatever is in it."""

    last: Tensor | None = None
    many = torch.zeros(5000)


class NotesInAnObject(_Clipping):
    book: ClassVar[Any] = _Notebook()

    def weight(self, norm: Tensor) -> Tensor:
        self.book.last = norm.detach().clone()
        return self.scaled(norm, 1.0)


class NotesInATensor(_Clipping):
    """In the middle of one that is shown by its ends."""

    def weight(self, norm: Tensor) -> Tensor:
        _Notebook.many[2500] = norm.max()
        return self.scaled(norm, 1.0)


class NotesInAGenerator(_Clipping):
    own: ClassVar[torch.Generator] = torch.Generator()

    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.0 if torch.rand(1, generator=self.own) < 1e-9 else 1.0)


def _counting() -> Iterator[int]:
    calls = 0
    while True:
        calls += 1
        yield calls


COUNTING = _counting()


class NotesInALoop(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0 if next(COUNTING) < 1_000_000 else 2.0)


class Jitter(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.9 + 0.1 * torch.rand(norm.shape, dtype=norm.dtype))


class SeldomJitter(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.0 if random.random() < 1e-9 else 1.0)


class NumpyJitter(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 0.0 if np.random.random() < 1e-9 else 1.0)


class Defaults(_Clipping):
    def weight(self, norm: Tensor, seen: list[int] = []) -> Tensor:  # noqa: B006
        seen.append(len(norm))
        return self.scaled(norm, 1.0 if len(seen) < 1_000_000 else 2.0)


# ------------------------------------------------------------------------------------------------------- sensitivities


@dataclass(frozen=True, kw_only=True)
class Claims(_Clipping):
    """Claims a sensitivity that is none."""

    kind: int = 1

    def sensitivity(self) -> Any:
        return (-self.C, 0.0, math.nan, math.inf, -math.inf, "0.1", True, torch.tensor(self.C))[self.kind - 1]


class Shrinking(DPSGD):
    def sensitivity(self) -> float:
        return self.C * (1 + 1 / (1 + next(CALLS)))


class LargestSeen(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        object.__setattr__(self, "seen", float(norm.max()))
        return self.scaled(norm, 1.0)

    def sensitivity(self) -> float:
        return min(self.C, vars(self).get("seen", self.C)) or self.C


# --------------------------------------------------------------------------------------------------------------- forms


class Column(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm, 1.0)[:, None]


class Scalar(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return norm.new_tensor(self.C / 1e30)


class Double(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.scaled(norm.double(), 1.0)


class InPlace(_Clipping):
    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm.clamp_(min=self.C)


class Raises(DPSGD):
    def weight(self, _: Tensor) -> Tensor:
        raise RuntimeError("no weight today")


class NotBlind(DPSGD):
    blind = True


class Sleeper(AutoS):
    """Turned round beyond its bound, where the norms are rare."""

    def weight(self, norm: Tensor) -> Tensor:
        return AutoS.weight(self, norm) * (1 - 2.1 * (norm > 1e6))


def _spike(at: float, width: float) -> Spike:
    return Spike(C=0.1, at=at, width=width)


BAD: dict[str, tuple[Method, str]] = {
    "batch mean": (planted.BatchMean(C=0.1), "own weights"),
    "batch maximum": (Maximum(C=0.1), "own weights"),
    "batch median": (Median(C=0.1), "own weights"),
    "batch spread": (Spread(C=0.1), "own weights"),
    "batch of the micro-batch's size": (FullBatch(C=0.1), "own weights"),
    "batch of many": (ManyExamples(C=0.1), "own weights"),
    "first of the batch": (FirstOnly(C=0.1), "own weights"),
    "rank in the batch": (Rank(C=0.1), "own weights"),
    "padding in the batch": (Padding(C=0.1), "own weights"),
    "a huge one in the batch": (Huge(C=0.1), "own weights"),
    "sensitivity 5 % too small": (FiveInAHundred(C=0.1), "supremum"),
    "turned round": (planted.TurnedRound(C=0.1), "supremum"),
    "turned round far out": (Sleeper(C=0.1), "supremum"),
    "right for s = 1": (planted.NoiseWithoutS(C=0.2, s=0.5, r=0.1), "supremum"),
    "wrong in float32": (Float32(C=0.1), "supremum"),
    "spike": (_spike(2.345, 1e-6), "supremum"),
    "spike far out": (_spike(7.77e6, 1e-4), "supremum"),
    "spike at the threshold": (AtTheThreshold(C=0.1), "supremum"),
    "spike at a constant": (AtAConstant(C=0.1), "supremum"),
    "spike downwards": (SpikeDownwards(C=0.1), "supremum"),
    "NaN": (NotANumber(C=0.1), "finite weights"),
    "infinite far out": (InfiniteFarOut(C=0.1), "finite weights"),
    "infinite at zero": (InfiniteAtZero(C=0.1), "finite weights"),
    "changes late": (Later(C=0.1), "no memory"),
    "warms up": (Warming(C=0.1), "no memory"),
    "calibrated on the first batch": (FirstBatch(C=0.1), "no memory"),
    "calibrated on the first batch of all": (FirstBatchOfAll(C=0.1), "no memory"),
    "notes in an object": (NotesInAnObject(C=0.1), "no memory"),
    "notes in a tensor": (NotesInATensor(C=0.1), "no memory"),
    "notes in a generator": (NotesInAGenerator(C=0.1), "no memory"),
    "notes in a loop": (NotesInALoop(C=0.1), "no memory"),
    "random": (Jitter(C=0.1), "own weights"),
    "seldom random": (SeldomJitter(C=0.1), "no memory"),
    "seldom random by numpy": (NumpyJitter(C=0.1), "no memory"),
    "notes in a default": (Defaults(C=0.1), "no memory"),
    **{f"sensitivity of kind {kind}": (Claims(C=0.1, kind=kind), "supremum") for kind in range(1, 6)},
    **{f"sensitivity of kind {kind}": (Claims(C=0.1, kind=kind), "steady sensitivity") for kind in range(6, 9)},
    "shrinking sensitivity": (Shrinking(C=0.1), "steady sensitivity"),
    "sensitivity of the largest seen": (LargestSeen(C=0.1), "steady sensitivity"),
    "column": (Column(C=0.1), "form of weights"),
    "scalar": (Scalar(C=0.1), "form of weights"),
    "double": (Double(C=0.1), "form of weights"),
    "norms changed in place": (InPlace(C=0.1), "form of weights"),
    "raises": (Raises(C=0.1), "supremum"),
    "not blind": (NotBlind(C=0.1), "blindness"),
}
