"""Random search: what is drawn, and from what nothing can be."""

from __future__ import annotations

import math
import random

import pytest

from psasc_bench.study.search import draw

STEP, R = (0.01, 1.0), (0.001, 1.0)


def test_value_is_the_range_to_the_power_of_a_uniform_number_in_three_digits() -> None:
    uniform = random.Random("step/0.01/1.0/0").random()
    (found,) = draw({"step": STEP}, 1, part=0)
    assert found["step"] == pytest.approx(0.01 * 100**uniform, rel=0.005)
    assert found["step"] == float(f"{found['step']:.3g}")


def test_values_are_spread_evenly_on_a_log_scale() -> None:
    """Of 800, the standard deviation of a quarter's share is 0.015."""
    logs = [math.log10(one["r"]) for one in draw({"r": (1e-3, 1e3), "step": STEP}, 800, part=0)]
    assert -3 <= min(logs) <= max(logs) <= 3
    for quarter in (-3, -1.5, 0, 1.5):
        assert sum(quarter <= log < quarter + 1.5 for log in logs) / 800 == pytest.approx(0.25, abs=0.06)


def test_more_trials_begin_with_those_of_fewer() -> None:
    assert draw({"step": STEP, "r": R}, 9, part=0)[:4] == draw({"step": STEP, "r": R}, 4, part=0)


def test_methods_try_the_same_values_of_a_range_that_they_share() -> None:
    one, other = draw({"step": STEP, "r": R}, 9, part=0), draw({"s": (0.5, 2.0), "step": STEP}, 9, part=0)
    assert [point["step"] for point in one] == [point["step"] for point in other]
    assert [point["step"] for point in one] != [point["r"] for point in one]


def test_another_search_of_the_same_range_draws_others() -> None:
    first = draw({"step": STEP}, 9, part=0)
    second = draw({"step": STEP}, 9, part=1, others=first)
    assert not [point for point in second if point in first]


def test_single_value_is_kept_as_it_is() -> None:
    assert {point["C"] for point in draw({"C": (0.1,), "step": STEP}, 9, part=0)} == {0.1}


def test_no_trial_is_drawn_twice() -> None:
    """Of the 91 values of two digits that the range holds; without care, some of 80 draws would be alike."""
    found = [point["step"] for point in draw({"step": (1.0, 1.9)}, 80, part=0)]
    assert len(set(found)) == 80


@pytest.mark.parametrize(
    ("ranges", "trials", "problem"),
    [
        ({"r": (0.1, 0.5, 1.0)}, 2, r"r: a range to draw from is \[low, high\], got \[0\.1, 0\.5, 1\.0\]"),
        ({"r": (1.0, 0.1)}, 2, r"r: a range to draw from is \[low, high\], got \[1\.0, 0\.1\]"),
        ({"r": (0.1234, 1.0)}, 2, "r: a range has ends of at most 3 significant digits, got 0.1234"),
        ({"C": (0.1,)}, 2, "these ranges hold too few values of 3 digits for 2 trials; widen them"),
        ({"r": (1.0, 1.02)}, 4, "these ranges hold too few values of 3 digits for 4 trials; widen them"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(ranges: dict[str, tuple[float, ...]], trials: int, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        draw(ranges, trials, part=0)
