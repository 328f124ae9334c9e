"""The page to explore a study with, opened in a real browser: figures, filters and tables."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_page import HOSTILE, METHODS, Open, choose, column, marks, means, score, show
from playwright.sync_api import expect

from psasc_bench.analysis import t_interval

# ------------------------------------------------------------------------------------------------ what it shows


def test_means_and_intervals_are_those_of_the_tables(open_page: Open) -> None:
    found = means(open_page())
    assert set(found) == set(itertools.product(["dp-sgd", "dp-psasc", "mine"], ["1", "8"]))
    for (method, epsilon), mark in found.items():
        seeds = range(2 if (method, epsilon) == ("mine", "8") else 3)
        values = np.array([100 * score(method, float(epsilon), seed) for seed in seeds])
        shown = [float(mark[end].replace("\N{MINUS SIGN}", "-")) for end in ("mean", "low", "high")]
        assert shown == pytest.approx(t_interval(values), abs=5e-3)
        assert mark["seeds"] == str(len(seeds))


def test_differences_are_paired_by_seed(open_page: Open) -> None:
    page = open_page()
    show(page, "budget", "Difference to DP-SGD, paired by seed (percentage points)")
    found = means(page)
    assert {method for method, _ in found} == {"dp-psasc", "mine"}
    assert float(found["dp-psasc", "1"]["mean"]) == pytest.approx(1)
    assert float(found["mine", "8"]["mean"]) == pytest.approx(2)  # over the two seeds that both have finished


def test_pointing_at_a_run_shows_its_record(open_page: Open) -> None:
    page = open_page()
    page.locator("#figure-budget g.layer_1_marks path").first.hover()
    cells = page.locator("#vg-tooltip-element.visible td").all_inner_texts()
    record = dict(zip(cells[::2], cells[1::2], strict=True))
    assert record["method"] == "DP-SGD"
    assert float(record["test_accuracy"]) in [pytest.approx(score("dp-sgd", 1, seed)) for seed in range(3)]
    assert record["seconds"] == "1.5"


def test_there_is_a_panel_per_budget_with_a_common_scale(open_page: Open) -> None:
    page = open_page()
    headings = page.locator("#figure-epoch h3").all_inner_texts()
    assert headings == ["Test accuracy (%), ε = 1", "Test accuracy (%), ε = 8"]
    axes = page.locator("#figure-epoch g.role-axis[aria-label^='Y-axis']").all()
    assert len(axes) == 2
    assert len({axis.get_attribute("aria-label") for axis in axes}) == 1


def test_panels_have_as_much_room_as_there_are_of_them(open_page: Open) -> None:
    page = open_page()
    for panels in (2, 1, 2):
        page.locator("input[name=epsilon][value='8']").set_checked(panels == 2)
        page.evaluate("refresh()")
        room = [panel.bounding_box() for panel in page.locator("#figure-epoch .panels > div").all()]
        charts = [chart.bounding_box() for chart in page.locator("#figure-epoch svg.marks").all()]
        assert len(room) == len(charts) == panels
        for chart, panel in zip(charts, room, strict=True):
            assert chart is not None
            assert panel is not None
            assert chart["width"] == pytest.approx(panel["width"], abs=2)


def test_every_method_has_a_marker_of_its_own(open_page: Open) -> None:
    page = open_page()
    points = page.locator("#figure-budget g.layer_2_marks path").all()
    shapes = {re.sub(r"[^A-Za-z]", "", point.get_attribute("d") or "") for point in points}
    assert len(points) == 2 * len(shapes) == 6


# ------------------------------------------------------------------------------------------------ filters


def test_a_method_that_is_not_chosen_is_in_no_figure_and_no_table(open_page: Open) -> None:
    page = open_page()
    choose(page, "DP-PSASC", checked=False)
    for figure in ("budget", "epoch"):
        assert {mark["method"] for mark in marks(page, figure, 2)} == {"dp-sgd", "mine"}
    for table in ("summary", "runs", "audit"):
        assert set(column(page, table, "method")) == {"DP-SGD", "My method"}
    expect(page.locator("#count")).to_have_text("12 of 42 runs are chosen, 11 of them finished.")


def test_controls_are_shown_on_request(open_page: Open) -> None:
    page = open_page()
    assert "non-private" not in column(page, "runs", "method")
    choose(page, "non-private")
    assert "nonprivate" in {method for method, _ in means(page)}
    assert page.locator("#figure-epoch h3").all_inner_texts()[-1].endswith("ε = ∞")


def test_one_seed_is_its_own_mean_without_an_interval(open_page: Open) -> None:
    page = open_page()
    for name, value in (("epsilon", "1"), ("seed", "0"), ("seed", "2")):
        page.locator(f"input[name={name}][value='{value}']").uncheck()
    page.evaluate("refresh()")
    mark = means(page)["dp-psasc", "8"]
    assert {mark["mean"], mark["low"], mark["high"]} == {f"{100 * score('dp-psasc', 8, 1):.5g}"}
    assert page.locator("#figure-epoch h3").all_inner_texts() == ["Test accuracy (%), ε = 8"]


def test_nothing_chosen_is_said_and_not_an_error(open_page: Open) -> None:
    page = open_page()
    for title in METHODS.values():
        choose(page, title, checked=False)
    expect(page.locator("#figure-budget .panels + *, #figure-budget p").first).to_be_visible()
    assert page.locator("#table-runs tbody tr").count() == 0
    choose(page, "DP-SGD")
    assert {method for method, _ in means(page)} == {"dp-sgd"}


# ------------------------------------------------------------------------------------------------ tables


def test_tables_sort_as_numbers_with_gaps_last_both_ways(open_page: Open) -> None:
    page = open_page()
    choose(page, "non-private")
    button = page.locator("#table-runs thead button", has_text="epsilon")
    button.click()
    assert column(page, "runs", "epsilon") == ["1"] * 9 + ["8"] * 9 + ["∞"] * 3
    button.click()
    assert column(page, "runs", "epsilon") == ["∞"] * 3 + ["8"] * 9 + ["1"] * 9
    expect(page.locator("#table-runs th", has_text="epsilon")).to_have_attribute("aria-sort", "descending")
    for _ in range(2):
        page.locator("#table-runs thead button", has_text="test accuracy").click()
        shown = column(page, "runs", "test accuracy")
        assert shown[-1] == ""
        assert "" not in shown[:-1]
    assert shown[:-1] == sorted(shown[:-1], key=float, reverse=True)


def test_download_is_what_is_chosen(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    choose(page, "DP-SGD", checked=False)
    with page.expect_download() as found:
        page.get_by_role("button", name="Download the data of: Runs").click()
    assert found.value.suggested_filename == "runs.csv"
    found.value.save_as(tmp_path / "runs.csv")
    table = pd.read_csv(tmp_path / "runs.csv")
    assert len(table) == 12
    assert set(table["method"]) == {"dp-psasc", "mine"}
    assert table["reason"].dropna().tolist() == [HOSTILE]
    accuracies = [score(row.method, row.epsilon, row.seed) for row in table[table["status"] == "done"].itertuples()]
    assert table["test_accuracy"].dropna().tolist() == pytest.approx(accuracies, abs=1e-5)


def test_every_figure_and_table_can_be_downloaded(open_page: Open) -> None:
    page = open_page()
    sections = page.locator("#figures section, #tables section")
    assert sections.count() == sections.locator("button", has_text="Download CSV").count() == 7
