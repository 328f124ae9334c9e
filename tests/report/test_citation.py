"""Cells on the terminal: with their terms, interval, paired difference, and how to cite them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typeset_tables import half_width, write

from psasc_bench.analysis import results
from psasc_bench.report import render_cells
from psasc_bench.report.formats import DASH

HALF = f"{100 * half_width([0.7, 0.8, 0.9]):.2f}"


def citation(text: str) -> str:
    return text.splitlines()[-1].strip()


def test_cell_has_all_that_is_needed_to_cite_it(tmp_path: Path) -> None:
    text = render_cells(write(tmp_path, epsilons=(1.0, 3.0)), dataset="digits", epsilon=3, method="auto-s")
    words = " ".join(text.split())
    assert words.startswith("Digits Model digits_cnn, N = 1,000 training examples, q = 0.25")
    assert "Noise multiplier: 4 at ε = 3. Settings: AUTO-S gamma = 0.01, C = 0.1." in words
    low, high = 81 - float(HALF), 81 + float(HALF)
    assert f"3 AUTO-S 81.00 ± {HALF} [{low:.2f}, {high:.2f}] 3 +1.00 [+1.00, +1.00], 3 pairs" in words
    assert "DP-SGD C =" not in words
    assert citation(text) == (
        "psasc-bench results, commits aaaaaaa and bbbbbbb, 2026-11-22: AUTO-S on Digits at epsilon 3: "
        f"81.00 ± {HALF} % (95 % t-interval, 3 seeds)"
    )


def test_several_cells_are_cited_by_data_set(tmp_path: Path) -> None:
    text = render_cells(write(tmp_path, epsilons=(1.0, 3.0)), epsilon=3)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("3 ")] == ["DP-SGD", "AUTO-S"]
    assert citation(text).endswith(
        ": test accuracy on Digits (percent, mean ± half-width of the 95 % t-interval over 3 seeds); "
        "for one number, add --epsilon and --method"
    )


def test_modified_package_and_one_seed_are_said(tmp_path: Path) -> None:
    times = pd.read_csv(write(tmp_path, seeds=1) / "times.csv")
    times.assign(modified=True).to_csv(tmp_path / "times.csv", index=False)
    assert citation(render_cells(tmp_path, epsilon=3, method="dp-sgd")) == (
        "psasc-bench results, commit aaaaaaa (modified), 2026-11-20: DP-SGD on Digits at epsilon 3: 80.00 % "
        "(no interval, 1 seed)"
    )


def test_what_is_not_known_is_left_out_of_the_citation(tmp_path: Path) -> None:
    (write(tmp_path) / "times.csv").unlink()
    assert citation(render_cells(tmp_path, epsilon=3, method="dp-sgd")).startswith("psasc-bench results: DP-SGD on")


def test_identical_pairs_are_said_to_be(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path) / "runs.csv")
    same = runs["test_accuracy"] - 0.01 * (runs["method"] == "auto-s")
    results.summarise(runs.assign(test_accuracy=same), "dp-sgd").to_csv(tmp_path / "summary.csv", index=False)
    assert "identical in all 3 pairs" in render_cells(tmp_path, method="auto-s")


def test_cells_without_a_finished_run_are_counted(tmp_path: Path) -> None:
    runs = pd.read_csv(write(tmp_path) / "runs.csv")
    missing = runs.assign(status=runs["status"].mask(runs["method"] == "auto-s", "missing"))
    missing.to_csv(tmp_path / "runs.csv", index=False)
    results.summarise(missing, "dp-sgd").to_csv(tmp_path / "summary.csv", index=False)
    text = render_cells(tmp_path, method="auto-s")
    assert text == "Digits: no run has finished. Runs that enter no mean: 3 missing."
    row = next(line for line in render_cells(tmp_path, epsilon=3).splitlines() if "AUTO-S" in line)
    assert row.split() == ["3", "AUTO-S", DASH, DASH, "0", DASH]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"dataset": "nope"}, "--dataset: no nope; there are: digits"),
        ({"epsilon": 2.0}, "--epsilon: no 2; there are: 1, 3, inf"),
        ({"method": "DP-SGD"}, "--method: no DP-SGD; there are: dp-sgd, auto-s, nonprivate"),
        (
            {"dataset": "digits", "epsilon": 3.0, "method": "nonprivate"},
            "--method: no nonprivate beside --dataset digits --epsilon 3; there are: dp-sgd, auto-s",
        ),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(wanted: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        render_cells(write(tmp_path, epsilons=(1.0, 3.0)), **wanted)  # type: ignore[arg-type]
