"""The norm at which a weight peaks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psasc_bench import methods


@given(r=st.floats(1e-4, 1), s=st.floats(0.1, 10))
def test_peak_has_its_closed_form(r: float, s: float) -> None:
    """``sqrt(r/s) - r``, or nowhere for ``r >= 1/s``: the derivative of ``s x + r/(x + r)`` vanishes there."""
    closed = max(math.sqrt(r / s) - r, 0.0)
    peak = methods.create("dp-psasc", {"C": 0.3, "s": s, "r": r}).peak()
    assert peak == pytest.approx(closed, rel=1e-4, abs=1e-5)
    if s * r > 1:
        assert peak == 0


def test_peak_of_dp_psac_has_its_closed_form() -> None:
    assert methods.create("dp-psac", {"C": 0.3, "r": 0.1}).peak() == pytest.approx(math.sqrt(0.1) - 0.1, rel=1e-4)


@pytest.mark.parametrize("name", ["dp-sgd", "auto-s", "nsgd", "nonprivate", "noise-only"])
def test_weight_that_never_rises_has_its_peak_at_zero(name: str) -> None:
    given = {"C": 0.1, "r": 0.1}
    known = methods.load(name).__dataclass_fields__
    assert methods.create(name, {key: value for key, value in given.items() if key in known}).peak() == 0
