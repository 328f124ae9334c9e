"""The ledgers of finished runs, audited: what was spent is recomputed by accountants that took no part in the run.

Two upper bounds that disagree refute nothing. A ledger is refused for what cannot be right: numbers that are not those
of its run, or that the accountant that it names does not give; and a budget that no upper bound keeps within.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from psasc_bench import methods, records
from psasc_bench.evidence.accountants import (
    LOST,
    epsilon_at_least,
    epsilon_at_most,
    epsilon_by_dp_accounting,
    epsilon_by_quadrature,
)
from psasc_bench.methods import LARGEST, SMALLEST
from psasc_bench.privacy import loss_interval
from psasc_bench.records import Record
from psasc_bench.study import RunSpec

# Opacus' RDP and the quadrature agree to 1e-9 wherever they were compared (docs/privacy.md). A budget may be exceeded
# by the first, which is rounding; what a ledger says may be off by the second, as from a library's other version.
ROUNDING, TOLERANCE = 1e-6, 1e-3
PLD_TOLERANCE = 1e-2


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One run's ledger: where the ``run`` is filed, the budget, epsilon spent as it says (RDP and PLD, of the planned
    steps) and as dp-accounting's RDP has it (of those taken), and what is wrong with it: nothing, or why. What it lacks
    is NaN."""

    run: str
    epsilon: float = math.nan
    delta: float = math.nan
    noise_multiplier: float = math.nan
    sensitivity: float = math.nan
    sampling_rate: float = math.nan
    steps_taken: float = math.nan
    epsilon_rdp: float = math.nan
    epsilon_pld: float = math.nan
    epsilon_dp_accounting_rdp: float = math.nan
    problem: str | None


def verify_ledgers(paths: Iterable[Path]) -> list[Verified]:
    """The ledgers of these records, each with its ``problem`` if it has one. Raises ``ValueError`` for a file that is
    no record."""
    return [_verify(path, records.read(path)) for path in paths]


@dataclass(frozen=True, kw_only=True)
class _Ledger:
    epsilon: float
    delta: float
    noise_multiplier: float
    sensitivity: float
    sampling_rate: float
    steps: int
    steps_taken: int
    epsilon_rdp: float
    epsilon_pld: float

    def schedule(self, steps: int) -> tuple[float, float, int, float]:
        return self.noise_multiplier, self.sampling_rate, steps, self.delta


def _verify(path: Path, found: Record) -> Verified:
    run = records.place(path)
    try:
        ledger = _read(found.ledger)
    except ValueError as error:
        return Verified(run=run, problem=f"its ledger lacks or garbles {error}")
    return Verified(
        run=run,
        epsilon=ledger.epsilon,
        delta=ledger.delta,
        noise_multiplier=ledger.noise_multiplier,
        sensitivity=ledger.sensitivity,
        sampling_rate=ledger.sampling_rate,
        steps_taken=ledger.steps_taken,
        epsilon_rdp=ledger.epsilon_rdp,
        epsilon_pld=ledger.epsilon_pld,
        epsilon_dp_accounting_rdp=epsilon_by_dp_accounting(*ledger.schedule(ledger.steps_taken)),
        problem=records.misfiled(path, found)
        or _not_its_runs(ledger, found)
        or _overspent(ledger)
        or _miscounted(ledger),
    )


def _read(values: Mapping[str, Any]) -> _Ledger:
    """Raises ``ValueError`` naming the first value that is absent, or none that a ledger can have."""
    counts = "steps", "steps_taken"
    numbers: dict[str, Any] = {}
    for key in _Ledger.__dataclass_fields__:
        try:
            numbers[key] = int(values[key]) if key in counts else float(values[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(repr(key)) from None
    ledger = _Ledger(**numbers)
    makes_sense = {
        "epsilon": ledger.epsilon > 0,
        "delta": 0 < ledger.delta < 1,
        "noise_multiplier": ledger.noise_multiplier == 0 or SMALLEST <= ledger.noise_multiplier <= LARGEST,
        "sampling_rate": 1e-12 < ledger.sampling_rate <= 1,
        "steps": ledger.steps >= 1,
        "steps_taken": ledger.steps_taken >= 0,
    }
    if wrong := [key for key, right in makes_sense.items() if not right]:
        raise ValueError(f"{wrong[0]!r}: {numbers[wrong[0]]:g}")
    return ledger


def _not_its_runs(ledger: _Ledger, found: Record) -> str | None:
    """What in a ledger is not that of the run's specification."""
    spec, planned, taken = found.spec, ledger.steps, ledger.steps_taken
    if ledger.epsilon != spec.epsilon or ledger.delta != spec.delta:
        planned_for = f"epsilon {spec.epsilon:g}, delta {spec.delta:g}"
        return f"its ledger is for epsilon {ledger.epsilon:g}, delta {ledger.delta:g}; its spec for {planned_for}"
    if problem := _another_schedule(ledger, spec):
        return problem
    if taken > planned or (taken < planned and found.status == "done"):
        return f"it took {taken} steps where {planned} were planned"
    try:
        sensitivity = methods.create(spec.method, dict(spec.parameters)).sensitivity()
    except ValueError as error:  # the method has gone, or has other hyper-parameters now
        return f"it cannot be verified: {error}"
    if not math.isclose(ledger.sensitivity, sensitivity, rel_tol=1e-9):
        return f"noise was added against sensitivity {ledger.sensitivity:g}; {spec.method} has {sensitivity:g}"
    return None


def _another_schedule(ledger: _Ledger, spec: RunSpec) -> str | None:
    """The sampling rate is the expected batch size over a whole number of examples, which gives the steps."""
    if spec.expected_batch_size < 1 or spec.epochs < 1:
        return f"its spec is for {spec.epochs} epochs of batches of {spec.expected_batch_size} examples"
    examples = round(spec.expected_batch_size / ledger.sampling_rate)
    if not math.isclose(spec.expected_batch_size / examples, ledger.sampling_rate, rel_tol=1e-9):
        rate = f"{spec.expected_batch_size} of a whole number of examples"
        return f"its ledger is for sampling rate {ledger.sampling_rate:g}, which is not {rate}"
    if (steps := spec.epoch_ends(examples)[-1]) != ledger.steps:
        return f"its ledger is for {ledger.steps} steps; {spec.epochs} epochs at its sampling rate are {steps}"
    return None


def _overspent(ledger: _Ledger) -> str | None:
    """Whether no accountant certifies that the budget was kept."""
    if math.isinf(ledger.epsilon):
        return None
    schedule, interval = ledger.schedule(ledger.steps_taken), loss_interval(ledger.epsilon)
    spent = math.inf
    for accountant in (epsilon_by_quadrature, epsilon_by_dp_accounting, partial(epsilon_at_most, interval=interval)):
        spent = min(spent, accountant(*schedule))
        if spent <= ledger.epsilon * (1 + ROUNDING):
            return None
    for coarser in (10, 1):
        if (proved := epsilon_at_least(*schedule, interval=coarser * interval)) > ledger.epsilon:
            return f"it spent epsilon {proved:.4f} at least, of {ledger.epsilon:g}"
    return f"it spent epsilon {spent:.4f} by the least of three accountants, of {ledger.epsilon:g}"


def _miscounted(ledger: _Ledger) -> str | None:
    """What a ledger says was spent that the accountant that it names does not give."""
    if math.isinf(ledger.epsilon):
        return None
    schedule = ledger.schedule(ledger.steps)
    spent = epsilon_by_quadrature(*schedule)
    if not math.isclose(ledger.epsilon_rdp, spent, rel_tol=TOLERANCE):
        return f"its ledger says that it spent epsilon {ledger.epsilon_rdp:.4f}; recomputed it is {spent:.4f}"
    interval = loss_interval(ledger.epsilon)
    for coarser in (10, 1):  # the first is ten times as fast, and nearly always does
        spent = epsilon_at_most(*schedule, interval=coarser * interval, lost=-LOST)
        if ledger.epsilon_pld >= spent * (1 - PLD_TOLERANCE):
            return None
    if math.isinf(spent):
        return None
    return f"its ledger says that it spent epsilon {ledger.epsilon_pld:.4f} by PLD; recomputed it is {spent:.4f}"
