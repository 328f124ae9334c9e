"""The formulas of the weights, written down a second time for exact arithmetic, and what to hold them against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from fractions import Fraction

import torch
from hypothesis import strategies as st
from shipped_methods import SHIPPED
from torch import Tensor

from psasc_bench import methods
from psasc_bench.methods import Method

CONTRACT = {field.name for field in fields(Method)}  # what every method has: iterates and decay
CONTESTANTS = [name for name in SHIPPED if not methods.load(name).control]
# The formulas of method.md's table, written down a second time for exact arithmetic; x > 0 where the formula needs it.
EXACT: dict[str, Callable[..., Fraction]] = {
    "auto-s": lambda x, C, gamma: C / (x + gamma),
    "dp-psac": lambda x, C, r: C / (x + r / (x + r)),
    "dp-psasc": lambda x, C, s, r: C / (s * x + r / (x + r)),
    "dp-psasc-inner": lambda x, C, s, r: C / (s * x + r / (x + r)),
    "dp-sgd": lambda x, C: min(Fraction(1), C / x) if x else Fraction(1),
    "nsgd": lambda x, C, r: C / (x + r),
    "noise-only": lambda x, C: Fraction(0),  # noqa: ARG005
    "nonprivate": lambda x: Fraction(1),  # noqa: ARG005
}


positive = st.floats(1e-3, 1e3)


def hyperparameters(name: str) -> list[str]:
    return [field.name for field in fields(methods.load(name)) if field.name not in CONTRACT]


def example(name: str, value: float = 0.25) -> Method:
    """An instance with the same value for each hyper-parameter that has no default."""
    required = [f.name for f in fields(methods.load(name)) if f.default is MISSING]
    return methods.create(name, dict.fromkeys(required, value))


def norms(*, dtype: torch.dtype = torch.float64) -> Tensor:
    """0, and 600 norms from 1e-30 to 1e30."""
    return torch.cat([torch.zeros(1, dtype=dtype), torch.logspace(-30, 30, 600, dtype=dtype)])


def exactly(name: str, x: Tensor, method: Method) -> Tensor:
    values = {key: Fraction(getattr(method, key)) for key in hyperparameters(name)}
    return torch.tensor([float(EXACT[name](Fraction(float(value)), **values)) for value in x], dtype=torch.float64)


def agrees(weight: Callable[[Tensor], Tensor], name: str, method: Method) -> bool:
    """Whether ``weight`` is the formula of ``name`` at all norms. A handful of float64 roundings: 1e-14."""
    x = norms()
    return torch.allclose(weight(x), exactly(name, x, method), rtol=1e-14, atol=0)


def supremum(weight: Callable[[Tensor], Tensor]) -> float:
    return float((norms() * weight(norms())).max())
