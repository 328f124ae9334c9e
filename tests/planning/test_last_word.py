"""What the workflow says last: how the runs ended, whether the tables are the shipped ones, and what to open."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest
from planned_studies import planned, write_record

from psasc_bench.planning import last_word
from psasc_bench.study import Cell, Study


@pytest.fixture
def study() -> Study:
    return planned()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone that ships a study with its summary and its write-up."""
    for name in ("config/config.yaml", "results/summary.csv", "docs/study.md", "psasc_bench/code.py"):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_text("as shipped\n")
    for command in (["init"], ["add", "."], ["-c", "user.name=me", "-c", "user.email=me@here", "commit", "-m", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path / "clone", check=True, capture_output=True)
    return tmp_path / "clone"


def said(study: Study, folder: Path, project: Path) -> list[str]:
    return list(last_word(study, folder, project=project, seen_from=project))


def test_reproduction_is_said_to_agree(study: Study, clone: Path) -> None:
    (clone / "results" / "runs.csv").write_text("new, and in no commit\n")
    (clone / "psasc_bench" / "code.py").write_text("edited: no table\n")
    assert said(study, clone, clone)[1:] == ["tables and figures agree with the shipped ones", "open docs/study.md"]


def test_tables_that_came_out_otherwise_are_named(study: Study, clone: Path) -> None:
    (clone / "results" / "summary.csv").write_text("otherwise\n")
    (clone / "results" / "explorer.html").touch()
    assert said(study, clone, clone)[1:] == [
        "unlike the shipped ones, as `git diff` shows: results/summary.csv",
        "open docs/study.md and results/explorer.html",
    ]


def test_study_of_ones_own_is_found_and_compared_with_nothing(study: Study, clone: Path) -> None:
    mine = clone / "studies" / "mine"
    mine.mkdir(parents=True)
    (mine / "study.md").touch()
    assert said(study, mine, clone)[1:] == ["what was made is in studies/mine", "open studies/mine/study.md"]


def test_where_there_is_no_git_nothing_is_said_of_it(study: Study, tmp_path: Path) -> None:
    assert len(said(study, tmp_path, tmp_path)) == 1


def test_runs_are_counted_by_how_they_ended(study: Study, tmp_path: Path) -> None:
    runs = tmp_path / "results" / "runs"
    cells = [Cell("digits", "dp-sgd", 10.0), Cell("digits", "dp-sgd", 0.5), Cell("digits", "nonprivate", math.inf)]
    for cell in cells:
        write_record(study, runs, cell, seed=0)
        write_record(study, runs, cell, seed=1)
    write_record(study, runs, Cell("letters", "dp-sgd", 3.0), seed=7)
    write_record(study, runs, Cell("letters", "nonprivate", math.inf), seed=7)
    assert said(study, tmp_path, tmp_path) == ["all 8 runs are done"]
    write_record(study, runs, cells[0], seed=1, status="diverged", reason="the loss is infinite")
    (runs / "letters" / "dp-sgd" / "eps-3" / "seed-7.json").unlink()
    counts = "of 8 runs: 6 done, 1 diverged, 1 missing; `psasc-bench status` names them"
    assert said(study, tmp_path, tmp_path) == [counts]
