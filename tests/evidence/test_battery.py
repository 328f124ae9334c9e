"""The battery passes what is sound, and fails every bad method by the check that is to catch it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import torch
from bad_methods import BAD
from planted import SOUND
from torch import Tensor

from psasc_bench import methods
from psasc_bench.evidence import battery
from psasc_bench.evidence.battery import Check
from psasc_bench.methods import Method
from psasc_bench.methods.dp_sgd import DPSGD
from psasc_bench.methods.noise_only import NoiseOnly
from psasc_bench.methods.nonprivate import NonPrivate
from psasc_bench.study import load_study

STUDY = load_study(Path(__file__).parents[2] / "config" / "config.yaml")


def failures(method: Method, *names: str) -> list[str]:
    return [str(check) for check in battery.check_method(method, names=names) if not check.passed]


@pytest.mark.parametrize("name", STUDY.methods)
def test_every_method_of_the_default_study_passes_the_battery(name: str) -> None:
    assert failures(STUDY.method(next(iter(STUDY.datasets)), name)) == []


@pytest.mark.parametrize(("method", "check"), BAD.values(), ids=list(BAD))
def test_bad_method_fails(method: Method, check: str) -> None:
    assert failures(method, check)


def test_method_from_a_file_passes_the_battery(tmp_path: Path) -> None:
    source = Path(methods.__file__).with_name("auto_s.py").read_text(encoding="utf-8")
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    assert failures(methods.from_file(tmp_path / "mine.py")(C=2.0)) == []


def test_ordinary_sgd_is_only_asked_what_makes_sense_without_privacy() -> None:
    asked = {check.name for check in battery.check_method(NonPrivate())}
    assert {"own contribution", "noise refused"} <= asked
    assert asked.isdisjoint({"supremum", "sharpness", "neighbours", "noise scale"})


def test_noise_without_signal_need_not_be_sharp() -> None:
    assert "sharpness" not in {
        check.name for check in battery.check_method(NoiseOnly(C=1.0), names=["supremum", "sharpness"])
    }


@dataclass(frozen=True, kw_only=True)
class Unbounded(DPSGD):
    """A method, not a control, that promises nothing."""

    def sensitivity(self) -> float:
        return math.inf


def test_unbounded_sensitivity_fails_unless_it_is_that_of_a_control() -> None:
    assert failures(Unbounded(C=1.0), "supremum")


@dataclass(frozen=True, kw_only=True)
class Timid(DPSGD):
    """Claims twice the sensitivity it has."""

    def sensitivity(self) -> float:
        return 2 * self.C


def test_noise_for_nothing_fails() -> None:
    assert failures(Timid(C=1.0), "supremum") == []
    assert failures(Timid(C=1.0), "sharpness")


@dataclass(frozen=True, kw_only=True)
class Spike(DPSGD):
    """Too large by a hundred-thousandth, between norms 2 and 2.01 only."""

    def weight(self, norm: Tensor) -> Tensor:
        return super().weight(norm) * (1 + 1e-5 * ((norm > 2) & (norm < 2.01)))


def test_narrow_excess_of_the_supremum_fails() -> None:
    assert failures(Spike(C=1.0), "supremum")


@dataclass(frozen=True, kw_only=True)
class Normalised(DPSGD):
    """``C/x``: infinite at 0."""

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / norm


def test_infinite_weight_fails() -> None:
    assert failures(Normalised(C=1.0), "finite weights")


def test_weight_that_is_no_number_at_norm_0_is_told_first() -> None:
    check, *_ = battery.check_method(BAD["infinite at zero"][0])
    assert (check.name, check.passed) == ("supremum", False)
    assert check.detail.startswith("ValueError: weight is inf at norm 0")


def test_what_is_computed_once_of_the_settings_is_no_memory() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Halved(DPSGD):
        @cached_property
        def half(self) -> float:
            return self.C / 2

        def weight(self, norm: Tensor) -> Tensor:
            return 2 * self.half / norm.clamp(min=2 * self.half)

    assert failures(Halved(C=0.1), "no memory", "supremum") == []


def test_method_that_has_been_used_is_checked_as_a_new_one() -> None:
    method, check = BAD["calibrated on the first batch"]
    for _ in range(2):
        assert failures(method, check)
        method.weight(torch.ones(3))


def test_raising_check_fails_with_the_error_as_its_detail() -> None:
    class Broken(DPSGD):
        def weight(self, _: Tensor) -> Tensor:
            raise RuntimeError("no weight today")

    check = battery.check_method(Broken(C=1.0), names=["supremum"])[0]
    assert not check.passed
    assert check.detail == "RuntimeError: no weight today"


def test_unknown_check_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no check 'supermum'; there are: supremum, sharpness"):
        battery.check_method(SOUND, names=["supermum"])


def test_figure_that_is_not_a_number_fails() -> None:
    assert not Check("", math.nan, "<=", 1, "").passed
    assert not Check("", math.nan, ">=", 1, "").passed


def test_check_is_one_line_with_verdict_figure_and_limit() -> None:
    line = str(Check("supremum", 2.0, "<=", 1.0, "what it is"))
    assert line.split() == ["FAIL", "supremum", "2", "<=", "1", "what", "it", "is"]
    assert "\n" not in "".join(str(check) for check in battery.check_method(SOUND, names=["supremum", "neighbours"]))
