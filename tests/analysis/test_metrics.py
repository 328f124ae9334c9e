"""What the claims are about: weights and gradients late in training, shares near the best, steps to enough accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from claim_tables import AHEAD, NARROW, SGD, WIDE, curves, deviation, late, only, runs, sweep
from scipy import stats

from psasc_bench.analysis import metrics


def test_only_late_gradients_count_along_a_shared_trajectory() -> None:
    table = deviation(dp_sgd=late(early=0.9, end=SGD), dp_psasc=late(early=0.1, end=AHEAD))
    row = only("C3", {"deviation": table, "curves": curves(dp_sgd=[[0.1]])})
    assert row["estimate"] == pytest.approx(0.03)
    assert row["verdict"] == "supported"
    assert row["evidence"].startswith("+0.030 in cosine along the path of dp-sgd [")
    assert row["evidence"].endswith("25% of the examples below the norm at which dp-psasc weighs most")


MEASURES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "quarter_weight": metrics.small_gradient_shares,
    "effective_sample_size": metrics.effective_sample_sizes,
    "released_cosine": metrics.released_cosines,
}


@pytest.mark.parametrize("column", MEASURES)
def test_late_training_is_what_was_measured_in_the_last_quarter_of_the_epochs(column: str) -> None:
    """Of measurements at epochs 1, 12, 30, 31 and 40 the last two, by run; the value of another column is another's."""
    run = {"dataset": "digits", "epsilon": 3.0, "trajectory": "dp-sgd"}
    values = {
        ("dp-psasc", 0): [9, 9, 9, 0.2, 0.4],
        ("dp-psasc", 1): [9, 9, 9, 0.5, 0.7],
        ("dp-sgd", 0): [0, 0, 0, 0, 1],
    }
    table = pd.DataFrame(
        run | {"method": method, "seed": seed, "epoch": epoch, **dict.fromkeys(MEASURES, -1.0), column: value}
        for (method, seed), measured in values.items()
        for epoch, value in zip([1, 12, 30, 31, 40], measured, strict=True)
    )
    found = MEASURES[column](table.sample(frac=1, random_state=0))
    assert set(found) == {*metrics.RUN, "trajectory", "value"}
    means = found.set_index(["method", "seed"])["value"].to_dict()
    assert means == pytest.approx({("dp-psasc", 0): 0.3, ("dp-psasc", 1): 0.6, ("dp-sgd", 0): 0.5})
    assert len(MEASURES[column](table.drop(columns="trajectory"))) == 3


def test_trajectories_and_budgets_are_averaged_by_themselves() -> None:
    """One of four epochs, one of eight: the last quarter of each."""
    short = [{"trajectory": "dp-sgd", "epsilon": 1.0, "epoch": e, "released_cosine": float(e)} for e in (1, 2, 3, 4)]
    long = [{"trajectory": "auto-s", "epsilon": 1.0, "epoch": e, "released_cosine": float(e)} for e in (1, 4, 7, 8)]
    other = [{"trajectory": "dp-sgd", "epsilon": 3.0, "epoch": e, "released_cosine": -float(e)} for e in (1, 2, 3, 4)]
    table = pd.DataFrame([*short, *long, *other]).assign(dataset="digits", method="dp-sgd", seed=0)
    found = metrics.released_cosines(table).set_index(["trajectory", "epsilon"])["value"].to_dict()
    assert found == {("dp-sgd", 1.0): 4, ("auto-s", 1.0): 7.5, ("dp-sgd", 3.0): -4}


def test_share_of_the_grid_within_a_point_of_the_methods_own_best() -> None:
    row = only("C4", {"sweeps": sweep(dp_sgd=NARROW, dp_psasc=WIDE)})
    assert (row["estimate"], row["n"]) == (50, 3)
    assert "dp-psasc has 92% of 4 settings within a point of its best" in row["evidence"]
    assert "dp-sgd has 42% of 4 settings" in row["evidence"]


def test_diverged_setting_is_not_near_the_best() -> None:
    diverged = [[*row[:3], math.nan] for row in WIDE]
    assert only("C4", {"sweeps": sweep(dp_sgd=NARROW, dp_psasc=diverged)})["estimate"] == pytest.approx(
        100 * (1 + 1 + 2) / 12
    )


def test_seed_with_an_incomplete_grid_is_left_out() -> None:
    table = sweep(dp_sgd=NARROW, dp_psasc=WIDE)
    table.loc[(table["method"] == "dp-psasc") & (table["seed"] == 2) & (table["learning_rate"] == 3), "status"] = (
        "stale"
    )
    assert only("C4", {"sweeps": table})["n"] == 2


def test_steps_to_95_percent_of_the_final_accuracy() -> None:
    """Of .8, that is .76, first seen after 30, 40 and 40 steps without inner momentum and 20, 20 and 10 with it."""
    plain = [[0.2, 0.5, 0.77, 0.8], [0.2, 0.5, 0.75, 0.8], [0.2, 0.5, 0.75, 0.8]]
    inner = [[0.2, 0.77, 0.75, 0.8], [0.2, 0.76, 0.8, 0.8], [0.8, 0.8, 0.8, 0.8]]
    row = only("C5", {"curves": curves(dp_psasc=plain, dp_psasc_inner=inner), "runs": runs(dp_psasc=SGD)})
    assert (row["method"], row["reference"], row["estimate"]) == ("dp-psasc-inner", "dp-psasc", 20)
    assert row["p_holm"] == pytest.approx(stats.ttest_rel([30, 40, 40], [20, 20, 10]).pvalue)
    assert row["evidence"].startswith("+20 steps saved [")
