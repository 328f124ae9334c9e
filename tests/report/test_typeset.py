"""Typeset tables: every number is from the tidy ones, in every format."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from psasc_bench.analysis import literature, results
from psasc_bench.report import typeset

STEPS = [10, 20, 30, 40]
# by seed, at each of these steps: 95 % of the final value is reached at 30, 20 and 40
CURVES = [[0.1, 0.5, 0.76, 0.8], [0.2, 0.89, 0.85, 0.9], [0.1, 0.3, 0.6, 0.7]]
COST = """\
model,batch,contestant,median,q25,q75,micro_batch,layout
digits,256,plain,1.0,1.0,1.0,256,default
digits,256,psasc-bench,1.488,1.45,1.512,256,channels-last
linear,512,plain,1.0,1.0,1.0,512,default
linear,512,plain channels-last,,,,512,channels-last
"""


CLAIMS = """\
claim,dataset,epsilon,method,reference,n,unit,estimate,low,high,p_holm,verdict,evidence,figure
C1,{dataset},3.0,auto-s,dp-sgd,3,points,1.0,0.5,1.5,0.01,supported,long,figures/accuracy.svg
C3,,,,,0,,,,,,not tested,needs it,
"""


def trials(dataset: str, title: str) -> list[dict[str, Any]]:
    """Of two settings of DP-SGD one is near the best at both seeds; of Auto-S both are, but that one diverged once."""
    accuracies = {"dp-sgd": [[0.80, 0.90], [0.82, 0.90]], "auto-s": [[0.895, 0.90], [None, 0.90]]}
    return [
        {"sweep": "tuning", "dataset": dataset, "dataset_title": title, "epsilon": 3.0, "evaluation": "validation"}
        | {"method": method, "method_title": method.upper(), "seed": seed, "settings": f"C={setting}"}
        | {"status": "diverged" if accuracy is None else "done", "accuracy": accuracy}
        for method, seeds in accuracies.items()
        for seed, of_seed in enumerate(seeds)
        for setting, accuracy in enumerate(of_seed)
    ]


def write(
    folder: Path, *, dataset: str = "digits", title: str = "Digits", epsilons: tuple[float, ...] = (3.0,)
) -> Path:
    """DP-SGD and Auto-S, which is a point better at every seed; and a yardstick without privacy."""
    runs, curves = [], []
    cells = [(method, epsilon) for epsilon in epsilons for method in ("dp-sgd", "auto-s")]
    for method, epsilon in [*cells, ("nonprivate", math.inf)]:
        for seed, curve in enumerate(CURVES):
            gain = 0.01 if method == "auto-s" else 0
            key: dict[str, Any] = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": title, "method_title": method.upper(), "status": "done"}
            runs.append(key | {"control": method == "nonprivate", "test_accuracy": curve[-1] + gain})
            points = zip(range(1, 5), STEPS, curve, strict=True)
            curves += [key | {"epoch": epoch, "step": step, "test_accuracy": value} for epoch, step, value in points]
    folder.mkdir(exist_ok=True)
    results.summarise(pd.DataFrame(runs), "dp-sgd").to_csv(folder / "summary.csv", index=False)
    pd.DataFrame(curves).to_csv(folder / "curves.csv", index=False)
    (folder / "cost.csv").write_text(COST)
    (folder / "claims.csv").write_text(CLAIMS.format(dataset=dataset))
    pd.DataFrame(trials(dataset, title)).to_csv(folder / "sweeps.csv", index=False)
    return folder


def typeset_as(suffix: str, table: str, folder: Path) -> str:
    typeset.write_table(table, folder, folder / "tables")
    return (folder / "tables" / f"{table}.{suffix}").read_text(encoding="utf-8")


def unrounded(table: str, folder: Path) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(typeset_as("csv", table, folder)))


def test_accuracy_has_means_intervals_and_paired_differences(tmp_path: Path) -> None:
    text = typeset_as("md", "accuracy", write(tmp_path))
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert f"| 80.00 [{80 - 100 * half:.2f}, {80 + 100 * half:.2f}] |" in text
    assert "+1.00 [+1.00, +1.00]" in text
    assert "3 seeds" in text


def test_published_numbers_stand_beside_the_cells_they_are_about(tmp_path: Path) -> None:
    table = unrounded("accuracy", write(tmp_path, dataset="mnist", epsilons=(3.0, 8.0)))
    found = table.set_index(["method", "epsilon"])["AdaSig 2025"]
    assert found["dp-sgd", 3] == pytest.approx(0.9811)
    assert found["auto-s", 3] == pytest.approx(0.9804)
    assert found.notna().sum() == 2
    assert table.set_index("method")["Auto-S 2023"]["nonprivate"] == pytest.approx(0.9911)
    assert "98.11 ± 0.04" in typeset_as("md", "accuracy", tmp_path)
    assert r"98.11 $\pm$ 0.04" in typeset_as("tex", "accuracy", tmp_path)
    assert "published numbers, not ours" in typeset_as("html", "accuracy", tmp_path)


def test_a_data_set_that_nobody_published_on_has_no_such_columns(tmp_path: Path) -> None:
    assert not set(unrounded("accuracy", write(tmp_path))) & set(literature.published()["source"])
    assert "published" not in typeset_as("md", "accuracy", tmp_path)


def test_steps_are_those_to_95_percent_of_the_final_accuracy(tmp_path: Path) -> None:
    table = unrounded("convergence", write(tmp_path))
    row = table[table["method"] == "dp-sgd"].iloc[0]
    half = stats.t.ppf(0.975, 2) * 10 / math.sqrt(3)
    assert row[["steps_mean", "steps_low", "steps_high"]].tolist() == pytest.approx([30, 30 - half, 30 + half])
    assert row["steps_total"] == 40


def test_claims_are_listed_contest_by_contest(tmp_path: Path) -> None:
    lines = [line for line in typeset_as("md", "claims", write(tmp_path)).splitlines() if line.startswith("| C")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:6] == ["C1", "Digits", "3", "AUTO-S", "DP-SGD", "3"]
    assert cells[0][6:] == ["+1.00 [+0.50, +1.50]", "points", "0.010", "supported"]
    assert cells[1][-1] == "not tested"


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
    assert [cell.strip() for cell in line.strip("|").split("|")] == ["psasc-bench", "1.49 [1.45, 1.51]", "-"]


@pytest.mark.parametrize("table", typeset.TABLES)
def test_latex_is_a_booktabs_table(table: str, tmp_path: Path) -> None:
    lines = typeset_as("tex", table, write(tmp_path)).splitlines()
    rules = [lines.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == sorted(rules)
    assert {line.count("&") for line in lines if line.endswith(r"\\")} == {lines[rules[0] + 1].count("&")}
    assert rf"\label{{tab:{table}}}" in lines
    assert all(character.isascii() for character in "".join(lines))


def test_titles_are_text_in_every_format(tmp_path: Path) -> None:
    folder = write(tmp_path, title="a|b_c & <i>50 %</i>")
    assert r"a\|b_c & &lt;i>50 %&lt;/i>" in typeset_as("md", "accuracy", folder)
    assert r"a|b\_c \& " in typeset_as("tex", "accuracy", folder)
    assert r"50 \%" in typeset_as("tex", "accuracy", folder)
    assert "&lt;i&gt;50 %&lt;/i&gt;" in typeset_as("html", "accuracy", folder)


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path)
    once, again = ([typeset_as(suffix, "accuracy", folder) for suffix in ("csv", "md", "tex", "html")] for _ in "ab")
    assert once == again


def test_an_unknown_table_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no table 'pie'; there are: accuracy, convergence, claims"):
        typeset.write_table("pie", tmp_path, tmp_path)


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"summary\.csv"):
        typeset.write_table("accuracy", tmp_path, tmp_path)
