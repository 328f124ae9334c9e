"""DP-PSASC's weight: its closed forms, and the mistakes that others have made."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from formulas import agrees, norms, positive, supremum
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from psasc_bench.methods import Method
from psasc_bench.methods.dp_psac import DPPSAC
from psasc_bench.methods.dp_psasc import DPPSASC


@given(C=positive, r=positive)
def test_dp_psasc_with_s_one_is_dp_psac_bit_for_bit(C: float, r: float) -> None:
    psac, psasc = DPPSAC(C=C, r=r), DPPSASC(C=C, s=1, r=r)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(psac.weight(norms(dtype=dtype)), psasc.weight(norms(dtype=dtype)))
    assert psac.sensitivity() == psasc.sensitivity()


# --------------------------------------------------------------------------------------------- closed forms of DP-PSASC


def peak(method: Method, near: float) -> tuple[float, float]:
    """Where the weight is largest, and how large, by looking: a grid of relative step 1e-5 from 0 to 10 * near."""
    x = torch.linspace(0, 10 * near, 1_000_001, dtype=torch.float64)
    weights = method.weight(x)
    return float(x[weights.argmax()]), float(weights.max())


@pytest.mark.parametrize(
    ("r", "s", "place", "weight"),
    [
        (0.1, 1, 0.216, 1.878),
        (0.01, 1, 0.090, 5.263),
        (0.1, 2, 0.124, 1.44),
        (0.01, 2, 0.061, 3.80),
        (0.1, 0.5, 0.347, 2.52),
    ],
)
def test_peaks_are_where_they_were_worked_out_to_be(r: float, s: float, place: float, weight: float) -> None:
    found = peak(DPPSASC(C=1, s=s, r=r), near=place)
    # half a unit in the last digit printed, of the coarsest
    assert found[0] == pytest.approx(place, abs=5e-4)
    assert found[1] == pytest.approx(weight, abs=5e-3)


@given(s=st.floats(0.1, 10), share=st.floats(0.01, 0.9))
def test_peak_has_its_closed_form(s: float, share: float) -> None:
    r = share / s  # below 1/s: the peak is inside
    place, weight = math.sqrt(r / s) - r, 1 / (2 * math.sqrt(r * s) - r * s)
    found = peak(DPPSASC(C=1, s=s, r=r), near=place)
    # flat at the top: the place is good to the grid's step, the weight far better
    assert found[0] == pytest.approx(place, rel=1e-4)
    assert found[1] == pytest.approx(weight, rel=1e-8)


@given(s=st.floats(0.1, 10), ratio=st.floats(0.1, 10).filter(lambda ratio: abs(ratio - 1) > 0.05))
def test_weight_is_non_monotone_just_where_r_is_below_one_over_s(s: float, ratio: float) -> None:
    r = ratio / s
    x = torch.linspace(0, 5 / s, 100_001, dtype=torch.float64)
    weights = DPPSASC(C=1, s=s, r=r).weight(x)
    rises = bool((weights[1:] > weights[:-1] * (1 + 1e-12)).any())
    assert rises == (r < 1 / s)


@given(C=positive, s=positive, r=positive)
def test_weight_depends_on_c_over_s_and_r_over_s(C: float, s: float, r: float) -> None:
    x = norms()
    rewritten = (C / s) / (x + (r / s) / (x + r))
    torch.testing.assert_close(DPPSASC(C=C, s=s, r=r).weight(x), rewritten, rtol=1e-13, atol=0)


def test_c_scales_signal_and_noise_alike() -> None:
    one, ten = DPPSASC(C=1, s=2, r=0.1), DPPSASC(C=10, s=2, r=0.1)
    torch.testing.assert_close(ten.weight(norms()), 10 * one.weight(norms()), rtol=1e-15, atol=0)
    assert ten.sensitivity() == 10 * one.sensitivity()


@given(C=positive, s=positive, r=positive)
def test_vanishing_gradients_get_weight_c(C: float, s: float, r: float) -> None:
    assert float(DPPSASC(C=C, s=s, r=r).weight(torch.zeros(1, dtype=torch.float64))) == pytest.approx(C, rel=1e-15)


# ---------------------------------------------------------------------------------------------- mistakes seen elsewhere


MISTAKES: dict[str, Callable[[Tensor, float, float, float], Tensor]] = {
    "mis-parenthesised": lambda x, C, s, r: C / (s * x + (r / x + r)),
    "factor applied twice": lambda x, C, s, r: (C / (s * x + r / (x + r))) ** 2,
    "monotone": lambda x, C, s, r: C / (s * x + r),
    "s forgotten": lambda x, C, s, r: C / (x + r / (x + r)),  # noqa: ARG005
    "s on the whole denominator": lambda x, C, s, r: C / (s * (x + r / (x + r))),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_weights_are_told_from_the_right_one(mistake: str) -> None:
    method = DPPSASC(C=0.5, s=0.5, r=0.1)
    assert agrees(method.weight, "dp-psasc", method)
    assert not agrees(lambda x: MISTAKES[mistake](x, method.C, method.s, method.r), "dp-psasc", method)


@pytest.mark.parametrize("s", [0.5, 2.0])
def test_noise_for_c_in_place_of_c_over_s_is_told_from_the_right_one(s: float) -> None:
    method = DPPSASC(C=1, s=s, r=0.1)
    assert supremum(method.weight) == pytest.approx(method.sensitivity(), rel=1e-3)
    assert supremum(method.weight) != pytest.approx(method.C, rel=1e-3)
