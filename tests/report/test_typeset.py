"""Typeset tables: every number is from the tidy ones, in every format."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typeset_tables import CURVES, cells_of, half_width, trials, typeset_as, write

from psasc_bench.analysis import results
from psasc_bench.report import typeset
from psasc_bench.report.formats import DASH, MINUS

SUFFIXES = ("csv", "md", "tex", "html")


def unrounded(table: str, folder: Path) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(typeset_as("csv", table, folder)))


# ------------------------------------------------------------------------------------------------ accuracy


def test_accuracy_has_methods_in_rows_and_budgets_in_columns(tmp_path: Path) -> None:
    lines = typeset_as("md", "accuracy", write(tmp_path, epsilons=(1.0, 3.0))).splitlines()
    rows = [cells_of(line) for line in lines if line.startswith("|")]
    half = f"{100 * half_width([0.7, 0.8, 0.9]):.2f}"
    assert rows[0] == ["method", "ε = 1", "ε = 3", "ε = ∞"]
    assert rows[2:] == [
        ["DP-SGD", f"80.00 ± {half}", f"80.00 ± {half}", DASH],
        ["AUTO-S", f"81.00 ± {half}", f"81.00 ± {half}", DASH],
        ["NONPRIVATE", DASH, DASH, f"80.00 ± {half}"],
        ["seeds", "3", "3", "3"],
    ]


def test_protocol_and_settings_stand_above(tmp_path: Path) -> None:
    text = typeset_as("md", "accuracy", write(tmp_path, epsilons=(1.0, 3.0)))
    assert text.index("## Digits") < text.index("Model digits_cnn") < text.index("Settings: ") < text.index("| method")
    assert (
        "Model digits_cnn, N = 1,000 training examples, q = 0.25 (expected batch size 250), 16 steps (4 epochs), "
        "learning rate 0.5, momentum 0.9, sensitivity 0.1, δ = 0.0001 (accountant: RDP). "
        "Noise multiplier: 12 at ε = 1, 4 at ε = 3."
    ) in text
    assert "Settings: DP-SGD C = 0.1; AUTO-S gamma = 0.01, C = 0.1; NONPRIVATE learning rate 0.25." in text


def test_settings_that_differ_by_budget_are_said_by_budget(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path, epsilons=(1.0, 3.0)) / "runs.csv")
    ahead = (runs["method"] == "auto-s") & (runs["epsilon"] == 1)
    runs.loc[ahead, ["settings", "learning_rate"]] = ["C=0.3,iterates=2,decay=0.5", 2.0]
    runs.to_csv(tmp_path / "runs.csv", index=False)
    text = typeset_as("md", "accuracy", tmp_path)
    assert (
        "AUTO-S C = 0.3, iterates = 2, decay = 0.5, learning rate 2 at ε = 1 and "
        "gamma = 0.01, C = 0.1, learning rate 0.5 at ε = 3"
    ) in text
    assert "DP-SGD C = 0.1, learning rate 0.5;" in text
    assert "4 epochs), momentum 0.9" in text


def test_optimiser_is_said_where_it_is_not_the_heavy_ball(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path) / "runs.csv")
    adam = "adam (beta1 = 0.9, epsilon = 1e-08)"
    runs.loc[runs["method"] == "auto-s", ["momentum", "optimiser"]] = [0.0, adam]
    runs.to_csv(tmp_path / "runs.csv", index=False)
    text = typeset_as("md", "accuracy", tmp_path)
    assert "learning rate 0.5, sensitivity 0.1" in text
    assert f"DP-SGD C = 0.1, momentum 0.9; AUTO-S gamma = 0.01, C = 0.1, optimiser {adam};" in text
    assert adam in (tmp_path / "tables" / "accuracy.csv").read_text()
    runs["optimiser"], runs["momentum"] = adam, 0.0
    runs.to_csv(tmp_path / "runs.csv", index=False)
    text = typeset_as("md", "accuracy", tmp_path)
    assert f"learning rate 0.5, sensitivity 0.1, optimiser {adam}, δ" in text
    assert "momentum" not in text


def test_augmentations_are_said_where_there_are_any(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path) / "runs.csv")
    runs.loc[runs["method"] == "auto-s", "augmentations"] = "4 (shift, flip)"
    runs.to_csv(tmp_path / "runs.csv", index=False)
    assert "AUTO-S gamma = 0.01, C = 0.1, augmentations 4 (shift, flip);" in typeset_as("md", "accuracy", tmp_path)
    assert "4 (shift, flip)" in (tmp_path / "tables" / "accuracy.csv").read_text()


def test_cell_with_another_number_of_seeds_says_so(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path) / "runs.csv")
    runs = runs[(runs["method"] != "auto-s") | (runs["seed"] < 2)]
    runs.to_csv(tmp_path / "runs.csv", index=False)
    results.summarise(runs, "dp-sgd").to_csv(tmp_path / "summary.csv", index=False)
    text = typeset_as("md", "accuracy", tmp_path)
    half = 100 * half_width([0.81, 0.91])
    assert f"| {86:.2f} ± {half:.2f} (2) |" in text
    assert "in the last row or, where a method has another, behind its mean." in text


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    text = typeset_as("md", "accuracy", write(tmp_path, seeds=1))
    assert cells_of(next(line for line in text.splitlines() if line.startswith("| DP-SGD")))[1] == "80.00"
    assert "One seed has no interval." in text


def test_accuracies_are_tidy_with_what_each_was_trained_with(tmp_path: Path) -> None:
    table = unrounded("accuracy", write(tmp_path)).set_index("method")
    assert table.loc["auto-s", "accuracy_mean"] == pytest.approx(0.81)
    assert table.loc["auto-s", "difference_mean"] == pytest.approx(0.01)
    said = ["settings", "learning_rate", "sampling_rate", "steps_taken", "noise_multiplier", "delta", "n"]
    assert table.loc["auto-s", said].tolist() == ["gamma=0.01,C=0.1,iterates=1,decay=0.1", 0.5, 0.25, 16, 4, 1e-4, 3]


def test_how_to_cite_is_said_without_what_no_two_clones_have_alike(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = [typeset_as(suffix, "accuracy", folder) for suffix in SUFFIXES]
    assert "`psasc-bench table --dataset digits --epsilon 3 --method dp-sgd` prints it" in before[1]
    times = pd.read_csv(folder / "times.csv").assign(commit="c" * 40, ended="2030-01-01T00:00:00+00:00")
    times.to_csv(folder / "times.csv", index=False)
    assert [typeset_as(suffix, "accuracy", folder) for suffix in SUFFIXES] == before


def test_runs_that_do_not_say_their_terms_are_made_anew(tmp_path: Path) -> None:
    pd.read_csv(write(tmp_path) / "runs.csv").drop(columns="settings").to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(ValueError, match=r"runs\.csv: has no column 'settings'; `psasc-bench collect` makes it anew"):
        typeset_as("md", "accuracy", tmp_path)


# ------------------------------------------------------------------------------------------------ literature


def test_published_numbers_stand_beside_ours_with_the_difference(tmp_path: Path) -> None:
    folder = write(tmp_path, dataset="mnist", title="MNIST")
    table = unrounded("literature", folder).set_index(["method", "source"])
    row = table.loc[("dp-sgd", "AdaSig 2025")]
    assert row[["ours", "published", "difference"]].tolist() == pytest.approx([80, 98.11, -18.11])
    ours, theirs = 100 * half_width([0.7, 0.8, 0.9]), row["half_width"]
    a, b = ((half / stats.t.ppf(0.975, n - 1)) ** 2 for half, n in ((ours, 3), (theirs, row["runs"])))
    freedom = (a + b) ** 2 / (a**2 / 2 + b**2 / (row["runs"] - 1))
    assert row["high"] - row["difference"] == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(a + b))
    ends = ", ".join(f"{end:+.2f}" for end in row[["low", "high"]])
    text = typeset_as("md", "literature", folder)
    assert f"98.11 ± 0.04 | {f'-18.11 [{ends}]'.replace('-', MINUS)} |" in text


def test_data_that_nobody_published_on_has_nothing_to_show(tmp_path: Path) -> None:
    assert "no published accuracy is of a cell that has been run" in typeset_as("md", "literature", write(tmp_path))


# ------------------------------------------------------------------------------------------------ others


def test_convergence_is_the_mean_over_quarters_and_all_of_training(tmp_path: Path) -> None:
    table = unrounded("convergence", write(tmp_path))
    row = table[table["method"] == "dp-sgd"].iloc[0]
    by_quarter = [[curve[quarter] for curve in CURVES] for quarter in range(4)]
    for name, values in zip(("first", "second", "third", "last"), by_quarter, strict=True):
        assert row[f"{name}_quarter_mean"] == pytest.approx(np.mean(values))
        assert row[f"{name}_quarter_high"] == pytest.approx(np.mean(values) + half_width(values))
    assert row["whole_mean"] == pytest.approx(np.mean(CURVES))
    (line,) = [line for line in typeset_as("md", "convergence", tmp_path).splitlines() if "| DP-SGD" in line]
    assert cells_of(line)[2] == f"{100 * np.mean(by_quarter[0]):.2f} ± {100 * half_width(by_quarter[0]):.2f}"


def test_claims_are_listed_by_claim_with_what_their_comparisons_have_in_common(tmp_path: Path) -> None:
    text = typeset_as("md", "claims", write(tmp_path))
    rows = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == [
        *("data set", "ε", "method", "against", "difference", "sign"),
        *("within ±0.2 points", "gain of 0.2 points excluded"),
    ]
    assert rows[2] == ["Digits", "1, 3", "AUTO-S", "DP-SGD", "+1.00 [+0.50, +1.50]", "higher", "?", "no"]
    assert rows[3] == [
        "Digits",
        "3",
        "DP-SGD",
        "AUTO-S",
        "-1.00 [-1.50, -0.50]".replace("-", MINUS),
        "lower",
        "no",
        "yes",
    ]
    assert "Throughout, measure: final test accuracy; unit: points." in text
    assert rows[-1] == ["any", "0.50 of 0.90", "not refuted"]
    assert "Not tested: C3." in text


def test_comparisons_in_a_measure_that_decides_nothing_are_in_the_rows_alone(tmp_path: Path) -> None:
    folder = write(tmp_path)
    assert len(unrounded("claims", folder)) == 6
    text = typeset_as("md", "claims", folder)
    assert f"| +6.00 [+5.00, +7.00] | {DASH:>6} |" in text
    assert "+7.00 [+6.00, +8.00]" not in text
    claims = pd.read_csv(folder / "claims.csv")
    claims[~claims["primary"]].to_csv(folder / "claims.csv", index=False)
    assert "+7.00 [+6.00, +8.00]" in typeset_as("md", "claims", folder)


def test_robustness_is_the_share_of_settings_near_the_best(tmp_path: Path) -> None:
    table = unrounded("robustness", write(tmp_path)).set_index("method")
    assert table["share_near_best"].to_dict() == pytest.approx({"dp-sgd": 0.5, "auto-s": 0.75})
    assert table.loc["dp-sgd", ["accuracy_max", "accuracy_median", "accuracy_min"]].tolist() == pytest.approx(
        [0.90, 0.855, 0.81]
    )


def test_robustness_needs_a_sweep_on_validation_examples(tmp_path: Path) -> None:
    folder = write(tmp_path)
    pd.DataFrame(trials("digits", "Digits")).assign(evaluation="test").to_csv(folder / "sweeps.csv", index=False)
    assert "no sweep is on validation examples" in typeset_as("md", "robustness", folder)


def test_cost_is_a_column_per_model_and_a_gap_where_nothing_was_measured(tmp_path: Path) -> None:
    text = typeset_as("md", "cost", write(tmp_path))
    (line,) = [line for line in text.splitlines() if "psasc-bench" in line]
    assert cells_of(line) == ["psasc-bench", "1.49 [1.45, 1.51]", DASH]


# ------------------------------------------------------------------------------------------------ formats


def test_titles_are_text_in_every_format(tmp_path: Path) -> None:
    folder = write(tmp_path, title="a|b_c & <i>50 %</i>")
    assert r"a\|b_c & &lt;i>50 %&lt;/i>" in typeset_as("md", "accuracy", folder)
    assert r"a\textbar{}b\_c \& \textless{}i\textgreater{}50 \%" in typeset_as("tex", "accuracy", folder)
    page = typeset_as("html", "accuracy", folder)
    assert "&lt;i&gt;50 %&lt;/i&gt;" in page
    assert re.findall("<i>", page) == []


@pytest.mark.parametrize("table", typeset.TABLES)
def test_the_same_tables_give_the_same_bytes(table: str, tmp_path: Path) -> None:
    folder = write(tmp_path)
    once, again = ([typeset_as(suffix, table, folder) for suffix in SUFFIXES] for _ in "ab")
    assert once == again


def test_an_unknown_table_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no table 'pie'; there are: accuracy, literature, convergence, claims"):
        typeset.write_table("pie", tmp_path, tmp_path)


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"summary\.csv"):
        typeset.write_table("accuracy", tmp_path, tmp_path)
