"""The claims, held against hand-made tables: what decides them, what does not, and what is said where nothing can."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from psasc_bench import cli
from psasc_bench.analysis import claims, results

LABELS = {"dataset": "digits", "epsilon": 3.0, "dataset_title": "Digits", "method_title": "M", "control": False}
SGD = [0.50, 0.60, 0.70]
# Differences to DP-SGD of 2, 3 and 4 points: mean .03, standard error .01/sqrt(3), t = 3 sqrt(3).
AHEAD = [0.52, 0.63, 0.74]
P_AHEAD = 1 - math.sqrt(27 / 29)  # two degrees of freedom: p = 1 - t/sqrt(2 + t^2)


def runs(**accuracies: list[float]) -> pd.DataFrame:
    """Of methods with underscores for dashes; NaN is a run that is missing."""
    rows: list[dict[str, Any]] = []
    for name, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            status = "missing" if math.isnan(accuracy) else "done"
            run = {"method": name.replace("_", "-"), "seed": seed, "status": status, "test_accuracy": accuracy}
            rows.append(LABELS | run | {"steps_taken": 100})
    return pd.DataFrame(rows)


def study(**accuracies: list[float]) -> dict[str, pd.DataFrame]:
    table = runs(**accuracies)
    return {"runs": table, "summary": results.summarise(table)}


def curves(**epochs: list[list[float]]) -> pd.DataFrame:
    """Per method and seed, the test accuracy at the end of each epoch of ten steps."""
    rows = [
        LABELS
        | {"method": name.replace("_", "-"), "seed": seed, "status": "done"}
        | {"epoch": epoch, "step": 10 * epoch, "test_accuracy": accuracy}
        for name, seeds in epochs.items()
        for seed, values in enumerate(seeds)
        for epoch, accuracy in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def deviation(trajectory: str = "dp-sgd", **cosines: list[list[float]]) -> pd.DataFrame:
    """Per method and seed, the cosine of each epoch."""
    table = curves(**cosines).rename(columns={"test_accuracy": "cosine"}).drop(columns=["status", "step"])
    return table.assign(trajectory=trajectory, below_peak=np.where(table["method"] == "dp-psasc", 0.25, 0.0))


def sweep(name: str = "grid", evaluation: str = "validation", **grids: list[list[float]]) -> pd.DataFrame:
    """Per method and seed, the accuracy of each setting; NaN is a run that diverged."""
    rows = [
        LABELS
        | {"sweep": name, "evaluation": evaluation, "method": method.replace("_", "-"), "seed": seed}
        | {"learning_rate": setting, "accuracy": accuracy, "status": "diverged" if math.isnan(accuracy) else "done"}
        for method, seeds in grids.items()
        for seed, values in enumerate(seeds)
        for setting, accuracy in enumerate(values)
    ]
    return pd.DataFrame(rows)


def momentum(iterates: int, epochs: int, accuracies: list[float], evaluation: str = "test") -> pd.DataFrame:
    table = sweep("momentum", evaluation, dp_psasc=[[accuracy] for accuracy in accuracies])
    settings = f"epochs={epochs},iterates={iterates}"
    return table.assign(settings=settings, iterates=iterates, epochs=epochs, steps_taken=10 * epochs)


def audited(*, refuted: bool = False, problem: str | None = None, method: str = "dp-psasc") -> dict[str, pd.DataFrame]:
    """Two attacks on each method's claim of 3, one sharper than the other, and two runs' ledgers."""
    attacks = [
        {"epsilon": 3.0, "method": name, "epsilon_claimed": 2.5, "epsilon_lower": lower, "refuted": False}
        for name in ("dp-sgd", "dp-psasc")
        for lower in (0.5, 2.0)
    ]
    ledger = [
        {"run": f"digits/{name}/eps-3/seed-{seed}", "epsilon": 3.0, "problem": None}
        for name in ("dp-sgd", "dp-psasc")
        for seed in (0, 1)
    ]
    audit, ledgers = pd.DataFrame(attacks), pd.DataFrame(ledger)
    audit.loc[audit["method"] == method, "refuted"] = refuted
    ledgers.loc[ledgers["run"] == f"digits/{method}/eps-3/seed-1", "problem"] = problem
    return {"audit": audit, "ledger": ledgers}


def found(claim: str, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = claims.decide_claims(tables)
    return rows[rows["claim"] == claim].reset_index(drop=True)


def only(claim: str, tables: dict[str, pd.DataFrame], *, unit: str = "") -> pd.Series:
    (row,) = (row for _, row in found(claim, tables).iterrows() if unit in row["unit"])
    return row


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


def test_finding_has_the_numbers_that_decide_it() -> None:
    row = only("C1", study(dp_sgd=SGD, dp_psasc=AHEAD))
    half = 4.302653 * 1 / math.sqrt(3)
    assert row[["dataset", "epsilon", "method", "reference", "n"]].to_list() == ["digits", 3, "dp-psasc", "dp-sgd", 3]
    assert row[["estimate", "low", "high"]].to_list() == pytest.approx([3, 3 - half, 3 + half], rel=1e-6)
    assert row["p_holm"] == pytest.approx(P_AHEAD)
    assert row["evidence"] == "+3.00 points [+0.52, +5.48] in 3 pairs, p 0.035"


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


# ------------------------------------------------------------------------------------------------ C3


def late(*, early: float, end: list[float]) -> list[list[float]]:
    """Eight epochs of which the last two count."""
    return [[early] * 6 + [value - 0.1, value + 0.1] for value in end]


def test_only_late_gradients_count_along_a_shared_trajectory() -> None:
    table = deviation(dp_sgd=late(early=0.9, end=SGD), dp_psasc=late(early=0.1, end=AHEAD))
    row = only("C3", {"deviation": table, "curves": curves(dp_sgd=[[0.1]])})
    assert row["estimate"] == pytest.approx(0.03)
    assert row["verdict"] == "supported"
    assert row["evidence"].startswith("+0.030 in cosine along the path of dp-sgd [")
    assert row["evidence"].endswith("25% of the examples below the norm at which dp-psasc weighs most")


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

NARROW = [[0.90, 0.895, 0.80, 0.70], [0.91, 0.90, 0.80, 0.70], [0.90, 0.80, 0.80, 0.70]]  # 2, 2 and 1 of 4
WIDE = [[0.80, 0.795, 0.795, 0.795], [0.80, 0.79, 0.79, 0.79], [0.80, 0.795, 0.795, 0.70]]  # 4, 4 and 3 of 4


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


def test_a_sweep_on_test_examples_says_nothing_of_tuning() -> None:
    table = sweep("grid", "test", dp_sgd=NARROW, dp_psasc=WIDE)
    assert only("C4", {"sweeps": table})["verdict"] == "not tested"


# ------------------------------------------------------------------------------------------------ C5


def test_steps_to_95_percent_of_the_final_accuracy() -> None:
    """Of .8, that is .76, first seen after 30, 40 and 40 steps without inner momentum and 20, 20 and 10 with it."""
    plain = [[0.2, 0.5, 0.77, 0.8], [0.2, 0.5, 0.75, 0.8], [0.2, 0.5, 0.75, 0.8]]
    inner = [[0.2, 0.77, 0.75, 0.8], [0.2, 0.76, 0.8, 0.8], [0.8, 0.8, 0.8, 0.8]]
    row = only("C5", {"curves": curves(dp_psasc=plain, dp_psasc_inner=inner), "runs": runs(dp_psasc=SGD)})
    assert (row["method"], row["reference"], row["estimate"]) == ("dp-psasc-inner", "dp-psasc", 20)
    assert row["p_holm"] == pytest.approx(stats.ttest_rel([30, 40, 40], [20, 20, 10]).pvalue)
    assert row["evidence"].startswith("+20 steps saved [")


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


def test_tables_of_other_data_sets_than_the_studys_are_left_out() -> None:
    table = sweep("tuning", "validation", dp_sgd=NARROW, dp_psasc=WIDE).assign(dataset="mnist")
    assert only("C4", {"sweeps": table, "runs": runs(dp_psasc=SGD)})["verdict"] == "not tested"


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


def test_privacy_without_a_run_is_untested() -> None:
    tables = audited()
    tables["ledger"] = tables["ledger"].iloc[:2]
    assert only("C6", tables)["verdict"] == "not tested"


# ------------------------------------------------------------------------------------------------ what is written


def test_without_tables_every_claim_says_what_to_run_and_has_no_number() -> None:
    rows = claims.decide_claims({})
    assert list(rows["claim"]) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert set(rows["verdict"]) == {"not tested"}
    assert rows["evidence"].str.contains("`snakemake --cores 8", regex=False).all()
    assert rows[["epsilon", "estimate", "low", "high", "p_holm"]].isna().all(axis=None)


def test_study_without_dp_psasc_tests_no_claim() -> None:
    tables = study(dp_sgd=SGD, auto_s=AHEAD) | {"curves": curves(dp_sgd=[[0.1]])}
    assert set(claims.decide_claims(tables)["verdict"]) == {"not tested"}


def test_table_has_the_columns_agreed_upon(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD), tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "claims.csv")
    assert ",".join(written) == (
        "claim,dataset,epsilon,method,reference,n,unit,estimate,low,high,p_holm,verdict,evidence,figure"
    )
    assert written.loc[0, ["claim", "verdict"]].to_list() == ["C1", "supported"]


def test_report_says_whose_reading_it_is_and_links_the_figure(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD), tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "DP-PSASC is our reading of the paper" in text
    assert "[Figure](../figures/accuracy.svg). Verdicts: supported 1." in text
    assert "+3.00 points [+0.52, +5.48] in 3 pairs, p 0.035" in text


def test_tables_that_are_not_given_are_not_read(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD, auto_s=SGD), tmp_path)
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 0
    assert pd.read_csv(tmp_path / "claims.csv").groupby("claim")["verdict"].first().to_dict() == {
        "C1": "not tested",
        "C2": "supported",
        **dict.fromkeys(["C3", "C4", "C5", "C6"], "not tested"),
    }


def test_missing_tables_and_columns_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claims", "--output", str(tmp_path)]) == 2
    assert "holds no tables; `snakemake --cores 8` makes them" in capsys.readouterr().err
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 2
    assert "runs.csv" in capsys.readouterr().err
    save({"runs": runs(dp_psasc=SGD).drop(columns="test_accuracy")}, tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 2
    assert "C2: the tables have no 'test_accuracy'" in capsys.readouterr().err
    assert not (tmp_path / "claims.csv").exists()


def save(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
