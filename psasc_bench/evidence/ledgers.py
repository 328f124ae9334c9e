"""The ledgers of finished runs, audited: what was spent is recomputed by an accountant that took no part in the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from psasc_bench import methods, records
from psasc_bench.records import Record

TOLERANCE = 1e-2  # two RDP accountants on their own grids of orders agree to a few parts in a thousand


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One run's ledger: the budget, epsilon spent by three accountants, and what is wrong with it (nothing, or why)."""

    run: str
    epsilon: float
    delta: float
    noise_multiplier: float
    sensitivity: float
    sampling_rate: float
    steps_taken: int
    epsilon_rdp: float
    epsilon_pld: float
    epsilon_dp_accounting_rdp: float
    problem: str | None


def verify_ledgers(paths: Iterable[Path]) -> list[Verified]:
    """Check the ledgers of these records. Raises ``ValueError`` for a file that is no record."""
    return [_verify(records.read(path)) for path in paths]


def holding_ledgers(paths: Iterable[Path]) -> list[Verified]:
    """The ledgers of these records. Raises ``ValueError`` naming every one that does not hold, or a file that is no
    record."""
    verified = verify_ledgers(paths)
    if bad := [row for row in verified if row.problem]:
        raise ValueError("\n".join(f"{row.run}: {row.problem}; train it anew" for row in bad))
    return verified


def _verify(found: Record) -> Verified:
    ledger = found.ledger
    try:
        epsilon, noise_multiplier, delta = (float(ledger[key]) for key in ("epsilon", "noise_multiplier", "delta"))
        spent_rdp, spent_pld, sensitivity = (
            float(ledger[key]) for key in ("epsilon_rdp", "epsilon_pld", "sensitivity")
        )
        sampling_rate, planned, taken = float(ledger["sampling_rate"]), int(ledger["steps"]), int(ledger["steps_taken"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{found.spec.name()}: its ledger lacks or garbles {error}; train the run anew") from None
    spent = epsilon_by_dp_accounting(noise_multiplier, sampling_rate, taken, delta)
    problem = None
    if epsilon != found.spec.epsilon or delta != found.spec.delta:
        planned_for = f"epsilon {found.spec.epsilon:g}, delta {found.spec.delta:g}"
        problem = f"its ledger is for epsilon {epsilon:g}, delta {delta:g}; its spec for {planned_for}"
    elif spent > epsilon * (1 + TOLERANCE):
        problem = f"it spent epsilon {spent:.4f} of {epsilon:g}"
    elif spent_rdp > epsilon or spent_pld > epsilon:
        problem = f"by its own ledger it spent epsilon {max(spent_rdp, spent_pld):.4f} of {epsilon:g}"
    elif taken == planned and math.isfinite(spent) and abs(spent_rdp - spent) > TOLERANCE * spent:
        problem = f"its ledger says that it spent epsilon {spent_rdp:.4f}; recomputed it is {spent:.4f}"
    elif taken > planned or (taken < planned and found.status == "done"):
        problem = f"it took {taken} steps where {planned} were planned"
    elif not math.isclose(sensitivity, _sensitivity(found), rel_tol=1e-9):
        problem = (
            f"noise was added against sensitivity {sensitivity:g}; {found.spec.method} has {_sensitivity(found):g}"
        )
    return Verified(
        run=found.spec.name(),
        epsilon=epsilon,
        delta=delta,
        noise_multiplier=noise_multiplier,
        sensitivity=sensitivity,
        sampling_rate=sampling_rate,
        steps_taken=taken,
        epsilon_rdp=spent_rdp,
        epsilon_pld=spent_pld,
        epsilon_dp_accounting_rdp=spent,
        problem=problem,
    )


@cache
def epsilon_by_dp_accounting(noise_multiplier: float, sampling_rate: float, steps: int, delta: float) -> float:
    """Epsilon spent, by dp-accounting's RDP accountant with its own orders; infinite without noise, 0 for no step."""
    if steps == 0 or noise_multiplier == 0:
        return math.inf if steps else 0.0
    from dp_accounting import GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    with _quiet():
        accountant.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier)), steps)
        return float(accountant.get_epsilon(delta))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning for every order that the accountant does better without: epsilon is the least over the rest."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _sensitivity(found: Record) -> float:
    return methods.create(found.spec.method, dict(found.spec.parameters)).sensitivity()
