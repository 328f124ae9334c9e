"""The claims as they are written: all of them, with what to run where nothing can be said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from claim_tables import AHEAD, NARROW, SGD, WIDE, curves, decided, runs, study, sweep

from psasc_bench import cli


def test_tables_on_request_that_are_not_known_to_be_of_the_study_are_left_out(tmp_path: Path) -> None:
    save(
        study(dp_sgd=SGD, dp_psasc=AHEAD) | {"sweeps": sweep("tuning", "validation", dp_sgd=NARROW, dp_psasc=WIDE)},
        tmp_path,
    )
    assert cli.main(["claims", "--output", str(tmp_path)]) == 0
    written = pd.read_csv(tmp_path / "claims.csv").set_index("claim")
    assert written.loc["C4", "verdict"] == "not tested"


def test_without_tables_every_claim_says_what_to_run_and_has_no_number() -> None:
    rows = decided({})
    assert list(rows["claim"]) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert set(rows["verdict"]) == {"not tested"}
    assert rows["evidence"].str.contains("`snakemake --cores 8", regex=False).all()
    assert rows[["epsilon", "estimate", "low", "high", "p_holm"]].isna().all(axis=None)


def test_study_without_dp_psasc_tests_no_claim() -> None:
    tables = study(dp_sgd=SGD, auto_s=AHEAD) | {"curves": curves(dp_sgd=[[0.1]])}
    assert set(decided(tables)["verdict"]) == {"not tested"}


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
    assert "M is our reading of the paper" in text
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
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    assert cli.main(["claims", str(tmp_path / "runs.csv"), "--output", str(tmp_path)]) == 2
    assert "runs.csv: has no column 'method'; `snakemake --cores 8` makes it anew" in capsys.readouterr().err
    assert not (tmp_path / "claims.csv").exists()


def save(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
