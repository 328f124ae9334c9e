"""Published accuracies: each has a source, and agrees with ours where the intervals meet."""

from __future__ import annotations

import pandas as pd
import pytest

from psasc_bench.analysis import literature, results

CELL = {"dataset": "mnist", "dataset_title": "MNIST", "epsilon": 3.0, "n": 5}


def test_every_published_number_is_one_and_has_a_source() -> None:
    published = literature.published()
    assert published["accuracy"].between(50, 100).all()
    assert published["source"].notna().all()
    assert not published.duplicated([*results.CELL, "source"]).any()
    assert (published["method"] == "dp-psasc").sum() == 0


def summary(*cells: tuple[str, float, float]) -> pd.DataFrame:
    """Cells of MNIST at epsilon 3: method, mean and half width in percent."""
    rows = [
        CELL
        | {"method": method, "method_title": method}
        | {"accuracy_mean": mean / 100, "accuracy_high": (mean + half) / 100}
        for method, mean, half in cells
    ]
    return pd.DataFrame(rows)


def agreement(mean: float, half: float) -> dict[str, bool]:
    """With AdaSig's 98.11 ± .04, R+R's 98.15 ± .14 and Tramer & Boneh's 98.1, which has no interval."""
    compared = literature.beside_published(summary(("dp-sgd", mean, half))).set_index("source")
    assert compared.loc["AdaSig 2025", "difference"] == pytest.approx(mean - 98.11)
    return {source: agrees for source, agrees in compared["agrees"].items() if not pd.isna(agrees)}


@pytest.mark.parametrize(
    ("mean", "half", "agrees"),
    [(98.1, 0.01, (True, True)), (98.26, 0.1, (False, True)), (98.26, 0.12, (True, True)), (97, 0.5, (False, False))],
)
def test_accuracies_agree_where_their_intervals_meet(mean: float, half: float, agrees: tuple[bool, bool]) -> None:
    found = agreement(mean, half)
    assert (found["AdaSig 2025"], found["R+R Auto-S 2024"]) == agrees
    assert "Tramer & Boneh 2021" not in found


def test_one_seed_agrees_with_nothing_and_contradicts_nothing() -> None:
    assert agreement(90, float("nan")) == {}


def test_cells_that_have_not_been_run_are_not_compared() -> None:
    cells = summary(("dp-sgd", 98, 0.1), ("auto-s", 98, 0.1))
    cells.loc[1, "n"] = 0
    assert set(literature.beside_published(cells)["method"]) == {"dp-sgd"}
