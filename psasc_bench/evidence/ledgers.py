"""The ledgers of finished runs, audited: what was spent is recomputed by accountants that took no part in the run.

A ledger is refused for numbers that are not those of its run, or that their accountants do not give; and for a budget
that is not kept by the accountant that calibrated its noise. The other one decides nothing: RDP, which is looser, says
that noise calibrated by PLD has spent more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from psasc_bench import methods, records, training
from psasc_bench.evidence.accountants import (
    epsilon_at_least,
    epsilon_at_least_by_prv,
    epsilon_at_most,
    epsilon_by_dp_accounting,
    epsilon_by_quadrature,
)
from psasc_bench.methods import LARGEST, SMALLEST, Adaptive
from psasc_bench.privacy import LOST, Accountant, loss_interval
from psasc_bench.records import Record
from psasc_bench.study import RunSpec

# Opacus' RDP and the quadrature agree to 1e-9 wherever they were compared (docs/privacy.md). A budget may be exceeded
# by the first, which is rounding; what a ledger says may be off by the second, as from a library's other version.
ROUNDING, TOLERANCE = 1e-6, 1e-3
PLD_TOLERANCE = 1e-2  # of a PLD by which nothing was calibrated
PRV_ERROR, LEAST_PRV_ERROR = 5e-3, 5e-4  # of epsilon; and in all, for a smaller one would take minutes
COARSER = (10, 1)  # a PLD ten times as coarse is ten times as fast, and nearly always decides


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One run's ledger: where the ``run`` is filed, the ``accountant`` that calibrated its noise, the budget, epsilon
    spent as it says (RDP and PLD, of the planned steps) and as dp-accounting's RDP has it (of those taken), and what is
    wrong with it: nothing, or why. What it lacks is NaN."""

    run: str
    accountant: str = ""
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


def verify_ledgers(paths: Iterable[Path], *, files: Iterable[str] = ()) -> list[Verified]:
    """The ledgers of these records, each with its ``problem`` if it has one; ``files`` are those of the methods that
    have one of their own, which records know by content alone. Raises ``ValueError`` for a file that is no record, or
    has no method."""
    known = {methods.identity(file): file for file in files}
    return [_verify(path, records.read(path), known) for path in paths]


@dataclass(frozen=True, kw_only=True)
class _Ledger:
    accountant: Accountant
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


def _verify(path: Path, found: Record, files: Mapping[str, str]) -> Verified:
    run = records.place(path)
    try:
        ledger = _read(found.ledger)
    except ValueError as error:
        return Verified(run=run, problem=f"its ledger lacks or garbles {error}")
    return Verified(
        run=run,
        accountant=ledger.accountant,
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
        or _not_its_runs(ledger, found, files)
        or _another_split(ledger, found, files)
        or _overspent(ledger)
        or _miscounted(ledger),
    )


def _read(values: Mapping[str, Any]) -> _Ledger:
    """Raises ``ValueError`` naming the first value that is absent, or none that a ledger can have."""
    counts = "steps", "steps_taken"
    numbers: dict[str, Any] = {}
    if (accountant := values.get("accountant", "rdp")) not in get_args(Accountant):
        raise ValueError(f"'accountant': {accountant!r}")
    for key in [key for key in _Ledger.__dataclass_fields__ if key != "accountant"]:
        try:
            numbers[key] = int(values[key]) if key in counts else float(values[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ValueError(repr(key)) from None
    ledger = _Ledger(accountant=accountant, **numbers)
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


def _not_its_runs(ledger: _Ledger, found: Record, files: Mapping[str, str]) -> str | None:
    """What in a ledger is not that of the run's specification; ``files`` are those of methods, by identity."""
    spec, planned, taken = found.spec, ledger.steps, ledger.steps_taken
    if ledger.epsilon != spec.epsilon or ledger.delta != spec.delta:
        planned_for = f"epsilon {spec.epsilon:g}, delta {spec.delta:g}"
        return f"its ledger is for epsilon {ledger.epsilon:g}, delta {ledger.delta:g}; its spec for {planned_for}"
    if ledger.accountant != spec.accountant:
        return f"its noise was calibrated by {ledger.accountant}; its spec is for {spec.accountant}"
    if problem := _another_schedule(ledger, spec):
        return problem
    if taken > planned or (taken < planned and found.status == "done"):
        return f"it took {taken} steps where {planned} were planned"
    if spec.method.startswith(methods.OF_A_FILE) and spec.method not in files:
        return "it cannot be verified: its method is in a file that this study does not name"
    try:
        sensitivity = methods.create(files.get(spec.method, spec.method), dict(spec.parameters)).sensitivity()
    except ValueError as error:  # the method has gone, or has other hyper-parameters now
        return f"it cannot be verified: {error}"
    if not math.isclose(ledger.sensitivity, sensitivity, rel_tol=1e-9):
        return f"noise was added against sensitivity {ledger.sensitivity:g}; {spec.method} has {sensitivity:g}"
    return None


def _another_split(ledger: _Ledger, found: Record, files: Mapping[str, str]) -> str | None:
    """Whether what a step releases is not what its method does, or jointly is not worth the ledger's noise."""
    method = methods.create(files.get(found.spec.method, found.spec.method), dict(found.spec.parameters))
    said = found.ledger.get("releases", {})
    batch, joint = found.spec.expected_batch_size, ledger.noise_multiplier
    if not said and not (isinstance(method, Adaptive) and joint):
        return None
    try:
        due = training.releases(method, noise_multiplier=joint, expected_batch_size=batch)
        pairs = [(float(said[name][key]), value) for name, of in due.items() for key, value in of.items()]
        recomputed = 1 / math.hypot(*(1 / float(of["noise_multiplier"]) for of in said.values()))
    except ValueError as error:
        return f"it cannot be verified: {error}"
    except (KeyError, TypeError, AttributeError, ZeroDivisionError):
        return "its ledger lacks or garbles 'releases'"
    if not math.isclose(recomputed, joint, rel_tol=1e-9):
        return f"its releases jointly have noise multiplier {recomputed:g}; its budget is for {joint:g}"
    same = set(said) == set(due) and all(math.isclose(one, other, rel_tol=1e-9) for one, other in pairs)
    return None if same else f"its releases are not those of {found.spec.method}"


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
    """Whether the accountant that calibrated the noise does not certify that the budget was kept, or another
    implementation of PLD proves what the one that calibrated it denies."""
    if math.isinf(ledger.epsilon):
        return None
    schedule, interval = ledger.schedule(ledger.steps_taken), loss_interval(ledger.epsilon)
    if (spent := _recomputed(ledger)) <= ledger.epsilon * (1 + ROUNDING):
        error = max(PRV_ERROR * ledger.epsilon, LEAST_PRV_ERROR)
        proved = epsilon_at_least_by_prv(*schedule, error=error) if ledger.accountant == "pld" else 0.0
        return f"it spent epsilon {proved:.4f} at least, of {ledger.epsilon:g}" if proved > ledger.epsilon else None
    for coarser in COARSER:
        if (proved := epsilon_at_least(*schedule, interval=coarser * interval)) > ledger.epsilon:
            return f"it spent epsilon {proved:.4f} at least, of {ledger.epsilon:g}"
    return f"it spent epsilon {spent:.4f} by {ledger.accountant}, which calibrated its noise, of {ledger.epsilon:g}"


def _recomputed(ledger: _Ledger) -> float:
    """Epsilon of the steps taken, by the accountant that calibrated the noise."""
    schedule, interval = ledger.schedule(ledger.steps_taken), loss_interval(ledger.epsilon)
    if ledger.accountant == "rdp":
        return epsilon_by_quadrature(*schedule)
    spent = math.inf
    for coarser in COARSER:
        if (spent := epsilon_at_most(*schedule, interval=coarser * interval)) <= ledger.epsilon:
            break
    return spent


def _miscounted(ledger: _Ledger) -> str | None:
    """What a ledger says was spent that the accountant that it names does not give."""
    if math.isinf(ledger.epsilon):
        return None
    schedule = ledger.schedule(ledger.steps)
    spent = epsilon_by_quadrature(*schedule)
    if not math.isclose(ledger.epsilon_rdp, spent, rel_tol=TOLERANCE):
        return f"its ledger says that it spent epsilon {ledger.epsilon_rdp:.4f}; recomputed it is {spent:.4f}"
    interval, tolerance = loss_interval(ledger.epsilon), TOLERANCE if ledger.accountant == "pld" else PLD_TOLERANCE
    for coarser in COARSER:
        spent = epsilon_at_most(*schedule, interval=coarser * interval, lost=-LOST)
        if ledger.epsilon_pld >= spent * (1 - tolerance):
            return None
    if math.isinf(spent):
        return None
    return f"its ledger says that it spent epsilon {ledger.epsilon_pld:.4f} by PLD; recomputed it is {spent:.4f}"
