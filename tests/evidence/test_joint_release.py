"""Planted bugs of what is released beside the weighted sum, of state, and of weights of layers: each is refused before
anything is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import planted
import pytest
from planted import plant
from test_battery import failures
from torch import Tensor

from psasc_bench import methods
from psasc_bench.evidence import battery, gate, step_audit
from psasc_bench.methods import Method, PerLayer
from psasc_bench.methods.adasig import AdaSig
from psasc_bench.methods.per_layer import PerLayerClipping
from psasc_bench.methods.quantile import Quantile

SEEN: list[float] = []


class Understated(Quantile):
    """Counts 1 or 0, which has sensitivity 1."""

    def statistic(self, norms: Tensor) -> Tensor:
        return super().statistic(norms) + 0.5


class UnderstatedLater(AdaSig):
    """The sensitivity of the first slope, whatever the slope."""

    def statistic_sensitivity(self) -> float:
        return 0.448


class NotANumber(Quantile):
    def statistic(self, norms: Tensor) -> Tensor:
        return super().statistic(norms).masked_fill((norms > 1e10)[:, None], math.nan)


class Shared(Quantile):
    """Counts an example against the batch's mean."""

    def statistic(self, norms: Tensor) -> Tensor:
        return (norms <= norms.mean()).to(norms.dtype)[:, None] - 0.5


class Flat(Quantile):
    def statistic(self, norms: Tensor) -> Tensor:
        return super().statistic(norms)[:, 0]


class Peeking(Quantile):
    """Its threshold goes to the median of the norms that it weighed last."""

    def weight(self, norm: Tensor) -> Tensor:
        object.__setattr__(self, "seen", float(norm.median()))
        return super().weight(norm)

    def advance(self, released: Tensor) -> Self:
        return replace(super().advance(released), C=max(1e-6, min(1e6, vars(self).get("seen", 1.0))))


class PeekingThroughAGlobal(Quantile):
    def statistic(self, norms: Tensor) -> Tensor:
        SEEN[:] = [float(norms.max())]
        return super().statistic(norms)

    def advance(self, released: Tensor) -> Self:
        return replace(super().advance(released), C=max(1e-6, min(1e6, *SEEN, 1e6)))


class MovingTheRest(Quantile):
    """Changes a field that is no state: a checkpoint would not keep it."""

    def advance(self, released: Tensor) -> Self:
        return replace(super().advance(released), eta=self.eta * 0.99)


class NoiseByState(Quantile):
    def statistic_multiplier(self, _: float, expected_batch_size: float) -> float:
        return expected_batch_size * self.C


class TooSteep(Quantile):
    """Beyond its sensitivity once the threshold has risen."""

    def weight(self, norm: Tensor) -> Tensor:
        return super().weight(norm) * (1 + (self.C > 0.5))


@dataclass(frozen=True, kw_only=True)
class LayersBeyondLater(PerLayer, Quantile):
    """Beyond its sensitivity once the threshold has risen, where there are several layers."""

    def layer_weights(self, norms: Tensor) -> Tensor:
        whole = norms.norm(dim=1, keepdim=True).clamp(min=self.C).expand_as(norms)
        return (1 + (self.C > 0.5) * (norms.shape[1] > 1)) * self.C / whole


class WeightsOfTheBatchLater(Quantile):
    def weight(self, norm: Tensor) -> Tensor:
        shared = 1 + norm.mean() / (1 + norm.mean())
        return super().weight(norm) / (shared if self.C > 0.5 else 1)


class StatisticOfTheBatchLater(Quantile):
    def statistic(self, norms: Tensor) -> Tensor:
        threshold = norms.mean() if self.C > 0.5 else norms.new_tensor(self.C)
        return (norms <= threshold).to(norms.dtype)[:, None] - 0.5


class SettingsOfTensors(Quantile):
    def advance(self, released: Tensor) -> Self:
        after = super().advance(released)
        object.__setattr__(after, "C", after.C + 0 * released.sum())
        return after


class NowhereToGo(Quantile):
    def advance(self, _: Tensor) -> Self:
        return replace(self, C=math.nan)


class AnotherMethod(Quantile):
    def advance(self, _: Tensor) -> Any:
        return PerLayerClipping(C=self.C)


@dataclass(frozen=True, kw_only=True)
class EachLayerItsOwn(PerLayerClipping):
    """Clips each layer to ``C``: together they have up to ``sqrt(L) C``."""

    def layer_weights(self, norms: Tensor) -> Tensor:
        return self.C / norms.clamp(min=self.C)


class LayersOfTheBatch(PerLayerClipping):
    def layer_weights(self, norms: Tensor) -> Tensor:
        return super().layer_weights(norms) / (1 + norms.mean())


class LayersOfAnotherForm(PerLayerClipping):
    def layer_weights(self, norms: Tensor) -> Tensor:
        return super().layer_weights(norms)[:, :1]


class _Last:
    norms: Tensor | None = None


LAST = _Last()


@dataclass(frozen=True, kw_only=True)
class PeekingAfterAWhile(Quantile):
    """Sound for five steps; then its threshold is the last batch's median, which an object has kept."""

    state = ("C", "step")
    step: float = 1.0

    def weight(self, norm: Tensor) -> Tensor:
        LAST.norms = norm
        return super().weight(norm)

    def advance(self, released: Tensor) -> Self:
        after = replace(super().advance(released), step=self.step + 1)
        kept = 1.0 if LAST.norms is None else float(LAST.norms.median())
        return after if self.step <= 5 else replace(after, C=max(1e-6, min(1e6, kept)))


@dataclass(frozen=True, kw_only=True)
class Countdown(Quantile):
    """Beyond what it says from the second step on, and at its end after thirty."""

    state = ("C", "left")
    left: float = 30.0

    def weight(self, norm: Tensor) -> Tensor:
        return super().weight(norm) * (1 if self.left == 30 else 3)

    def advance(self, released: Tensor) -> Self:
        return replace(super().advance(released), left=self.left - 1)


class BetweenItsBounds(Quantile):
    """Half of its sensitivity, but at the first threshold and at the bounds that it comes to."""

    def sensitivity(self) -> float:
        return self.C if self.C in (0.1, 0.5, 2.0) else self.C / 2

    def advance(self, released: Tensor) -> Self:
        return replace(self, C=min(2.0, max(0.1, super().advance(released).C)))


@dataclass(frozen=True, kw_only=True)
class SixLayers(PerLayerClipping):
    """Thresholds for one network alone, whose squares add up to 2.3."""

    def layer_weights(self, norms: Tensor) -> Tensor:
        if norms.shape[1] != 6:
            return super().layer_weights(norms)
        thresholds = self.C * norms.new_tensor([0.9, 0.7, 0.5, 0.5, 0.5, 0.5])
        return thresholds / norms.maximum(thresholds)


BAD: dict[str, tuple[Method, tuple[str, ...]]] = {
    "statistic of understated sensitivity": (Understated(C=0.1), ("statistic supremum", "statistic neighbours")),
    "statistic understated at later settings": (UnderstatedLater(C=0.1), ("statistic supremum",)),
    "statistic that is no number": (NotANumber(C=0.1), ("statistic supremum",)),
    "statistic that looks at the batch": (Shared(C=0.1), ("own statistic",)),
    "statistic of another form": (Flat(C=0.1), ("own statistic",)),
    "state that peeks": (Peeking(C=0.1), ("state", "no memory")),
    "state that peeks through a global": (PeekingThroughAGlobal(C=0.1), ("state",)),
    "state that peeks after a while": (PeekingAfterAWhile(C=0.1), ("state", "no memory")),
    "weight beyond its sensitivity until no more settings": (Countdown(C=0.1), ("supremum on the way",)),
    "weight beyond its sensitivity on the way to a bound": (BetweenItsBounds(C=0.5), ("supremum on the way",)),
    "layers beyond the claim if they are six": (SixLayers(C=0.1), ("layers' supremum",)),
    "setting that moves and is no state": (MovingTheRest(C=0.1), ("state",)),
    "share that moves": (NoiseByState(C=0.1), ("steady share",)),
    "weight beyond its sensitivity at later settings": (TooSteep(C=0.1), ("supremum on the way",)),
    "weights that look at the batch later": (WeightsOfTheBatchLater(C=0.1), ("own weights on the way",)),
    "statistic that looks at the batch later": (StatisticOfTheBatchLater(C=0.1), ("own statistic",)),
    "layers beyond the claim later": (LayersBeyondLater(C=0.1), ("layers' supremum",)),
    "settings that are no numbers": (SettingsOfTensors(C=0.1), ("state",)),
    "no next settings": (NowhereToGo(C=0.1), ("state",)),
    "next settings of another method": (AnotherMethod(C=0.1), ("state",)),
    "layers beyond the claim": (EachLayerItsOwn(C=0.1), ("layers' supremum", "neighbours")),
    "layers that look at the batch": (LayersOfTheBatch(C=0.1), ("own layers", "own contribution")),
    "layers of another form": (LayersOfAnotherForm(C=0.1), ("layers' supremum",)),
}
CASES = [(bug, check) for bug, (_, checks) in BAD.items() for check in checks]


def as_if_alone(noise_multiplier: float, *, beside: float) -> float:
    assert beside > 0
    return noise_multiplier


class SameNoise:
    """The statistic gets the sum's noise once more, to its own scale."""

    def __call__(self, total: Tensor, *, sensitivity: float, noise_multiplier: float, **how: Any) -> Tensor:
        scale, batch = sensitivity * noise_multiplier, how["expected_batch_size"]
        if len(total) < 20:  # the statistic
            return (total + scale * self.noise[: len(total)]) / batch
        released = planted.real_privatise(total, sensitivity=sensitivity, noise_multiplier=noise_multiplier, **how)
        self.noise = (released * batch - total) / scale
        return released


PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "gradient as if there were no statistic": ("remaining_multiplier", as_if_alone),
    "one noise for both": ("privatise", SameNoise()),
    "half the noise": ("privatise", planted.half_the_noise),
}


@pytest.mark.parametrize(("bug", "check"), CASES, ids=[f"{bug}: {check}" for bug, check in CASES])
def test_bad_method_fails(bug: str, check: str) -> None:
    assert failures(replace(BAD[bug][0]), check)  # a new one, for what it keeps in itself


@pytest.mark.parametrize("check", sorted({check for _, check in CASES} | {"joint noise"}))
def test_sound_methods_pass_what_catches_the_bugs(check: str) -> None:
    for name in ("quantile", "adasig", "per-layer"):
        assert failures(methods.create(name, {"C": 0.1}), check) == []


@pytest.mark.parametrize("bug", PLANTED)
def test_noise_that_the_joint_account_does_not_cover_is_refused(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, *PLANTED[bug])
    assert failures(methods.create("adasig", {"C": 0.1}), "joint noise")


def test_release_is_audited_jointly(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = step_audit.Claim(noise_multiplier=6.0, sampling_rate=1, steps=10)

    def refuted(method: Method) -> bool:
        return step_audit.audit(method, claim, delta=1e-5, trials=4000).refuted

    @dataclass(frozen=True, kw_only=True)
    class Half(Quantile):
        """Half of the account is the statistic's."""

        def statistic_multiplier(self, noise_multiplier: float, _: float) -> float:
            return noise_multiplier * math.sqrt(2)

    @dataclass(frozen=True, kw_only=True)
    class Thrice(Half):
        """Adds to the statistic three times what it claims."""

        def statistic_sensitivity(self) -> float:
            return 0.5 / 3

    for name in ("quantile", "adasig", "dc-sgd-p"):
        assert not refuted(methods.create(name, {"C": 0.1}))
    assert not refuted(Half(C=0.1))
    assert refuted(Thrice(C=0.1))
    plant(monkeypatch, *PLANTED["half the noise"])
    assert refuted(Half(C=0.1))


def test_sound_weight_of_one_layer_says_nothing_of_more() -> None:
    """What the checks of weights alone cannot see."""
    assert isinstance(bad := BAD["layers beyond the claim"][0], PerLayer)
    assert failures(bad, "supremum") == []


def test_bad_state_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "create", lambda *_: BAD["state that peeks"][0])
    with pytest.raises(ValueError, match=r"fails the battery and is not trained: .*state is"):
        gate.require_sound_method("quantile", {"C": 0.1}, tmp_path)
    assert {"state", "joint noise", "statistic supremum"} <= {rule.name for rule in battery.RULES}
