"""The weight functions against exact arithmetic, explicit per-example loops and the mistakes that others have made."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from psasc_bench import methods, models
from psasc_bench.data.dataset import Dataset
from psasc_bench.engine.gradients import GradientBooks
from psasc_bench.methods.base import Method
from psasc_bench.methods.dp_psac import DPPSAC
from psasc_bench.methods.dp_psasc import DPPSASC

PACKAGE = Path(methods.__file__).parent.parent
CONTRACT = {field.name for field in fields(Method)}  # what every method has: iterates and decay
CONTESTANTS = [name for name in methods.names() if not methods.load(name).control]
EXTREMES = (0.0, 1e-30, 1e-6, 0.1, 1.0, 1e3, 1e30)

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


# ---------------------------------------------------------------------------------------------------- the weights


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("name", sorted(EXACT))
def test_weight_is_the_formula_at_extreme_norms(name: str, dtype: torch.dtype, tolerance: float) -> None:
    # at most six roundings of half a unit in the last place each: 6 * 2^-24 is 4e-7, 6 * 2^-53 is 7e-16
    x = torch.tensor(EXTREMES, dtype=dtype)
    weights = example(name).weight(x)
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.double(), exactly(name, x, example(name)), rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", methods.names())
def test_weights_are_finite_and_not_negative_whatever_the_norm(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        weights = example(name).weight(norms(dtype=dtype))
        assert bool(weights.isfinite().all())
        assert bool((weights >= 0).all())


@pytest.mark.parametrize("name", methods.names())
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


@pytest.mark.parametrize("name", [name for name in methods.names() if methods.load(name).blind])
def test_blind_method_has_no_weight_for_any_norm(name: str) -> None:
    assert supremum(example(name).weight) == 0


@given(C=positive, r=positive)
def test_dp_psasc_with_s_one_is_dp_psac_bit_for_bit(C: float, r: float) -> None:
    psac, psasc = DPPSAC(C=C, r=r), DPPSASC(C=C, s=1, r=r)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(psac.weight(norms(dtype=dtype)), psasc.weight(norms(dtype=dtype)))
    assert psac.sensitivity() == psasc.sensitivity()


# ----------------------------------------------------------------------------------------- closed forms of DP-PSASC


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


def test_auto_s_lifts_vanishing_gradients_a_hundredfold() -> None:
    assert float(methods.create("auto-s", {"C": 1.0}).weight(torch.zeros(1))) == pytest.approx(100, rel=1e-6)


# ----------------------------------------------------------------------------------------- mistakes seen elsewhere

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


# --------------------------------------------------------------------------------------------------- the sum itself


@pytest.mark.parametrize("name", methods.names())
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


# --------------------------------------------------------------------------------------------------- hyper-parameters

BAD = [math.nan, math.inf, -math.inf, 0, 0.0, -1.0, True, "1", None, [1.0]]


@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize(("name", "key"), [(n, f.name) for n in methods.names() for f in fields(methods.load(n))])
def test_bad_hyperparameter_is_refused_by_name(name: str, key: str, value: object) -> None:
    good = methods.parameters(example(name))
    with pytest.raises(ValueError, match=rf"{name}.*\b{key}\b"):
        methods.create(name, good | {key: value})


@pytest.mark.parametrize("name", methods.names())
def test_unknown_hyperparameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*'threshold'"):
        methods.create(name, methods.parameters(example(name)) | {"threshold": 1.0})


@pytest.mark.parametrize("name", CONTESTANTS)
def test_missing_hyperparameter_is_refused_by_name(name: str) -> None:
    required = [f.name for f in fields(methods.load(name)) if f.default is MISSING]
    for key in required:
        with pytest.raises(ValueError, match=rf"{name}.*'{key}'"):
            methods.create(name, {other: 1.0 for other in required if other != key})


def test_half_an_iterate_is_refused() -> None:
    with pytest.raises(ValueError, match="iterates"):
        methods.create("dp-sgd", {"C": 1.0, "iterates": 1.5})


def test_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'dp-psax'.*dp-psasc"):
        methods.load("dp-psax")


def test_hyperparameters_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        example("dp-sgd").C = 2.0  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------------- discovery

NEWCOMER = '''\
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Newcomer(Method):
    """``w(x) = C/(x + 1)``."""

    title = "newcomer"

    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + 1)

    def sensitivity(self) -> float:
        return self.C
'''
CHILD = '''\
from dataclasses import dataclass

from psasc_bench.methods.dp_psasc import DPPSASC


@dataclass(frozen=True, kw_only=True)
class Child(DPPSASC):
    """As its parent, but inner momentum is on."""

    title = "child"

    iterates: int = 2
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be changed at will; ``fingerprints`` imports it in a process of its own."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=ignored))


def fingerprints(copy: Path) -> dict[str, str]:
    code = (
        "import json; from psasc_bench import methods as m; "
        "print(json.dumps({n: m.fingerprint(m.load(n)) for n in m.names()}))"
    )
    # -B: bytecode stamped to the second must not hide a change made within it
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=copy.parent, capture_output=True, check=True)
    return json.loads(done.stdout)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_dropped_in_file_is_found_without_editing_another(copy: Path) -> None:
    before = fingerprints(copy)
    (copy / "methods" / "new_comer.py").write_text(NEWCOMER, encoding="utf-8")
    assert changed(before, fingerprints(copy)) == {"new-comer"}


def test_editing_a_method_changes_its_fingerprint_and_no_other(copy: Path) -> None:
    before = fingerprints(copy)
    assert before == fingerprints(copy)
    file = copy / "methods" / "auto_s.py"
    source = file.read_text(encoding="utf-8")
    file.write_text(source.replace("norm + self.gamma", "norm - self.gamma"), encoding="utf-8")
    assert changed(before, fingerprints(copy)) == {"auto-s"}


def test_editing_a_parent_changes_the_fingerprint_of_its_child(copy: Path) -> None:
    (copy / "methods" / "child.py").write_text(CHILD, encoding="utf-8")
    before = fingerprints(copy)
    file = copy / "methods" / "dp_psasc.py"
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    family = {"dp-psasc", "dp-psasc-inner", "child"}
    assert changed(before, fingerprints(copy)) == family


def test_fingerprints_of_unlike_methods_differ() -> None:
    prints = {methods.fingerprint(methods.load(name)) for name in methods.names()}
    assert len(prints) == len(methods.names())


@pytest.mark.parametrize("header", ["", "from __future__ import annotations\n\n"], ids=["plain", "postponed"])
def test_method_comes_from_a_file_anywhere(header: str, tmp_path: Path) -> None:
    (tmp_path / "newcomer.py").write_text(header + NEWCOMER, encoding="utf-8")
    cls = methods.from_file(tmp_path / "newcomer.py")
    assert cls(C=3.0).sensitivity() == 3.0  # type: ignore[call-arg]
    assert len(methods.fingerprint(cls)) == 16


def test_child_in_a_file_is_one_method_though_its_parent_is_imported(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    assert methods.from_file(tmp_path / "child.py").title == "child"


@pytest.mark.parametrize("source", ["", NEWCOMER + NEWCOMER.replace("Newcomer", "Other")], ids=["none", "two"])
def test_file_without_exactly_one_method_is_refused(source: str, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(source, encoding="utf-8")
    with pytest.raises(ValueError, match=r"odd\.py.*exactly one"):
        methods.from_file(tmp_path / "odd.py")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.py"):
        methods.from_file(tmp_path / "absent.py")


def test_methods_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from psasc_bench import methods as m; [m.load(n) for n in m.names()]; "
        "sys.exit('torch' in sys.modules or 'opacus' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", methods.names())
def test_docstring_has_the_formula_and_its_standing(name: str) -> None:
    text = methods.load(name).__doc__ or ""
    assert "w(x)" in text
    assert "arXiv" in text or "control" in text


def test_titles_are_unlike() -> None:
    assert len({methods.load(name).title for name in methods.names()}) == len(methods.names())
