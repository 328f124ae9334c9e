"""How each claim is decided, held against hand-made tables: by what it is, and by what it is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
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
    decided,
    deviation,
    found,
    momentum,
    only,
    runs,
    study,
    sweep,
    words,
)
from scipy import stats

from psasc_bench.analysis import primary
from psasc_bench.study import default_roles_of

BEHIND = [0.48, 0.57, 0.66]
NUMBERS = ["estimate", "low", "high", "p_holm"]
NO_WORDS = ("", "", "")

# ------------------------------------------------------------------------------------------------ C1 and C2


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (AHEAD, ("higher", "no", "no")),
        (BEHIND, ("lower", "no", "yes")),
        ([0.5001, 0.6, 0.6999], ("unresolved", "yes", "yes")),
        ([0.5004, 0.6005, 0.7006], ("higher", "yes", "yes")),
        ([0.52, 0.60, 0.68], ("unresolved", "unresolved", "no")),
        (SGD, ("identical", "", "")),
    ],
    ids=["ahead", "behind", "tied", "ahead by little", "open", "identical"],
)
def test_accuracy_is_decided_against_dp_sgd(ours: list[float], said: tuple[str, str, str]) -> None:
    assert words(found("C1", study(dp_sgd=SGD, dp_psasc=ours))) == [said]


def test_finding_has_the_numbers_that_decide_it() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=AHEAD))
    half = 4.302653 / math.sqrt(3)
    assert row[["dataset", "epsilon", "method", "reference", "n"]].to_list() == ["digits", "3", "dp-psasc", "dp-sgd", 3]
    assert row[["measure", "unit"]].to_list() == ["final test accuracy", "points"]
    assert row[NUMBERS].to_list() == pytest.approx([3, 3 - half, 3 + half, P_AHEAD], rel=1e-6)
    assert row["primary"]
    assert row["evidence"] == "+3.00 points [+0.52, +5.48], 3 seeds; higher, p 0.035"


def test_claims_in_accuracy_are_decided_as_the_primary_comparisons_of_the_study_are() -> None:
    methods = {"dp_sgd": SGD, "auto_s": [0.5, 0.65, 0.7], "dp_psasc": AHEAD, "dp_psasc_inner": BEHIND}
    table = pd.concat([runs(**methods), runs(**methods).assign(dataset="mnist", epsilon=1.0)])
    rows = decided({"runs": table})
    rows = rows[rows["claim"].isin(["C1", "C2"])].set_index(["dataset", "method", "reference"])
    roles = default_roles_of([name.replace("_", "-") for name in methods])
    decisions = {
        (one.comparison.dataset, one.comparison.method, one.comparison.reference): one
        for one in primary.primary_decisions(table, roles)
    }
    assert set(rows.index) == {key for key in decisions if key[1].startswith("dp-psasc")}
    for key, row in rows.iterrows():
        one = decisions[key]
        assert row[NUMBERS].to_list() == [100 * one.found.mean, 100 * one.found.low, 100 * one.found.high, one.p_holm]
        assert tuple(row[["sign", "within", "gain_excluded"]]) == one.said


def test_both_with_and_without_inner_momentum_are_held_against_the_others() -> None:
    tables = study(dp_sgd=SGD, auto_s=SGD, dp_psasc=AHEAD, dp_psasc_inner=BEHIND)
    for claim, reference in (("C1", "dp-sgd"), ("C2", "auto-s")):
        rows = found(claim, tables).set_index("method")
        assert rows["estimate"].to_dict() == pytest.approx({"dp-psasc": 3, "dp-psasc-inner": -3})
        assert set(rows["reference"]) == {reference}


def test_each_earlier_method_is_a_family_of_its_own() -> None:
    rows = found("C2", study(dp_sgd=[0.1, 0.2, 0.4], dp_psasc=AHEAD, auto_s=SGD, dp_psac=[0.5, 0.65, 0.7]))
    assert list(rows["reference"]) == ["auto-s", "dp-psac"]
    assert list(rows["p_holm"]) == pytest.approx([P_AHEAD, stats.ttest_rel(AHEAD, [0.5, 0.65, 0.7]).pvalue])


@pytest.mark.parametrize("claim", ["C1", "C2"])
def test_data_set_of_few_test_examples_is_described_and_decides_nothing(claim: str) -> None:
    row = only(claim, study(test_examples=360, dp_sgd=SGD, auto_s=SGD, dp_psasc=AHEAD))
    assert not row["primary"]
    assert (row["estimate"], math.isnan(row["p_holm"])) == (pytest.approx(3), True)
    assert tuple(row[["sign", "within", "gain_excluded"]]) == NO_WORDS
    assert row["evidence"] == (
        "+3.00 points [+0.52, +5.48], 3 seeds; decides nothing: one test example is more than the margin"
    )


def test_one_pair_resolves_nothing() -> None:
    row = only("C1", study(dp_sgd=[0.5], dp_psasc=[0.6]))
    assert (row["sign"], row["evidence"]) == ("unresolved", "+10.00 points in the one pair")
    assert row[["low", "high", "p_holm"]].isna().all()


def test_runs_that_are_missing_leave_the_claim_untested() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=[math.nan] * 3))
    assert (row["n"], row["sign"], row["evidence"]) == (0, "", "no pair of finished runs")


# ------------------------------------------------------------------------------------------------ C3


def test_share_of_the_small_gradients_is_better_the_nearer_it_is_to_a_quarter() -> None:
    """.10 is .15 from a quarter; .22, .20 and .27 are .03, .05 and .02 from it: nearer by 12, 10 and 13 points."""
    tables = {"deviation": deviation(column="quarter_weight", dp_sgd=[0.1] * 3, dp_psasc=[0.22, 0.2, 0.27])}
    row = only("C3", tables, measure="weight of the quarter with the smallest gradients, nearer to a quarter")
    assert row["estimate"] == pytest.approx(100 * (0.12 + 0.10 + 0.13) / 3)
    assert row["p_holm"] == pytest.approx(stats.ttest_1samp([0.12, 0.10, 0.13], 0).pvalue)
    assert (row["sign"], row["within"], row["gain_excluded"]) == ("higher", "", "")
    assert row["evidence"].endswith(
        "dp-sgd gives it 10%, along the path of dp-sgd; dp-psasc gives it 23%, along the path of dp-sgd"
    )


def test_more_than_a_quarter_is_no_better_than_less() -> None:
    tables = {"deviation": deviation(column="quarter_weight", dp_sgd=[0.1] * 3, dp_psasc=[0.4, 0.41, 0.42])}
    row = only("C3", tables, measure="weight of the quarter with the smallest gradients, nearer to a quarter")
    assert (row["estimate"], row["sign"]) == (pytest.approx(-1), "unresolved")


@pytest.mark.parametrize(
    ("column", "measure", "estimate", "evidence"),
    [
        ("effective_sample_size", "effective sample size", 3, "+3.00 points of the examples [+0.52, +5.48], 3 seeds; "),
        ("released_cosine", "cosine of what is released", 0.03, "+0.030 in cosine [+0.005, +0.055], 3 seeds; "),
    ],
)
def test_more_effective_examples_and_a_better_direction_are_better(
    column: str, measure: str, estimate: float, evidence: str
) -> None:
    row = only("C3", {"deviation": deviation(column=column, dp_sgd=SGD, dp_psasc=AHEAD)}, measure=measure)
    assert (row["estimate"], row["p_holm"]) == (pytest.approx(estimate), pytest.approx(P_AHEAD))
    assert row["evidence"] == f"{evidence}higher, p 0.035; along the path of dp-sgd"


def test_trajectories_are_kept_apart() -> None:
    along = [("dp-sgd", AHEAD), ("dp-psasc", BEHIND)]
    tables = [deviation(trajectory, dp_sgd=SGD, dp_psasc=ours) for trajectory, ours in along]
    rows = found("C3", {"deviation": pd.concat(tables)})
    rows = rows[rows["measure"] == "cosine of what is released"]
    assert list(rows["estimate"]) == pytest.approx([0.03, -0.03])
    assert list(rows["p_holm"]) == pytest.approx([P_AHEAD, P_AHEAD])


def test_data_set_with_each_method_tuned_is_a_family_of_its_own_along_trajectories_too() -> None:
    one = deviation(dp_sgd=SGD, dp_psasc=AHEAD)
    names = {"dataset": "digits_tuned", "dataset_title": "Digits, tuned"}
    ran = study(dp_sgd=SGD, dp_psasc=AHEAD)["runs"]
    both = pd.concat([ran, ran.assign(**names)])
    for tuned, p in ((True, P_AHEAD), (False, 2 * P_AHEAD)):
        runs = both.assign(tuned=(both["dataset"] == "digits_tuned") & tuned)
        rows = found("C3", {"deviation": pd.concat([one, one.assign(**names)]), "runs": runs})
        rows = rows[rows["measure"] == "cosine of what is released"]
        assert list(rows["p_holm"]) == pytest.approx([p, p])


def test_every_baseline_is_beside_it() -> None:
    rows = found("C3", {"deviation": deviation(dp_sgd=SGD, auto_s=SGD, dp_psasc=AHEAD)})
    assert set(rows["reference"]) == {"dp-sgd", "auto-s"}
    assert len(rows) == 6


# ------------------------------------------------------------------------------------------------ C4


def test_share_of_the_grid_is_decided_by_seed() -> None:
    """Of four settings 2, 2 and 1 by DP-SGD, and 4, 4 and 3 by DP-PSASC: more by 50 points at each seed."""
    row = only("C4", {"sweeps": sweep(dp_sgd=NARROW, dp_psasc=[*WIDE[:2], [0.8, 0.795, 0.7, 0.7]])})
    assert row["estimate"] == pytest.approx(100 * (0.5 + 0.5 + 0.25) / 3)
    assert row["p_holm"] == pytest.approx(stats.ttest_1samp([0.5, 0.5, 0.25], 0).pvalue)
    assert row["unit"] == "points of the settings"
    equal = only("C4", {"sweeps": sweep(dp_sgd=NARROW, dp_psasc=WIDE)})
    assert (equal["estimate"], equal["sign"]) == (50, "unresolved")
    assert equal["evidence"].startswith("+50 points of the settings in each of 3 pairs, which no t-test can judge; ")


def test_a_sweep_on_test_examples_says_nothing_of_tuning() -> None:
    row = only("C4", {"sweeps": sweep("grid", "test", dp_sgd=NARROW, dp_psasc=WIDE)})
    assert row["evidence"].startswith("needs sweeps.csv")


# ------------------------------------------------------------------------------------------------ C5

CURVE, FINAL, RELEASED = "accuracy over the curve", "final test accuracy", "cosine of what is released"
EARLY = f"{CURVE}, first quarter"


def of_epochs(*gains: float) -> list[list[float]]:
    """Curves of three seeds and as many epochs, ahead of 0.1, 0.2, ... by these and some more by seed."""
    return [[0.1 * (k + 1) + gain * (1 + 0.02 * seed) for k, gain in enumerate(gains)] for seed in range(3)]


def convergence(*gains: float, **more: list[list[float]]) -> dict[str, pd.DataFrame]:
    of_all = curves(dp_sgd=of_epochs(*[0] * len(gains)), dp_psasc=of_epochs(*gains), **more)
    names = [name.replace("-", "_") for name in of_all["method"].unique()]
    return {"runs": runs(**dict.fromkeys(names, SGD)), "curves": of_all}


def test_momentum_is_held_against_the_same_without_in_curve_accuracy_and_cosine() -> None:
    tables = convergence(0, 0, 0, 0, dp_psasc_inner=of_epochs(0.04, 0.02, 0.01, 0.01))
    tables["runs"] = runs(dp_sgd=SGD, dp_psasc=SGD, dp_psasc_inner=AHEAD)
    tables["deviation"] = deviation(dp_psasc=SGD, dp_psasc_inner=AHEAD)
    rows = found("C5", tables)
    rows = rows[rows["primary"] & (rows["method"] == "dp-psasc-inner")].set_index("measure")
    assert set(rows["reference"]) == {"dp-psasc"}
    assert rows["estimate"].drop(index=set(rows.index) - {CURVE, FINAL, RELEASED}).to_dict() == pytest.approx(
        {CURVE: 2 * 1.02, FINAL: 3, RELEASED: 0.03}
    )
    assert rows.loc[CURVE, "p_holm"] == pytest.approx(stats.ttest_1samp([0.02, 0.0204, 0.0208], 0).pvalue)
    assert rows.loc[[CURVE, FINAL, RELEASED], "sign"].to_list() == ["higher"] * 3


@pytest.mark.parametrize(
    ("gains", "sign", "crossing"),
    [
        ((0.05, 0.05, 0.01, 0.01, -0.02, -0.02, -0.02, -0.02), "higher", "last ahead after 50 % of training"),
        ((0.05, 0.05, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02), "higher", "ahead at the end"),
        ((-0.05, -0.05, -0.01, -0.01, -0.02, -0.02, -0.02, -0.02), "lower", "never ahead"),
        ((0.05, 0.05, -0.01, 0.0, 0.0, 0.01, 0.0, -0.02), "higher", "last ahead after 75 % of training"),
    ],
)
def test_early_lead_is_primary_and_says_until_when_it_lasts(gains: list[float], sign: str, crossing: str) -> None:
    row = only("C5", convergence(*gains), measure=EARLY)
    assert (row["method"], row["reference"], row["primary"], row["sign"]) == ("dp-psasc", "dp-sgd", True, sign)
    assert row["estimate"] == pytest.approx(100 * gains[0] * 1.02)  # the mean over seeds
    assert row["evidence"].endswith(f"; {crossing}")


def test_later_quarters_are_described_without_a_word() -> None:
    rows = found("C5", convergence(0.05, 0.04, 0.03, -0.02)).set_index("measure")
    for quarter, gain in (("second", 4), ("third", 3), ("last", -2)):
        row = rows.loc[f"{CURVE}, {quarter} quarter"]
        assert row["estimate"] == pytest.approx(1.02 * gain)
        assert (row["primary"], math.isnan(row["p_holm"])) == (False, True)
        assert tuple(row[["sign", "within", "gain_excluded"]]) == NO_WORDS
        assert row["evidence"].endswith(", 3 seeds")


def test_diverged_curve_shows_no_convergence() -> None:
    table = curves(dp_psasc=[[0.8]], dp_psasc_inner=[[0.8]]).assign(status="diverged")
    row = only("C5", {"curves": table, "runs": runs(dp_psasc=SGD)})
    assert row["evidence"].startswith("needs dp-psasc-inner in the study")


def test_settings_of_the_momentum_sweep_are_held_against_the_studys_own_runs() -> None:
    """The study's runs take 100 steps of one gradient each."""
    settings = [momentum(2, 5, AHEAD), momentum(2, 10, SGD), momentum(4, 10, [0.9] * 3, evaluation="validation")]
    tables = {"sweeps": pd.concat(settings), "runs": runs(dp_psasc=SGD), "curves": curves(dp_psasc=[[0.8]])}
    rows = found("C5", tables)
    assert list(rows["estimate"]) == pytest.approx([3, 0])
    assert (
        rows.loc[0, "evidence"] == "+3.00 points [+0.52, +5.48], 3 seeds; epochs 5, iterates 2: 1 times the gradients"
    )
    assert rows.loc[1, "evidence"] == "identical in 3 of 3 pairs; epochs 10, iterates 2: 2 times the gradients"
    assert set(rows["measure"]) == {"final test accuracy, sweep momentum"}
    assert not rows["primary"].any()
    assert words(rows) == [NO_WORDS] * 2
    assert rows["p_holm"].isna().all()


def swept_curves(settings: str, seeds: list[list[float]]) -> pd.DataFrame:
    labels = {"sweep": "momentum", "evaluation": "test", "settings": settings, "iterates": 2}
    return curves(dp_psasc=seeds).assign(**labels)


def test_curves_of_the_momentum_sweep_show_its_convergence() -> None:
    plain = curves(dp_psasc=[[0.2, 0.5, 0.77, 0.8]] * 2)
    swept = swept_curves("iterates=2", [[0.2, 0.7, 0.77, 0.8], [0.2, 0.8, 0.77, 0.8]])
    row = only("C5", {"sweep_curves": swept, "curves": plain, "runs": runs(dp_psasc=SGD)})
    assert (row["estimate"], row["measure"]) == (pytest.approx(6.25), f"{CURVE}, sweep momentum")
    assert (row["primary"], row["sign"]) == (False, "")
    assert row["evidence"].endswith("iterates 2: 2 gradients an example and step")


def test_fewer_epochs_are_no_convergence() -> None:
    plain = curves(dp_psasc=[[0.2, 0.5, 0.77, 0.8]] * 2)
    swept = swept_curves("epochs=2,iterates=2", [[0.2, 0.3]] * 2)
    row = only("C5", {"sweep_curves": swept, "curves": plain, "runs": runs(dp_psasc=SGD)})
    assert row["evidence"].startswith("needs dp-psasc-inner in the study")


# ------------------------------------------------------------------------------------------------ C6


def test_privacy_that_nothing_contradicts_is_not_refuted_which_is_no_proof() -> None:
    row = only("C6", audited())
    assert row[["sign", "n", "low", "high"]].to_list() == ["not refuted", 2, 2.0, 2.5]
    assert row["evidence"] == (
        "an attack proves epsilon 2.00 of 2.50, what the schedule that it attacks costs; 2 of 2 ledgers hold"
    )
    assert np.isnan([row["estimate"], row["p_holm"]]).all()


@pytest.mark.parametrize("wrong", [{"refuted": True}, {"problem": "it spent epsilon 4 of 3"}])
def test_one_contradiction_refutes_privacy(wrong: dict[str, Any]) -> None:
    assert only("C6", audited(**wrong))["sign"] == "refuted"
    assert only("C6", audited(**wrong, method="dp-sgd"))["sign"] == "not refuted"


def test_attack_that_is_less_sharp_refutes_too() -> None:
    tables = audited()
    weaker = (tables["audit"]["method"] == "dp-psasc") & (tables["audit"]["epsilon_lower"] == 0.5)
    tables["audit"]["refuted"] = weaker
    assert only("C6", tables)["sign"] == "refuted"


def test_ledgers_of_other_runs_than_the_studys_do_not_count() -> None:
    tables = audited(problem="it spent epsilon 4 of 3")
    others = tables["ledger"].assign(run=tables["ledger"]["run"].str.replace("digits", "others"))
    tables["ledger"] = pd.concat([tables["ledger"], others])
    row = only("C6", tables | {"runs": runs(dp_psasc=[0.5])})
    assert (row["sign"], row["n"]) == ("not refuted", 1)


def test_run_that_overspent_a_budget_that_was_not_attacked_refutes_privacy() -> None:
    tables = audited()
    more = [
        {"run": f"digits/{method}/eps-8/seed-0", "epsilon": math.nan, "problem": problem}
        for method, problem in [("dp-psasc", "its ledger lacks or garbles 'epsilon'"), ("dp-psasc-inner", None)]
    ]
    tables["ledger"] = pd.concat([tables["ledger"], pd.DataFrame(more)])
    rows = found("C6", tables).set_index("epsilon")
    assert rows["sign"].to_dict() == {"3": "not refuted", "8": "refuted"}
    assert rows.loc["8", "evidence"] == "no attack was made; 0 of 1 ledgers hold"


@pytest.mark.parametrize(("refuted", "sign"), [(False, ""), (True, "refuted")])
def test_attack_without_a_run_can_only_refute(refuted: bool, sign: str) -> None:
    tables = audited(refuted=refuted)
    tables["ledger"] = tables["ledger"].iloc[:2]
    row = only("C6", tables)
    assert (row["sign"], row["n"]) == (sign, 0)


def test_privacy_of_other_methods_than_those_under_test_is_not_asked() -> None:
    tables = audited()
    tables["audit"] = tables["audit"][tables["audit"]["method"] == "dp-sgd"]
    row = only("C6", tables | {"runs": runs(dp_sgd=SGD, dp_psasc=SGD)})
    assert row["evidence"].startswith("needs audit.csv and ledger.csv with dp-psasc")
