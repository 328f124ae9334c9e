"""The ledger of a run with two releases a step, against dp-accounting's two Gaussians of one Poisson sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from dp_accounting import ComposedDpEvent, GaussianDpEvent, NeighboringRelation, PoissonSampledDpEvent
from dp_accounting.rdp import RdpAccountant
from small_runs import CPU, MakeSpec

from psasc_bench.data import Dataset
from psasc_bench.evidence import verify_ledgers
from psasc_bench.privacy import RDP_ORDERS, calibrate
from psasc_bench.training import train_run


def spent(multipliers: list[float], *, sampling_rate: float, steps: int, delta: float) -> float:
    accountant = RdpAccountant(RDP_ORDERS, neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE)
    step = ComposedDpEvent([GaussianDpEvent(multiplier) for multiplier in multipliers])
    accountant.compose(PoissonSampledDpEvent(sampling_rate, step), steps)
    return float(accountant.get_epsilon(delta))


@pytest.mark.parametrize("method", ["quantile", "adasig"])
def test_two_releases_cost_what_the_record_says(
    method: str, digits: Dataset, digits_spec: MakeSpec, tmp_path: Path
) -> None:
    spec = digits_spec(method=method, parameters={"C": 0.2}, expected_batch_size=100, epsilon=3.0)
    schedule = {
        "sampling_rate": spec.sampling_rate(len(digits.y_train)),
        "steps": spec.epoch_ends(len(digits.y_train))[-1],
        "delta": spec.delta,
    }
    budget = calibrate(epsilon=3.0, **schedule)
    made = train_run(spec, digits, budget, runs=tmp_path / "runs", micro_batch_size=320, device=CPU)
    ledger = made.ledger
    released = ledger["releases"]
    assert set(released) == {"gradient", "statistic"}
    found = spent([released[kind]["noise_multiplier"] for kind in released], **schedule)
    assert found == pytest.approx(ledger["epsilon_rdp"], rel=1e-3)  # as the ledgers' own check allows
    assert found <= 3.0
    # either alone would have cost less, and the sum's noise is more than the budget's
    assert spent([released["gradient"]["noise_multiplier"]], **schedule) < found
    assert released["gradient"]["noise_multiplier"] > ledger["noise_multiplier"]
    (row,) = verify_ledgers(list((tmp_path / "runs").rglob("*.json")))
    assert not row.problem
