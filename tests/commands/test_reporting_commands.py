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
    assert line.startswith(f"unknown method '{name}'; did you mean dp-sgd? known: adasig, ")


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


@pytest.mark.parametrize("arguments", [[], ["accuracy", "--dataset", "digits"]], ids=["nothing", "both"])
def test_table_either_writes_or_prints(arguments: list[str], refused: Refused) -> None:
    (line,) = refused("table", *arguments)
    assert line == (
        "either name tables to write (accuracy, literature, convergence, claims, robustness, cost), or give --dataset, "
        "--epsilon or --method to print cells"
    )


def test_comparison_takes_results_folders_those_above_and_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study's file stands for the folder that the workflow gives it, beside the shipped study."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    shipped = write_study(Path("config/config.yaml"))
    mine = write_study(Path("mine.yaml"), epochs=2)
    for results in (Path("results"), Path("studies/mine/results")):
        results.mkdir(parents=True)
        row = "digits,8,dp-sgd,0,done,0.9"
        (results / "runs.csv").write_text(f"dataset,epsilon,method,seed,status,test_accuracy\n{row}\n")
    for first, second in [("results", "studies/mine"), (shipped, mine)]:
        assert cli.main(["compare", str(first), str(second)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "A: results",
            "B: studies/mine/results",
            "",
            "1 of 1 runs have the same accuracy",
        ]


def test_comparison_with_no_results_is_refused(tmp_path: Path, refused: Refused) -> None:
    (line,) = refused("compare", tmp_path, tmp_path)
    assert line == f"{tmp_path}: no results folder with a runs.csv, nor a study that has one"


def test_figures_whose_tables_are_not_there_are_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["figure"]) == 0
    told = capsys.readouterr().out
    assert "forest is not drawn: it needs results/summary.csv, which `snakemake --cores 8 results/summary.csv` " in told
