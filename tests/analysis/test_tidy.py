"""Tidy tables, read back: text as it was written, and rows by what they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from psasc_bench.analysis import of_the_study, read_study, read_table
from psasc_bench.study import Cell, Study, load_study, parse_study, spec_identity, varied_settings

ROOT = Path(__file__).parents[2]
TITLES = ["None", "NA", "null", "nan", "007", "1e5", "True", 'a, "b"', "$x_1$ & |pipe|"]


def study(**changes: Any) -> Study:
    values = {"methods": {"dp-sgd": {}, "dp-psasc": {}}, "datasets": {"digits": {}}, "epsilons": [1, 3]}
    return parse_study(values | changes, source="test")


def row(of: Study, method: str = "dp-psasc", epsilon: float = 3.0, trial: str = "") -> dict[str, Any]:
    identity = spec_identity(of, of.spec(Cell("digits", method, epsilon), 0), varied=varied_settings(trial))
    return {"dataset": "digits", "method": method, "epsilon": epsilon, "settings": trial, "identity": identity}


@pytest.mark.parametrize("title", TITLES)
def test_titles_come_back_as_they_were_written(title: str, tmp_path: Path) -> None:
    written = pd.DataFrame({"dataset_title": [title], "method_title": [title], "value": [0.5]})
    written.to_csv(tmp_path / "table.csv", index=False)
    read = read_table(tmp_path / "table.csv")
    assert read["dataset_title"].tolist() == read["method_title"].tolist() == [title]
    assert read["value"].tolist() == [0.5]


@pytest.mark.parametrize(
    "column", ["identity", "trajectory_identity", "data_sha256", "torch", "cpu", "device", "commit", "run", "problem"]
)
@pytest.mark.parametrize("text", ["1234567890123456", "12345678901e4567", "2.10", "0012"])
def test_text_that_looks_like_a_number_stays_as_it_was_written(column: str, text: str, tmp_path: Path) -> None:
    pd.DataFrame({column: [text]}).to_csv(tmp_path / "table.csv", index=False)
    assert read_table(tmp_path / "table.csv")[column].tolist() == [text]


@pytest.mark.parametrize("column", ["budgets", "sign", "within", "gain_excluded", "measure", "reference_title"])
def test_words_of_comparisons_are_text(column: str, tmp_path: Path) -> None:
    pd.DataFrame({column: ["3", "NA", ""]}).to_csv(tmp_path / "comparisons.csv", index=False)
    assert read_table(tmp_path / "comparisons.csv")[column].fillna("missing").tolist() == ["3", "NA", "missing"]


def test_budgets_of_a_claim_are_text_and_those_of_runs_numbers(tmp_path: Path) -> None:
    for name, epsilon in (("claims", "3"), ("runs", 3.0)):
        pd.DataFrame({"epsilon": [epsilon]}).to_csv(tmp_path / f"{name}.csv", index=False)
        assert read_table(tmp_path / f"{name}.csv")["epsilon"].tolist() == [epsilon]


def test_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b'a,b\n1,"2')
    with pytest.raises(ValueError, match=r"table\.csv: not a table \(.*\); make it anew"):
        read_table(tmp_path / "table.csv")


def test_what_is_empty_is_missing(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("sign,estimate\n,\n")
    assert read_table(tmp_path / "table.csv").isna().to_numpy().all()
    (tmp_path / "table.csv").write_text("\n")
    assert read_table(tmp_path / "table.csv").empty


def test_rows_of_the_study_are_kept_and_others_are_not() -> None:
    mine = study()
    others = [
        study(methods={"dp-sgd": {}, "dp-psasc": {"s": 8}}),
        study(datasets={"digits": {"epochs": 2}}),
        study(datasets={"digits": {"overrides": {"dp-psasc": {"learning_rate": 1}}}}),
    ]
    table = pd.DataFrame([row(mine), *(row(other) for other in others), row(mine, epsilon=8.0)])
    assert of_the_study(table, mine).index.tolist() == [0]
    assert of_the_study(table, mine)["epsilon"].tolist() == [3.0]
    assert of_the_study(table, mine, any_epsilon=True)["epsilon"].tolist() == [3.0, 8.0]


def test_what_a_trial_varies_does_not_matter() -> None:
    mine, other = study(), study(methods={"dp-sgd": {}, "dp-psasc": {"s": 8}})
    table = pd.DataFrame([row(other, trial="learning_rate=1,s=4"), row(other, trial="learning_rate=1")])
    assert of_the_study(table, mine)["settings"].tolist() == ["learning_rate=1,s=4"]


def test_names_do_not_matter() -> None:
    mine = study(methods={"dp-sgd": {}, "mine": {"method": "dp-psasc"}})
    assert len(of_the_study(pd.DataFrame([row(study())]), mine)) == 1


def test_both_the_method_and_the_trajectory_must_be_of_the_study() -> None:
    mine, other = study(), study(methods={"dp-sgd": {"C": 1}, "dp-psasc": {}})
    along = [{**row(mine), "trajectory_identity": row(of, "dp-sgd")["identity"]} for of in (mine, other)]
    table = pd.DataFrame(along).drop(columns="settings")
    assert of_the_study(table, mine)["trajectory_identity"].tolist() == [along[0]["trajectory_identity"]]


def test_table_that_does_not_say_what_it_is_of_is_of_no_study() -> None:
    for column in ("identity", "epsilon"):
        assert of_the_study(pd.DataFrame([row(study())]).drop(columns=column), study()).empty


def test_study_is_read_back_as_it_was(tmp_path: Path) -> None:
    assert read_study(tmp_path) is None
    (tmp_path / "study.json").write_text(study().model_dump_json())
    assert read_study(tmp_path) == study()


@pytest.mark.parametrize("name", ["deviation", "sweeps", "sweep_curves", "tuning"])
def test_shipped_tables_are_of_the_shipped_study(name: str) -> None:
    table = read_table(ROOT / "results" / f"{name}.csv")
    assert len(table)
    assert len(of_the_study(table, load_study(ROOT / "config" / "config.yaml"), any_epsilon=True)) == len(table)
