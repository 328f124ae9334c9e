"""What the claims are about: weights and gradients late in training, shares near the best, steps to enough, leads."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from claim_tables import NARROW, WIDE, curves, only, sweep

from psasc_bench.analysis import metrics

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


def test_accuracy_of_a_run_that_has_not_finished_is_none() -> None:
    table = curves(dp_sgd=[[0.5], [0.6], [0.7]]).assign(status=["done", "diverged", "stale"])
    assert metrics.accuracies(table)["value"].to_list() == pytest.approx([0.5, math.nan, math.nan], nan_ok=True)


@pytest.mark.parametrize(("quarter", "mean"), [(None, 4.5), (0, 1.5), (1, 3.5), (2, 5.5), (3, 7.5)])
def test_curve_is_averaged_over_all_epochs_or_a_quarter(quarter: int | None, mean: float) -> None:
    table = curves(dp_sgd=[[1, 2, 3, 4, 5, 6, 7, 8]])
    assert metrics.curve_means(table.sample(frac=1, random_state=0), quarter)["value"].to_list() == [mean]


def test_every_epoch_is_in_one_quarter() -> None:
    """Ten epochs, which four do not divide: 2, 3, 2 and 3."""
    quarters = [metrics.curve_means(curves(a=[list(range(1, 11))]), quarter)["value"][0] for quarter in range(4)]
    assert quarters == [1.5, 4, 6.5, 9]


def test_curve_of_a_diverged_run_is_none() -> None:
    assert metrics.curve_means(curves(dp_sgd=[[0.5]]).assign(status="diverged")).empty


def test_lead_ends_where_the_mean_over_seeds_is_last_ahead() -> None:
    """Ahead by .1, -.1, 0, 0 and by .1, .3, -.2, 0: on the mean until the second of four epochs."""
    table = curves(a=[[0.6, 0.4, 0.5, 0.5], [0.6, 0.8, 0.3, 0.5]], b=[[0.5] * 4] * 2)
    assert metrics.last_crossing(table, "a", "b").to_dict() == {"digits": 0.5}
    assert metrics.last_crossing(table, "b", "a").to_dict() == {"digits": 0.75}
    assert metrics.last_crossing(table, "a", "c").empty


def test_lead_is_over_the_seeds_that_both_have() -> None:
    table = curves(a=[[0.6, 0.4], [0.0, 0.9]], b=[[0.5] * 2])
    assert metrics.last_crossing(table, "a", "b").to_dict() == {"digits": 0.5}
    same = metrics.last_crossing(curves(a=[[0.5]], b=[[0.5]]), "a", "b")
    assert math.isnan(same["digits"])


def test_lead_is_by_data_set() -> None:
    table = pd.concat(
        [curves(a=[[0.6, 0.4]], b=[[0.5] * 2]), curves(a=[[0.6, 0.6]], b=[[0.5] * 2]).assign(dataset="x")]
    )
    assert metrics.last_crossing(table, "a", "b").to_dict() == {"digits": 0.5, "x": 1.0}
