"""What is told of two results folders: what differs, what one alone has, and a last line that sums up."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from typeset_tables import write

from psasc_bench.report import render_comparison


def edited(folder: Path, table: str, **columns: object) -> Path:
    pd.read_csv(folder / f"{table}.csv").assign(**columns).to_csv(folder / f"{table}.csv", index=False)
    return folder


def test_reproduction_is_told_in_a_line(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, epsilons=(1.0, 3.0)) for name in ("one", "other"))
    assert render_comparison(one, other) == f"A: {one}\nB: {other}\n\n15 of 15 runs have the same accuracy"


def test_cells_that_differ_are_listed_with_difference_and_settings(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    runs = pd.read_csv(other / "runs.csv")
    ahead = runs["method"] == "auto-s"
    runs.loc[ahead, "test_accuracy"] += [0.01, 0.01, 0]
    runs.loc[ahead, "learning_rate"] = 0.75
    runs.to_csv(other / "runs.csv", index=False)
    lines = render_comparison(one, other).splitlines()
    (line,) = [line for line in lines if "auto-s" in line]
    assert line.split()[:4] == ["digits/auto-s/eps-3", "81.00", "81.67", "+0.67"]
    assert "3 pairs, 1 the same" in line
    assert line.endswith("learning rate 0.5 and 0.75")
    assert lines[-1] == "7 of 9 runs have the same accuracy; 1 of 3 cells differ"


def test_machines_are_named_where_accuracies_differ(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one"), edited(write(tmp_path / "other"), "times", cpu="Xeon")
    assert "Xeon" not in render_comparison(one, other)
    runs = pd.read_csv(other / "runs.csv")
    edited(other, "runs", test_accuracy=runs["test_accuracy"] - 0.01)
    assert "A was made on cpu, EPYC, 2.9; B on cpu, Xeon, 2.9." in render_comparison(one, other)


def test_cells_of_one_alone_are_gathered(tmp_path: Path) -> None:
    one = write(tmp_path / "one", epsilons=(1.0, 3.0, 8.0))
    lines = render_comparison(one, write(tmp_path / "other", epsilons=(3.0,), methods=("dp-sgd",))).splitlines()
    assert lines[3:] == [
        "Only A has",
        "  digits/dp-sgd at epsilon 1, 8",
        "  digits/auto-s at epsilon 1, 3, 8",
        "",
        "6 of 6 runs have the same accuracy; 5 cells are in A alone",
    ]


def test_folders_without_a_common_cell_say_so(tmp_path: Path) -> None:
    other = edited(write(tmp_path / "other"), "runs", dataset="letters", model="another")
    last = render_comparison(write(tmp_path / "one"), other).splitlines()[-1]
    assert last == "3 cells are in A alone; 3 cells are in B alone"
