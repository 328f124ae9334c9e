"""What there is to show: what lies in the results folder, by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from planned_studies import planned

from psasc_bench.planning import begun, digests, figure_tables, of_others, requested_tables, there_is, typesettable
from psasc_bench.report import FIGURES


def put(path: Path, text: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_files_that_exist_have_digests_in_the_order_of_their_names(tmp_path: Path) -> None:
    second, first = put(tmp_path / "b.csv", "2"), put(tmp_path / "a.csv", "1")
    found = digests(tmp_path / name for name in ("b.csv", "absent.csv", "a.csv"))
    assert list(found.items()) == [(first, sha256("1")), (second, sha256("2"))]


def test_tables_that_are_there_are_shown_by_content(tmp_path: Path) -> None:
    cost = put(tmp_path / "cost.csv", "1")
    put(tmp_path / "other.csv")
    assert there_is(tmp_path, "cost", "tuning") == {cost: sha256("1")}
    put(tmp_path / "cost.csv", "2")
    assert there_is(tmp_path, "cost", "tuning") == {cost: sha256("2")}
    assert there_is(tmp_path) == {}


def test_table_on_request_is_typeset_if_one_that_it_needs_is_there(tmp_path: Path) -> None:
    always = ["accuracy", "literature", "convergence", "claims"]
    assert typesettable(tmp_path) == always
    put(tmp_path / "sweeps.csv")
    assert typesettable(tmp_path) == [*always, "robustness"]
    put(tmp_path / "cost.csv")
    assert typesettable(tmp_path) == [*always, "robustness", "cost"]


def test_only_data_sets_that_are_not_trained_are_others(tmp_path: Path) -> None:
    put(tmp_path / "digits" / "dp-sgd" / "seed-0.json")
    record = put(tmp_path / "letters" / "dp-sgd" / "seed-7.json", "{}")
    put(tmp_path / "letters" / "dp-sgd" / "seed-7.csv")
    put(tmp_path / "cifar10" / "dp-sgd" / "seed-0.json")
    assert of_others(planned(train=["digits"]), tmp_path) == {record: sha256("{}")}
    assert of_others(planned(), tmp_path) == {}


def test_of_others_the_files_with_the_ending_are_found_wherever_they_lie(tmp_path: Path) -> None:
    curve = put(tmp_path / "tuning" / "C=0.1" / "runs" / "letters" / "eps-3" / "seed-7.csv", "x")
    put(tmp_path / "letters.csv")
    assert of_others(planned(train=["digits"]), tmp_path, "csv") == {curve: sha256("x")}
    assert of_others(planned(train=["digits"]), tmp_path / "absent", "csv") == {}


def test_data_sets_are_begun_that_are_trained_or_have_records(tmp_path: Path) -> None:
    study = planned(train=["digits"])
    assert begun(study, tmp_path) == ["digits"]
    put(tmp_path / "runs" / "letters" / "dp-sgd" / "eps-3" / "seed-7.json")
    put(tmp_path / "runs" / "cifar10" / "dp-sgd" / "eps-3" / "seed-7.json")
    assert begun(study, tmp_path) == ["digits", "letters"]
    assert begun(planned(train=[]), tmp_path) == ["letters"]


def test_figure_is_drawn_from_the_tables_in_its_plan() -> None:
    drawn = figure_tables("accuracy", Path("results"), made_of=Path("results/made_of.json"))
    assert drawn == ["results/runs.csv", "results/summary.csv"]


def test_figure_of_tables_on_request_alone_is_younger_than_made_of() -> None:
    assert not FIGURES["cost"].tables
    assert figure_tables("cost", Path("results"), made_of=Path("results/made_of.json")) == ["results/made_of.json"]


@pytest.mark.parametrize(
    ("figure", "shown"), [("accuracy", []), ("cost", ["cost"]), ("deviation", ["deviation"]), ("momentum", ["sweeps"])]
)
def test_figure_shows_what_there_is_of_tables_on_request(figure: str, shown: list[str], tmp_path: Path) -> None:
    assert requested_tables(figure, tmp_path) == {}
    for table in ("cost", "deviation", "sweeps"):
        put(tmp_path / f"{table}.csv")
    assert list(requested_tables(figure, tmp_path)) == [str(tmp_path / f"{table}.csv") for table in shown]
