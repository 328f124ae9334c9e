"""How each claim is decided, held against hand-made tables: by what it is, and by what it is not."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from claim_tables import (
    AHEAD,
    NARROW,
    P_AHEAD,
    SGD,
    WIDE,
    audited,
    curves,
    deviation,
    found,
    late,
    momentum,
    only,
    runs,
    study,
    sweep,
)
from scipy import stats

# ------------------------------------------------------------------------------------------------ C1 and C2


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (AHEAD, "supported"),
        ([0.48, 0.57, 0.66], "not supported"),
        ([0.5001, 0.6, 0.6999], "not supported"),  # a tie
        ([0.52, 0.60, 0.68], "inconclusive"),
    ],
    ids=["ahead", "behind", "tied", "open"],
)
def test_accuracy_is_decided_against_dp_sgd(ours: list[float], verdict: str) -> None:
    assert only("C1", study(dp_sgd=SGD, dp_psasc=ours))["verdict"] == verdict


def test_both_with_and_without_inner_momentum_are_held_against_the_others() -> None:
    tables = study(dp_sgd=SGD, auto_s=SGD, dp_psasc=AHEAD, dp_psasc_inner=[0.48, 0.57, 0.66])
    for claim, reference in (("C1", "dp-sgd"), ("C2", "auto-s")):
        rows = found(claim, tables).set_index("method")
        assert rows["estimate"].to_dict() == pytest.approx({"dp-psasc": 3, "dp-psasc-inner": -3})
        assert set(rows["reference"]) == {reference}


def test_p_against_dp_sgd_is_corrected_for_all_contestants_of_the_study() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=AHEAD, auto_s=[0.52, 0.60, 0.68]))
    assert row["p_holm"] == pytest.approx(2 * P_AHEAD)
    assert row["verdict"] == "inconclusive"


def test_earlier_scalings_are_a_family_of_their_own() -> None:
    rows = found("C2", study(dp_sgd=[0.1, 0.2, 0.4], dp_psasc=AHEAD, auto_s=SGD, dp_psac=[0.5, 0.65, 0.7]))
    p = stats.ttest_rel(AHEAD, [0.5, 0.65, 0.7]).pvalue
    assert list(rows["reference"]) == ["auto-s", "dp-psac"]
    assert list(rows["p_holm"]) == pytest.approx([2 * P_AHEAD, max(2 * P_AHEAD, p)])


# ------------------------------------------------------------------------------------------------ C3


def test_trajectories_are_kept_apart() -> None:
    tables = [
        deviation(trajectory, dp_sgd=late(early=0, end=SGD), dp_psasc=late(early=0, end=ours))
        for trajectory, ours in (("dp-sgd", AHEAD), ("dp-psasc", [0.48, 0.57, 0.66]))
    ]
    rows = found("C3", {"deviation": pd.concat(tables), "curves": curves(dp_sgd=[[0.1]])})
    assert list(rows["estimate"]) == pytest.approx([0.03, -0.03])


def test_without_a_shared_trajectory_each_has_its_own() -> None:
    own = curves(dp_sgd=late(early=0, end=SGD), dp_psasc=late(early=0, end=AHEAD))
    row = only("C3", {"curves": own.rename(columns={"test_accuracy": "nonprivate_cosine"})})
    assert row["estimate"] == pytest.approx(0.03)
    assert "along the path of each" in row["evidence"]


# ------------------------------------------------------------------------------------------------ C4


def test_a_sweep_on_test_examples_says_nothing_of_tuning() -> None:
    table = sweep("grid", "test", dp_sgd=NARROW, dp_psasc=WIDE)
    assert only("C4", {"sweeps": table})["verdict"] == "not tested"


# ------------------------------------------------------------------------------------------------ C5


def test_diverged_curve_shows_no_convergence() -> None:
    table = curves(dp_psasc=[[0.8]], dp_psasc_inner=[[0.8]]).assign(status="diverged")
    assert only("C5", {"curves": table, "runs": runs(dp_psasc=SGD)})["verdict"] == "not tested"


def test_accuracy_with_inner_momentum_is_held_against_that_without() -> None:
    row = only("C5", study(dp_psasc=SGD, dp_psasc_inner=AHEAD) | {"curves": curves(dp_psasc=[[0.8]])})
    assert (row["method"], row["reference"], row["verdict"]) == ("dp-psasc-inner", "dp-psasc", "supported")
    assert row["estimate"] == pytest.approx(3)


def test_settings_of_the_momentum_sweep_are_held_against_the_studys_own_runs() -> None:
    """The study's runs take 100 steps of one gradient each."""
    settings = [momentum(2, 5, AHEAD), momentum(2, 10, SGD), momentum(4, 10, [0.9] * 3, evaluation="validation")]
    tables = {"sweeps": pd.concat(settings), "runs": runs(dp_psasc=SGD), "curves": curves(dp_psasc=[[0.8]])}
    rows = found("C5", tables)
    assert list(rows["estimate"]) == pytest.approx([3, 0])
    assert rows.loc[0, "evidence"].endswith("epochs 5, iterates 2: 1 times the gradients")
    assert rows.loc[1, "evidence"].endswith("epochs 10, iterates 2: 2 times the gradients")


def test_curves_of_the_momentum_sweep_show_its_convergence_and_its_deviation() -> None:
    """Of .8, that is .76, first seen after 30 steps without inner momentum and after 20 with it."""
    plain = curves(dp_psasc=[[0.2, 0.5, 0.77, 0.8]] * 2).assign(nonprivate_cosine=0.5)
    swept = curves(dp_psasc=[[0.2, 0.77, 0.75, 0.8]] * 2).assign(
        sweep="momentum", evaluation="test", settings="iterates=2", iterates=2, nonprivate_cosine=[0.6] * 4 + [0.7] * 4
    )
    rows = found("C5", {"sweep_curves": swept, "curves": plain, "runs": runs(dp_psasc=SGD)})
    assert list(rows["estimate"]) == pytest.approx([10, 0.15])
    assert rows.loc[0, "evidence"].endswith("iterates 2: 2 gradients an example and step")
    assert rows.loc[1, "evidence"].startswith("+0.150 in cosine along the path of each [")


def test_fewer_epochs_are_no_convergence() -> None:
    plain = curves(dp_psasc=[[0.2, 0.5, 0.77, 0.8]] * 2)
    swept = curves(dp_psasc=[[0.2, 0.3]] * 2).assign(
        sweep="momentum", evaluation="test", settings="epochs=2,iterates=2", iterates=2
    )
    assert only("C5", {"sweep_curves": swept, "curves": plain, "runs": runs(dp_psasc=SGD)})["verdict"] == "not tested"


def test_data_set_without_a_shared_trajectory_is_judged_along_each_methods_own() -> None:
    own = curves(dp_sgd=[[0.8]], dp_psasc=[[0.8]]).assign(dataset="mnist", nonprivate_cosine=[0.5, 0.6])
    shared = deviation(dp_sgd=late(early=0, end=SGD), dp_psasc=late(early=0, end=AHEAD))
    rows = found("C3", {"curves": own, "deviation": shared})
    assert set(zip(rows["dataset"], rows["reference"], strict=True)) == {("digits", "dp-sgd"), ("mnist", "dp-sgd")}
    assert rows.set_index("dataset")["estimate"]["mnist"] == pytest.approx(0.1)


def test_inner_momentum_is_compared_by_deviation_too() -> None:
    table = deviation(dp_psasc=late(early=0, end=SGD), dp_psasc_inner=late(early=0, end=AHEAD))
    row = only("C5", {"deviation": table, "curves": curves(dp_psasc=[[0.8]]), "runs": runs(dp_psasc=SGD)})
    assert (row["estimate"], row["reference"]) == (pytest.approx(0.03), "dp-psasc")


def test_method_that_a_shared_trajectory_lacks_is_judged_along_its_own() -> None:
    own = curves(dp_psasc=[[0.8]], dp_psasc_inner=[[0.8]]).assign(nonprivate_cosine=[0.5, 0.6])
    shared = deviation(dp_sgd=late(early=0, end=SGD), dp_psasc=late(early=0, end=AHEAD))
    row = only("C5", {"deviation": shared, "curves": own, "runs": runs(dp_psasc=SGD)}, unit="cosine")
    assert (row["method"], row["estimate"]) == ("dp-psasc-inner", pytest.approx(0.1))
    assert "along the path of each" in row["evidence"]


# ------------------------------------------------------------------------------------------------ C6


def test_privacy_that_nothing_contradicts_is_bracketed() -> None:
    row = only("C6", audited())
    assert (row["verdict"], row["n"], row["low"], row["high"]) == ("supported", 2, 2.0, 2.5)
    assert row["evidence"] == "an attack proves epsilon 2.00 of 2.50 claimed; 2 of 2 ledgers hold"


@pytest.mark.parametrize("wrong", [{"refuted": True}, {"problem": "it spent epsilon 4 of 3"}])
def test_one_contradiction_refutes_privacy(wrong: dict[str, Any]) -> None:
    assert only("C6", audited(**wrong))["verdict"] == "not supported"
    assert only("C6", audited(**wrong, method="dp-sgd"))["verdict"] == "supported"


def test_ledgers_of_other_runs_than_the_studys_do_not_count() -> None:
    tables = audited(problem="it spent epsilon 4 of 3")
    others = tables["ledger"].assign(run=tables["ledger"]["run"].str.replace("digits", "others"))
    tables["ledger"] = pd.concat([tables["ledger"], others])
    row = only("C6", tables | {"runs": runs(dp_psasc=[0.5])})
    assert (row["verdict"], row["n"]) == ("supported", 1)


def test_run_that_overspent_a_budget_that_was_not_attacked_refutes_privacy() -> None:
    tables = audited()
    more = [
        {"run": f"digits/{method}/eps-8/seed-0", "epsilon": math.nan, "problem": problem}
        for method, problem in [("dp-psasc", "its ledger lacks or garbles 'epsilon'"), ("dp-psasc-inner", None)]
    ]
    tables["ledger"] = pd.concat([tables["ledger"], pd.DataFrame(more)])
    rows = found("C6", tables).set_index("epsilon")
    assert rows["verdict"].to_dict() == {3.0: "supported", 8.0: "not supported"}
    assert rows.loc[8.0, "evidence"] == "no attack was made; 0 of 1 ledgers hold"


def test_privacy_without_a_run_is_untested() -> None:
    tables = audited()
    tables["ledger"] = tables["ledger"].iloc[:2]
    assert only("C6", tables)["verdict"] == "not tested"
