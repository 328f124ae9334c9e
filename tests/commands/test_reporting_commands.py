"""The commands that report: methods, tables and figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_calls import Refused, write_study

from psasc_bench import cli, methods


def test_info_tells_of_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for name in methods.names():
        assert f"{name} ({methods.load(name).title})" in printed


def test_info_of_one_method_has_formula_citation_and_hyper_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "auto-s"]) == 0
    printed = capsys.readouterr().out
    assert "w(x) = C/(x + gamma)" in printed
    assert "arXiv 2206.07136" in printed
    assert ", C, gamma=0.01" in printed
    assert "dp-sgd" not in printed


@pytest.mark.parametrize("name", ["dp-sgf", "dp_sgd"])
def test_unknown_method_is_refused_with_the_likeliest_and_the_known_ones(name: str, refused: Refused) -> None:
    (line,) = refused("info", name)
    assert line.startswith(f"unknown method '{name}'; did you mean dp-sgd? known: auto-s, ")


def test_absent_configuration_is_named(tmp_path: Path, refused: Refused) -> None:
    (line,) = refused("collect", "--config", tmp_path / "absent.yaml")
    assert line == f"{tmp_path / 'absent.yaml'}: cannot be read: No such file or directory"


def test_every_problem_of_a_configuration_gets_a_line(study: Path, refused: Refused) -> None:
    write_study(study, clip=1, epochs=0)
    assert [line.split(": ")[1] for line in refused("collect", "--config", study)] == [
        "datasets.digits.epochs",
        "datasets.digits.clip",
    ]


def test_unknown_figure_is_refused_with_the_known_ones(refused: Refused) -> None:
    (line,) = refused("figure", "pie")
    assert line.startswith("no figure 'pie'; there are: ")


@pytest.mark.usefixtures("study")
def test_data_set_that_the_tables_do_not_have_is_refused_with_those_they_have(refused: Refused) -> None:
    Path("results").mkdir()
    Path("results/summary.csv").write_text("dataset\ndigits\nmnist\n")
    (line,) = refused("figure", "accuracy", "--dataset", "nope")
    assert line == "--dataset: no 'nope'; the tables in results are of digits, mnist"
    assert not Path("figures").exists()


def test_damaged_record_is_refused_by_name(study: Path, refused: Refused) -> None:
    path = Path("results/runs/digits/dp-sgd/eps-8/seed-0.json")
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1')
    (line,) = refused("collect", "--config", study)
    assert line.startswith(f"{path}: not a run record")
