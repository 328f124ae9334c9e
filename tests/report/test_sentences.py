"""What is said of a study: the headline in each case that there is, with every number from the tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from figure_tables import primary_tables

from psasc_bench.analysis import results, write_claims
from psasc_bench.report import formats, render_claims_page, render_write_up, sentences
from psasc_bench.report.formats import MINUS
from psasc_bench.report.tables import Tables

HIGHER, LOWER = [0.010, 0.011, 0.012], [-0.010, -0.011, -0.012]
SAME, OPEN = [-0.0001, 0.0, 0.0001], [-0.02, 0.0, 0.03]
TITLES = {"dp-sgd": "DP-SGD", "dp-psasc": "DP-PSASC", "dp-psasc-inner": "DP-PSASC, inner", "auto-s": "Auto-S"}


def tables(
    folder: Path,
    gains: Mapping[str, Sequence[float]],
    *,
    method: str = "dp-psasc",
    reference: str = "dp-sgd",
    titles: Mapping[str, str] = TITLES,
    **columns: Mapping[str, Any],
) -> Tables:
    """By data set, how far each seed of ``method`` is ahead; a NaN is a run that is missing."""
    rows = [
        {"dataset": dataset, "dataset_title": dataset.title(), "epsilon": 3.0, "seed": seed, "control": False}
        | {"method": name, "method_title": titles[name], "status": "missing" if math.isnan(accuracy) else "done"}
        | {"test_accuracy": accuracy, "test_examples": 10_000, "tuned": False, "steps_taken": 10, "seconds": 1.0}
        | {column: of[dataset] for column, of in columns.items() if dataset in of}
        for dataset, of_dataset in gains.items()
        for seed, gain in enumerate(of_dataset)
        for name, accuracy in ((reference, 0.5), (method, 0.5 + gain))
    ]
    runs = pd.DataFrame(rows)
    runs = runs.drop_duplicates(["dataset", "method", "seed"])
    folder.mkdir()
    for name, table in {"runs": runs, "summary": results.summarise(runs, reference), **primary_tables(runs)}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame({"dataset": [], "method": [], "weight": []}).to_csv(folder / "weights.csv", index=False)
    write_claims([folder / "runs.csv", folder / "summary.csv"], folder)
    return Tables(folder)


def answer(found: Tables) -> str:
    return plain(sentences.answer(found))


def plain(text: str) -> str:
    """In one line, with hyphens for minus signs."""
    return " ".join(text.replace(MINUS, "-").split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


# ------------------------------------------------------------------------------------------------ the headline


def test_higher_everywhere(folder: Path) -> None:
    said = answer(tables(folder, {"one": HIGHER, "two": [0.02, 0.021, 0.022]}))
    assert said.startswith(
        "At the same epsilon and delta, DP-PSASC is more accurate than DP-SGD: its accuracy is higher on "
        "One (+1.10 [+0.85, +1.35]) and Two (+2.10 [+1.85, +2.35]). Over the 2 data sets the mean difference is +1.60 ["
    )


def test_no_gain_anywhere(folder: Path) -> None:
    said = answer(tables(folder, {"one": LOWER, "two": SAME, "three": SAME}))
    assert said.startswith(
        "At the same epsilon and delta, DP-PSASC does not gain 0.2 points of test accuracy over DP-SGD on any of 3 "
        "data sets: it is lower on One (-1.10 [-1.35, -0.85]) and unresolved on Two and Three. Over the 3 data sets"
    )


def test_mixed(folder: Path) -> None:
    said = answer(tables(folder, {"one": HIGHER, "two": LOWER, "three": OPEN}))
    assert (
        "the accuracy of DP-PSASC, compared with DP-SGD, is higher on One (+1.10 [+0.85, +1.35]), lower on Two (-1.10 "
        "[-1.35, -0.85]) and unresolved on Three; a gain of 0.2 points is excluded on Two."
    ) in said


def test_open_everywhere(folder: Path) -> None:
    said = answer(tables(folder, {"one": OPEN, "two": OPEN}))
    assert "is unresolved on One and Two; a gain of 0.2 points is excluded on none." in said


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        (HIGHER, "DP-PSASC is more accurate than DP-SGD: its accuracy is higher on One (+1.10 [+0.85, +1.35])."),
        (SAME, "DP-PSASC does not gain 0.2 points of test accuracy over DP-SGD on One: it is unresolved on One."),
        (
            [0.0] * 3,
            "DP-PSASC does not gain 0.2 points of test accuracy over DP-SGD on One: it is identical on One.",
        ),
    ],
)
def test_one_data_set_has_no_mean_over_data_sets(gains: list[float], said: str, folder: Path) -> None:
    assert answer(tables(folder, {"one": gains})) == f"At the same epsilon and delta, {said}"


def test_data_set_that_decides_nothing_is_not_in_the_answer(folder: Path) -> None:
    said = answer(tables(folder, {"one": HIGHER, "few": LOWER}, test_examples={"few": 360}))
    assert "Few" not in said
    assert "more accurate" in said


def test_digits_alone_decide_nothing_and_are_shown(folder: Path) -> None:
    assert answer(tables(folder, {"digits": LOWER}, test_examples={"digits": 360})) == (
        "Whether DP-PSASC is more accurate than DP-SGD is not decided: the difference is -1.10 [-1.35, -0.85] points "
        "on Digits, where one test example is more than 0.2 points."
    )


@pytest.mark.parametrize("gains", [[0.1], [math.nan] * 3])
def test_one_pair_or_none_decides_nothing(gains: list[float], folder: Path) -> None:
    assert answer(tables(folder, {"one": gains})) == (
        "Whether DP-PSASC is more accurate than DP-SGD is not decided: that takes two seeds or more of both on one "
        "data set."
    )


def test_tuned_data_sets_answer_only_where_there_are_no_others(tmp_path: Path) -> None:
    said = answer(tables(tmp_path / "a", {"one": HIGHER, "two": LOWER}, tuned={"two": True}))
    assert "more accurate" in said
    assert "Two" not in said
    tuned = {"one": True, "two": True}
    assert "Over the 2 data sets" in answer(tables(tmp_path / "b", {"one": LOWER, "two": LOWER}, tuned=tuned))


@pytest.mark.parametrize(("method", "reference"), [("dp-sgd", "dp-sgd"), ("dp-psasc", "dp-psasc")])
def test_study_without_a_method_or_a_reference_has_no_answer(method: str, reference: str, folder: Path) -> None:
    found = tables(folder, {"one": HIGHER}, method=method, reference=reference)
    assert answer(found) == ""
    page = render_write_up(folder, folder.parent / "study.md")
    assert "The study compares no method with a reference: nothing is decided" in page
    assert "nan" not in page


def test_numbers_of_the_headline_are_those_of_the_tables(folder: Path) -> None:
    found = tables(folder, {"one": HIGHER, "two": [0.004, 0.001, 0.008], "three": LOWER})
    said = answer(found)
    of_sign = found.comparisons[found.comparisons["sign"].isin(["higher", "lower"])]
    expected = [100 * row[end] for _, row in of_sign.iterrows() for end in ("mean", "low", "high")]
    row = found.answer.iloc[0]
    expected += [100 * row[end] for end in ("mean", "low", "high")] + [row["probability_higher"]]
    numbers = [float(one) for one in re.findall(r"[+-]\d+\.\d\d|\d\.\d\d(?=\.$)", said)]
    assert numbers == pytest.approx(expected, abs=0.005)


# ------------------------------------------------------------------------------------------------ parts of sentences


def test_interval_has_minus_signs_and_the_sides_of_what_is_rounded_to_zero() -> None:
    assert plain(formats.interval(-0.123, -0.2, 0.1)) == "-0.12 [-0.20, +0.10]"
    assert plain(formats.interval(-0.001, -0.004, 0.001)) == "-0.00 [-0.00, +0.00]"
    assert formats.interval(-0.0, 0.0, 0.0) == "+0.00 [+0.00, +0.00]"
    assert formats.interval(1.0, math.nan, math.nan) == "+1.00"
    assert formats.interval(5.0, -1.5, 11.5, digits=1, differences=False) == f"5.0 [{MINUS}1.5, 11.5]"


def test_comparisons_are_counted_by_sign_and_size() -> None:
    rows = pd.DataFrame(
        [("higher", "yes", "yes"), ("unresolved", "no", "yes"), ("unresolved", "unresolved", "yes")],
        columns=["sign", "within", "gain_excluded"],
    )
    assert sentences.counted(rows) == (
        "higher in 1 and unresolved in 2 of 3 comparisons; within ±0.2 points in 1; "
        "a gain of 0.2 points excluded in all"
    )
    assert sentences.counted(rows.iloc[1:2].assign(gain_excluded="no")) == "unresolved in the one comparison"


# ------------------------------------------------------------------------------------------------ whole pages

HOSTILE = "<b>$x_1$ & |pipe| *star*</b>"
STUDIES: dict[str, tuple[dict[str, Sequence[float]], dict[str, Any]]] = {
    "higher": ({"one": HIGHER, "two": HIGHER}, {}),
    "mixed, one tuned, one missing": (
        {"one": HIGHER, "two": LOWER, "three": OPEN, "lost": [math.nan] * 3},
        {"tuned": {"three": True}},
    ),
    "identical": ({"one": [0.0] * 3}, {}),
    "equal": ({"one": [0.01] * 3}, {}),
    "one pair": ({"one": [0.1]}, {}),
    "digits alone": ({"digits": LOWER}, {"test_examples": {"digits": 360}}),
    "nothing": ({"one": [math.nan] * 3}, {}),
    "one method": ({"one": HIGHER}, {"method": "dp-sgd"}),
    "momentum without the method": ({"one": HIGHER}, {"method": "dp-psasc-inner", "reference": "auto-s"}),
    "40 points behind": ({"one": [-0.40, -0.41, -0.42], "two": [-0.3, -0.31, -0.3]}, {}),
}


@pytest.mark.parametrize("name", STUDIES)
def test_no_page_shows_a_number_that_is_none(name: str, folder: Path) -> None:
    gains, options = STUDIES[name]
    tables(folder, gains, **options)
    for page in (render_write_up(folder, folder.parent / "study.md"), render_claims_page(folder)):
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b|\bNaN\b", page)
        assert not re.search(r" ,| \.(?!\d)|\(\)|  of ", page)


def test_titles_are_text_in_every_sentence(folder: Path) -> None:
    tables(folder, {"one": HIGHER, "two": LOWER}, titles=TITLES | {"dp-psasc": HOSTILE})
    for page in (render_write_up(folder, folder.parent / "study.md"), render_claims_page(folder)):
        assert "<b>" not in page
        assert "$x_1$" not in page
        assert r"\*star\*" in page


def test_measured_and_undecided_is_not_called_untested(folder: Path) -> None:
    tables(folder, {"digits": LOWER}, test_examples={"digits": 360})
    page = plain(render_write_up(folder, folder.parent / "study.md"))
    (claim,) = re.findall(r"\*\*C1: .*?\*\* (.*?) \[Figure\]", page)
    assert claim == "On Digits, where nothing is decided, the difference is -1.10 [-1.35, -0.85] to DP-SGD."


def test_old_tables_are_an_error_of_one_line(folder: Path) -> None:
    found = tables(folder, {"one": HIGHER})
    for name, column in (("comparisons", "decides"), ("answer", "tuned"), ("claims", "primary")):
        table = found.read(name)
        table.drop(columns=column).to_csv(folder / f"{name}.csv", index=False)
        with pytest.raises(ValueError, match=rf"{name}\.csv: has no column '{column}'; `snakemake --cores 8` makes it"):
            render_write_up(folder, folder.parent / "study.md")
        table.to_csv(folder / f"{name}.csv", index=False)
