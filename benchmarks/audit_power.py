"""How small a lie the audit of the training step finds.

    python benchmarks/audit_power.py

For every epsilon and each of the audit's two schedules: the smallest of ``FACTORS`` such that a method that contributes
so many times its claimed sensitivity is refuted in 19 of 20 audits at least, sought by bisection; and how many of 20
audits refute an honest method, and one that is turned round: against the gradient, twice its sensitivity. A Markdown
table, in two to three minutes on one core.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import pandas as pd
import torch

from psasc_bench.commands.auditing import AUDITED, AUDITED_DELTA
from psasc_bench.evidence import Claim, audit
from psasc_bench.methods import Method
from psasc_bench.methods.base import Tensor
from psasc_bench.methods.dp_sgd import DPSGD
from psasc_bench.privacy import calibrate

EPSILONS = (1, 3, 8)
FACTORS = (1.02, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.4, 1.5, 1.6, 1.75, 2.0, 2.5, 3.0, 4.0)
AUDITS, ENOUGH = 20, 19
C = 0.1


@dataclass(frozen=True, kw_only=True)
class Understated(DPSGD):
    """DP-SGD that contributes ``factor`` times what it claims."""

    factor: float

    def sensitivity(self) -> float:
        return self.C / self.factor


@dataclass(frozen=True, kw_only=True)
class TurnedRound(DPSGD):
    def weight(self, norm: Tensor) -> Tensor:
        return -2 * DPSGD.weight(self, norm)


def claimed(epsilon: float, sampling_rate: float, steps: int) -> Claim:
    budget = calibrate(epsilon=epsilon, delta=AUDITED_DELTA, sampling_rate=sampling_rate, steps=steps)
    return Claim(noise_multiplier=budget.noise_multiplier, sampling_rate=sampling_rate, steps=steps)


def refutations(method: Method, claim: Claim) -> int:
    return sum(audit(method, claim, delta=AUDITED_DELTA, seed=seed).refuted for seed in range(AUDITS))


def smallest_found(claim: Claim) -> str:
    """The factor, with how many audits find it and the factor below it."""
    counts: dict[float, int] = {}

    def enough(factor: float) -> bool:
        counts[factor] = refutations(Understated(C=C, factor=factor), claim)
        return counts[factor] >= ENOUGH

    first = bisect_left(FACTORS, True, key=enough)
    if first == len(FACTORS):
        return f"none up to {FACTORS[-1]:g}"
    below = f", {FACTORS[first - 1]:g} in {counts[FACTORS[first - 1]]}" if first else ""
    return f"{FACTORS[first]:g} (in {counts[FACTORS[first]]}{below})"


def row(epsilon: float, sampling_rate: float, steps: int) -> dict[str, str]:
    claim = claimed(epsilon, sampling_rate, steps)
    return {
        "epsilon": f"{epsilon:g}",
        "sampling rate": f"{sampling_rate:g}",
        "steps": f"{steps}",
        f"smallest factor found in {ENOUGH} of {AUDITS}": smallest_found(claim),
        "honest, refuted": f"{refutations(DPSGD(C=C), claim)}",
        "turned round, refuted": f"{refutations(TurnedRound(C=C), claim)}",
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = [row(epsilon, *schedule) for schedule in AUDITED for epsilon in EPSILONS]
    print(pd.DataFrame(rows).to_markdown(index=False, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
