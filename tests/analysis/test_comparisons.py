"""A comparison of two methods: the numbers that decide it, and the sentence that says them."""

from __future__ import annotations

import math

import pytest
from claim_tables import AHEAD, P_AHEAD, SGD, only, study


def test_finding_has_the_numbers_that_decide_it() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=AHEAD))
    half = 4.302653 * 1 / math.sqrt(3)
    assert row[["dataset", "epsilon", "method", "reference", "n"]].to_list() == ["digits", 3, "dp-psasc", "dp-sgd", 3]
    assert row[["estimate", "low", "high"]].to_list() == pytest.approx([3, 3 - half, 3 + half], rel=1e-6)
    assert row["p_holm"] == pytest.approx(P_AHEAD)
    assert row["evidence"] == "+3.00 points [+0.52, +5.48] in 3 pairs, p 0.035"


def test_inconclusive_accuracy_says_how_many_seeds_it_takes() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=[0.52, 0.60, 0.68]))
    # sd .02, so d = .15 at .3 points, which takes G*Power 351 pairs
    assert row["evidence"].endswith("to see 0.3 points takes 351 seeds")


def test_difference_that_is_significant_and_negligible_is_said_to_be_both() -> None:
    ours = [0.5004, 0.6005, 0.7006]  # .05 points ahead, give or take a hundredth
    row = only("C1", study(dp_sgd=SGD, dp_psasc=ours))
    assert row["verdict"] == "supported"
    assert row["evidence"].endswith("in 3 pairs, p 0.013; yet within the margin of a tie, p <.001")


def test_one_pair_decides_nothing() -> None:
    row = only("C1", study(dp_sgd=[0.5], dp_psasc=[0.6]))
    assert (row["verdict"], row["evidence"]) == ("inconclusive", "+10.00 points in the one pair")
    assert row[["low", "high", "p_holm"]].isna().all()


def test_equal_differences_decide_nothing() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=SGD))
    assert (row["verdict"], row["evidence"]) == (
        "inconclusive",
        "+0.00 points in each of 3 pairs, which no t-test can judge",
    )


def test_runs_that_are_missing_leave_the_claim_untested() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=[math.nan] * 3))
    assert (row["verdict"], row["n"]) == ("not tested", 0)
    assert row["evidence"] == "no pair of finished runs"
