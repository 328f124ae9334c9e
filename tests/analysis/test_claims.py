"""The claims as they are written: all of them, with what to run where nothing can be said."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from claim_tables import AHEAD, NARROW, SGD, WIDE, audited, curves, decided, deviation, runs, study, sweep

from psasc_bench import cli
from psasc_bench.analysis import results
from psasc_bench.report import render_claims_page


def test_tables_on_request_that_are_not_known_to_be_of_the_study_are_left_out(tmp_path: Path) -> None:
    save(
        study(dp_sgd=SGD, dp_psasc=AHEAD) | {"sweeps": sweep("tuning", "validation", dp_sgd=NARROW, dp_psasc=WIDE)},
        tmp_path,
    )
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "claims.csv").set_index("claim")
    assert written.loc["C4", "evidence"].startswith("needs sweeps.csv")


def test_without_tables_every_claim_says_what_to_run_and_has_no_number() -> None:
    rows = decided({})
    assert list(rows["claim"]) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert rows["evidence"].str.contains("`snakemake --cores 8", regex=False).all()
    assert set(rows["n"]) == {0}
    assert (rows[["epsilon", "sign", "within", "gain_excluded"]] == "").all(axis=None)
    assert rows[["estimate", "low", "high", "p_holm"]].isna().all(axis=None)


def test_study_without_dp_psasc_tests_no_claim() -> None:
    tables = study(dp_sgd=SGD, auto_s=AHEAD) | {"curves": curves(dp_sgd=[[0.1]])}
    assert set(decided(tables)["n"]) == {0}
    assert decided(tables)["evidence"].str.startswith("needs ").all()


def test_table_has_the_columns_agreed_upon(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD), tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "claims.csv")
    assert ",".join(written) == (
        "claim,primary,dataset,epsilon,method,reference,measure,n,unit,estimate,low,high,p_holm,sign,within,"
        "gain_excluded,evidence,figure"
    )
    assert written.loc[0, ["claim", "sign", "within", "gain_excluded"]].to_list() == ["C1", "higher", "no", "no"]


def test_report_says_whose_reading_it_is_and_links_the_figure(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD), tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "M is our reading of the paper" in text
    assert "[Figure](../figures/forest.svg).\n\nPrimary comparisons:\n" in text
    assert "| digits " in text
    assert "| 3 " in text
    assert "+3.00 points [+0.52, +5.48], 3 seeds; higher, p 0.035" in text
    assert text.count("Not tested: needs ") == 5
    assert "nan" not in text


def test_report_tells_what_decides_from_what_describes(tmp_path: Path) -> None:
    few = runs(test_examples=360, dp_sgd=SGD, dp_psasc=AHEAD).assign(dataset="few")
    lost = runs(dp_sgd=SGD, dp_psasc=[math.nan] * 3).assign(dataset="lost")
    table = pd.concat([runs(dp_sgd=SGD, dp_psasc=AHEAD), few, lost])
    save({"runs": table, "summary": results.summarise(table, "dp-sgd")}, tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    primary, descriptive = page.partition("## C2")[0].split("Primary comparisons:")[1].split("Descriptive:")
    assert "| digits " in primary
    assert "| few " not in primary
    assert "| few " in descriptive
    assert "decides nothing: one test example is more than the margin" in descriptive
    assert "On lost: no pair of finished runs." in descriptive


def test_refutation_without_a_ledger_is_shown(tmp_path: Path) -> None:
    tables = study(dp_sgd=SGD, dp_psasc=AHEAD) | audited(refuted=True)
    tables["ledger"] = tables["ledger"].iloc[:2]
    save(tables, tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    page = (tmp_path / "claims.md").read_text(encoding="utf-8").partition("## C6")[2]
    assert "an attack proves epsilon 2.00 of 2.50" in page
    assert "Not tested" not in page


def test_tables_that_are_not_given_are_not_read(tmp_path: Path) -> None:
    save(study(dp_sgd=SGD, dp_psasc=AHEAD, auto_s=SGD), tmp_path)
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 0
    assert pd.read_csv(tmp_path / "claims.csv").groupby("claim")["n"].max().to_dict() == {
        "C1": 3,
        "C2": 3,
        **dict.fromkeys(["C3", "C4", "C5", "C6"], 0),
    }


def test_missing_tables_and_columns_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["claims", "--output", str(tmp_path)]) == 2
    assert "holds no tables; `snakemake --cores 8` makes them" in capsys.readouterr().err
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 2
    assert "runs.csv" in capsys.readouterr().err
    save({"runs": runs(dp_psasc=SGD).drop(columns="test_accuracy")}, tmp_path)
    assert cli.main(["claims", "--output", str(tmp_path)]) == 2
    assert "C1: the tables have no 'test_accuracy'" in capsys.readouterr().err
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 2
    assert "runs.csv: has no column 'method'; `snakemake --cores 8` makes it anew" in capsys.readouterr().err
    assert not (tmp_path / "claims.csv").exists()


def test_old_table_without_a_column_is_an_error_of_one_line(tmp_path: Path) -> None:
    """As ``claims.csv`` of a version that had verdicts; the page is made of it."""
    save(study(dp_sgd=SGD, dp_psasc=AHEAD) | {"claims": pd.DataFrame({"claim": ["C1"], "verdict": ["x"]})}, tmp_path)
    with pytest.raises(ValueError, match=r"claims\.csv: has no column 'primary'; `snakemake --cores 8` makes it anew"):
        render_claims_page(tmp_path)
    old = deviation(dp_sgd=SGD, dp_psasc=AHEAD).drop(columns="quarter_weight")
    with pytest.raises(ValueError, match=r"^C3: the tables have no .*quarter_weight.*makes them anew$"):
        decided(study(dp_sgd=SGD, dp_psasc=AHEAD) | {"deviation": old})


def save(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
