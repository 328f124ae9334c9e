"""Known-wrong implementations of private training, as found in the wild, and what catches each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import planted
import pytest
import torch
from planted import SOUND, plant
from reference import Reference, reference_run

from psasc_bench.data import Dataset
from psasc_bench.engine import gradients
from psasc_bench.evidence import battery, step_audit
from psasc_bench.methods import Method
from psasc_bench.methods.dp_psac import DPPSAC
from psasc_bench.privacy import Budget
from psasc_bench.study import RunSpec
from psasc_bench.training import loop as training
from psasc_bench.training.loop import Outcome

Plant = Callable[[pytest.MonkeyPatch], Any]
NOISE_MULTIPLIER = 2.0


def swap(function: str, make: Callable[[], Callable[..., Any]]) -> Plant:
    return lambda monkeypatch: plant(monkeypatch, function, make())


def outcome(wrong: type[Outcome]) -> Plant:
    return lambda monkeypatch: monkeypatch.setattr(training, "Outcome", wrong)


@dataclass(frozen=True)
class Bug:
    """What is planted, in which method, and the ``catchers``: checks of the battery by name, or one of the others."""

    catchers: tuple[str, ...]
    plant: Plant = lambda _: None
    method: Method = field(default=SOUND)


BUGS = {
    "noise of sigma C for sigma C/s": Bug(
        ("supremum", "neighbours", "audit"), method=planted.NoiseWithoutS(C=0.2, s=0.5, r=0.1)
    ),
    "noise of sigma/2": Bug(
        ("noise scale", "audit", "reference run"), swap("privatise", lambda: planted.half_the_noise)
    ),
    "the same noise every step": Bug(
        ("noise independence", "audit", "reference run"), swap("privatise", lambda: planted.same_noise_every_step)
    ),
    "noise to the batch's own maximum": Bug(
        ("noise scale", "reference run"), planted.plant_noise_to_the_batchs_own_maximum
    ),
    "PSAC with misplaced parentheses": Bug(("formula",), method=planted.MisplacedParentheses(C=0.2, r=0.1)),
    "weight applied twice": Bug(
        ("own contribution", "reference run"),
        lambda monkeypatch: monkeypatch.setattr(gradients.GradientBooks, "weighted_sums", planted.weighted_twice),
    ),
    "weight that looks at the batch": Bug(
        ("own weights", "own contribution", "neighbours"), method=planted.WeighedAgainstTheBatch(C=0.2, s=0.5, r=0.1)
    ),
    "shuffled batches of fixed size": Bug(
        ("sampling spread", "sampling overlap", "sampling empty", "reference run"),
        swap("poisson_batch", planted.Shuffled),
    ),
    "twice the accounted sampling rate": Bug(
        ("sampling rate", "audit", "reference run"), swap("poisson_batch", lambda: planted.twice_the_rate)
    ),
    "division by the realised batch size": Bug(("divisor", "reference run"), planted.plant_realised_divisor),
    "empty batches drawn again": Bug(
        ("sampling empty", "reference run"), swap("poisson_batch", lambda: planted.never_empty)
    ),
    "empty batches without noise": Bug(
        ("noise scale", "reference run"), swap("privatise", lambda: planted.no_noise_without_examples)
    ),
    "empty batches crash": Bug(
        ("non-finite gradients", "reference run"), swap("micro_batches", lambda: planted.no_empty_batch)
    ),
    "best test accuracy reported": Bug(("reference run",), outcome(planted.BestEpoch)),
    "early stop on test accuracy": Bug(("reference run",), outcome(planted.StoppedEarly)),
}

CASES = [(bug, catcher) for bug, entry in BUGS.items() for catcher in entry.catchers]


def passes(catcher: str, method: Method, run: Callable[[], bool]) -> bool:
    if catcher == "reference run":
        return run()
    if catcher == "audit":  # tests/test_audit.py has it in 20 of 20 audits
        claim = step_audit.Claim(noise_multiplier=1.751708984375, sampling_rate=0.25, steps=12)
        return not step_audit.audit(method, claim, delta=1e-5, trials=4000).refuted
    if catcher == "formula":
        return peak_is_right(method)
    return all(check.passed for check in battery.check_method(method, names=[catcher]))


def peak_is_right(method: Method) -> bool:
    """``w`` at ``sqrt(r/s) - r`` is ``C / (2 sqrt(r s) - r s)``, worked out by hand from ``C/(s x + r/(x + r))``."""
    C, r, s = (getattr(method, name, 1.0) for name in ("C", "r", "s"))
    found = float(method.weight(torch.tensor([math.sqrt(r / s) - r], dtype=torch.float64)))
    return found == pytest.approx(C / (2 * math.sqrt(r * s) - r * s), rel=1e-9)


@pytest.fixture(scope="module")
def small(digits: Dataset) -> Dataset:
    return replace(digits, x_train=digits.x_train[:30], y_train=digits.y_train[:30])


@pytest.fixture(scope="module")
def spec(digits_spec: Callable[..., RunSpec]) -> RunSpec:
    # Two expected examples a batch: about one batch in eight is empty. The learning rate makes the accuracy go up and
    # down.
    return digits_spec(
        parameters={"C": 0.2, "s": 0.5, "r": 0.1}, expected_batch_size=2, epochs=3, learning_rate=0.3, momentum=0.5
    )


@pytest.fixture(scope="module")
def expected(spec: RunSpec, small: Dataset) -> Reference:
    return reference_run(spec, small, noise_multiplier=NOISE_MULTIPLIER)


def train(spec: RunSpec, dataset: Dataset) -> Outcome:
    examples = len(dataset.y_train)
    budget = Budget(
        epsilon=spec.epsilon,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(examples),
        steps=spec.epoch_ends(examples)[-1],
        noise_multiplier=NOISE_MULTIPLIER,
        epsilon_rdp=spec.epsilon,
        epsilon_pld=spec.epsilon,
    )
    return training.train(spec, dataset, budget, micro_batch_size=4, device=torch.device("cpu"))


@pytest.fixture
def run(spec: RunSpec, small: Dataset, expected: Reference) -> Callable[[], bool]:
    """Train, and say whether all steps were taken and the result is the reference run's."""

    def equals_reference() -> bool:
        made = train(spec, small)
        if made.status == "failed":
            return False
        last = made.curve[-1]
        # float32 sums in another order, carried through 45 steps: some 1e-5 of a loss of a few nats
        return (
            made.steps_taken == len(expected.sums)
            and len(made.curve) == spec.epochs
            and last["test_loss"] == pytest.approx(expected.test_loss, rel=1e-3)
            and last["test_accuracy"] == pytest.approx(expected.test_accuracy, abs=0.01)
        )

    return equals_reference


@pytest.mark.parametrize(("bug", "catcher"), CASES, ids=[f"{bug}: {catcher}" for bug, catcher in CASES])
def test_planted_bug_is_caught(
    bug: str, catcher: str, monkeypatch: pytest.MonkeyPatch, run: Callable[[], bool]
) -> None:
    BUGS[bug].plant(monkeypatch)
    assert not passes(catcher, BUGS[bug].method, run)


@pytest.mark.parametrize("catcher", sorted({catcher for _, catcher in CASES}))
def test_sound_code_passes_what_catches_the_bugs(catcher: str, run: Callable[[], bool]) -> None:
    assert passes(catcher, SOUND, run)
    assert passes(catcher, DPPSAC(C=0.2, r=0.1), run)


def test_reference_run_meets_empty_batches_and_an_accuracy_that_falls(
    spec: RunSpec, small: Dataset, expected: Reference
) -> None:
    assert 0 in expected.sizes
    accuracies = [row["test_accuracy"] for row in train(spec, small).curve]
    assert max(accuracies) > accuracies[-1]


def test_inner_momentum_looks_at_released_iterates_only(
    digits_spec: Callable[..., RunSpec], small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The reference averages over the parameters that its own releases made: equal sums at every step mean equal points.
    given = {"C": 0.2, "s": 0.5, "r": 0.1, "iterates": 3, "decay": 0.7}
    spec = digits_spec(parameters=given, expected_batch_size=6, epochs=2, learning_rate=0.3, momentum=0.5)
    sums = []

    def watched(total: torch.Tensor, **how: Any) -> torch.Tensor:
        sums.append(total.clone())
        return planted.real_privatise(total, **how)

    plant(monkeypatch, "privatise", watched)
    train(spec, small)
    wanted = reference_run(spec, small, noise_multiplier=NOISE_MULTIPLIER).sums
    assert len(sums) == len(wanted) == 10
    for found, sum_of_reference in zip(sums, wanted, strict=True):
        # float32, entries up to about .4
        torch.testing.assert_close(found, sum_of_reference, rtol=1e-3, atol=1e-5)
