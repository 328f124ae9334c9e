"""The weight functions against exact arithmetic and explicit per-example loops."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from formulas import CONTESTANTS, exactly, example, hyperparameters, norms, positive, supremum
from hypothesis import given
from hypothesis import strategies as st
from shipped_methods import SHIPPED

from psasc_bench import methods, models
from psasc_bench.data import Dataset
from psasc_bench.engine import GradientBooks

EXTREMES = (0.0, 1e-30, 1e-6, 0.1, 1.0, 1e3, 1e30)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("name", SHIPPED)
def test_weight_is_the_formula_at_extreme_norms(name: str, dtype: torch.dtype, tolerance: float) -> None:
    # at most six roundings of half a unit in the last place each: 6 * 2^-24 is 4e-7, 6 * 2^-53 is 7e-16
    x = torch.tensor(EXTREMES, dtype=dtype)
    weights = example(name).weight(x)
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.double(), exactly(name, x, example(name)), rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_are_finite_and_not_negative_whatever_the_norm(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        weights = example(name).weight(norms(dtype=dtype))
        assert bool(weights.isfinite().all())
        assert bool((weights >= 0).all())


@pytest.mark.parametrize("name", SHIPPED)
def test_no_norms_have_no_weights(name: str) -> None:
    assert example(name).weight(torch.zeros(0)).shape == (0,)


@pytest.mark.parametrize("name", CONTESTANTS)
@given(data=st.data())
def test_sensitivity_is_the_supremum_of_the_scaled_norm(name: str, data: st.DataObject) -> None:
    method = methods.create(name, {key: data.draw(positive, label=key) for key in hyperparameters(name)})
    reached = supremum(method.weight)
    # from above: a bound, but for rounding; from below: no more noise than the bound needs, at norms up to 1e30
    assert reached <= method.sensitivity() * (1 + 1e-6)
    assert reached >= method.sensitivity() * 0.999


def test_the_controls_declare_what_they_are() -> None:
    assert methods.load("noise-only").control
    assert methods.load("nonprivate").control
    assert supremum(example("noise-only").weight) == 0
    assert example("nonprivate").sensitivity() == math.inf


@pytest.mark.parametrize("name", [name for name in SHIPPED if methods.load(name).blind])
def test_blind_method_has_no_weight_for_any_norm(name: str) -> None:
    assert supremum(example(name).weight) == 0


def test_auto_s_lifts_vanishing_gradients_a_hundredfold() -> None:
    assert float(methods.create("auto-s", {"C": 1.0}).weight(torch.zeros(1))) == pytest.approx(100, rel=1e-6)


@pytest.mark.parametrize("name", SHIPPED)
def test_weighted_sum_equals_an_explicit_loop_over_examples(name: str, digits: Dataset) -> None:
    model = models.create("digits_cnn", seed=1).double()
    images = (torch.from_numpy(digits.x_train[:12]).double() - 8) / 8
    labels = torch.from_numpy(digits.y_train[:12])
    method = example(name, value=0.1)

    expected = [torch.zeros_like(p) for p in model.parameters()]
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.stack([g.square().sum() for g in gradient]).sum().sqrt()
        weight = method.weight(norm[None])
        expected = [e + weight * g for e, g in zip(expected, gradient, strict=True)]

    books = GradientBooks(model)
    books.record(F.cross_entropy(model(images), labels, reduction="none"), torch.ones(12, dtype=torch.float64))
    sums = books.weighted_sum(method.weight).sums
    for parameter, e in zip(model.parameters(), expected, strict=True):
        # float64 sums of a few thousand terms of order one, in another order
        torch.testing.assert_close(sums[parameter], e, rtol=1e-11, atol=1e-13)
