"""The page to explore a study with, opened in a real browser: figures, filters and tables."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from explorer_page import HOSTILE, METHODS, Open, choose, column, marks, means, plain, score, show
from playwright.sync_api import expect

from psasc_bench.analysis import t_interval

# ------------------------------------------------------------------------------------------------ what it shows


def test_means_and_intervals_are_those_of_the_tables(open_page: Open) -> None:
    found = means(open_page())
    assert set(found) == set(itertools.product(["dp-sgd", "dp-psasc", "mine"], ["1", "8"]))
    for (method, epsilon), mark in found.items():
        seeds = range(2 if (method, epsilon) == ("mine", "8") else 3)
        values = np.array([100 * score(method, float(epsilon), seed) for seed in seeds])
        mean, _, high = t_interval(values)
        assert plain(mark["mean"]) == pytest.approx(mean, abs=6e-3)
        assert plain(mark["±"]) == pytest.approx(high - mean, rel=0.05)
        assert mark["seeds"] == str(len(seeds))


def test_differences_are_paired_by_seed(open_page: Open) -> None:
    found = means(open_page(), "difference")
    assert {method for method, _ in found} == {"dp-psasc", "mine"}
    assert found["dp-psasc", "1"]["mean"] == "+1.00"
    assert found["mine", "8"]["mean"] == "+1.99"  # over seeds 0 and 1, which both have finished: 1.98 and 2


def test_differences_come_first_and_the_primary_ones_of_all_data_sets(open_page: Open) -> None:
    page = open_page()
    titles = page.locator("#figures h2").all_inner_texts()
    assert titles[:4] == [
        "Differences",
        "Differences by privacy budget",
        "Differences by epoch",
        "Accuracy by privacy budget",
    ]
    assert page.locator("#figure-primary h4").all_inner_texts() == ["Digits", HOSTILE, "Mean over data sets"]
    shown = [(mark["method"], mark["mean"], mark["decided"]) for mark in marks(page, "primary", "means")]
    assert shown == [
        ("dp-psasc", "+1.00", "higher, not within ±0.2"),
        ("mine", "+1.99", "higher, not within ±0.2"),
        ("dp-psasc", "+1.00", "decides nothing"),
        ("mine", "+2.00", "decides nothing"),
        ("dp-psasc", "+1.00", "gain above 0.2: 62 %"),
    ]
    choose(page, "My method", checked=False)
    assert {mark["method"] for mark in marks(page, "primary", "means")} == {"dp-psasc"}


def test_panels_of_differences_share_a_scale_that_shows_the_band(open_page: Open) -> None:
    page = open_page()
    axes = page.locator("#figure-primary g.role-axis[aria-label^='X-axis']")
    labels = {axis.get_attribute("aria-label") for axis in axes.all()}
    assert len(labels) == 1
    least, most = re.findall(r"from (\S+) to (\S+)", labels.pop() or "")[0]
    assert plain(least) <= -0.2
    assert plain(most) >= 2


def test_pointing_at_a_run_shows_it_in_percent(open_page: Open) -> None:
    page = open_page()
    page.locator("#figure-accuracy g.runs_marks path").first.hover()
    cells = page.locator("#vg-tooltip-element.visible td").all_inner_texts()
    record = dict(zip(cells[::2], cells[1::2], strict=True))
    assert record["method"] == "DP-SGD"
    assert float(record["accuracy (%)"]) in [pytest.approx(100 * score("dp-sgd", 1, seed)) for seed in range(3)]


def test_there_is_a_panel_per_budget_with_a_common_scale(open_page: Open) -> None:
    page = open_page()
    assert page.locator("#figure-epoch h3").all_inner_texts() == ["Test accuracy (%)"]
    assert page.locator("#figure-epoch h4").all_inner_texts() == ["ε = 1", "ε = 8"]
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
    points = page.locator("#figure-accuracy g.means_marks path").all()
    shapes = {re.sub(r"[^A-Za-z]", "", point.get_attribute("d") or "") for point in points}
    assert len(points) == 2 * len(shapes) == 6


# ------------------------------------------------------------------------------------------------ filters


def test_a_method_that_is_not_chosen_is_in_no_figure_and_no_table(open_page: Open) -> None:
    page = open_page()
    choose(page, "DP-PSASC", checked=False)
    for figure in ("accuracy", "epoch"):
        assert {mark["method"] for mark in marks(page, figure, "means")} == {"dp-sgd", "mine"}
    for table in ("summary", "runs", "audit"):
        assert set(column(page, table, "method")) == {"DP-SGD", "My method"}
    expect(page.locator("#count")).to_have_text("12 of 42 runs are chosen, 11 of them finished.")


def test_controls_are_shown_on_request(open_page: Open) -> None:
    page = open_page()
    assert "non-private" not in column(page, "runs", "method")
    choose(page, "non-private")
    assert "nonprivate" in {method for method, _ in means(page)}
    assert page.locator("#figure-epoch h4").all_inner_texts()[-1] == "ε = ∞"


def test_nothing_chosen_is_said_and_not_an_error(open_page: Open) -> None:
    page = open_page()
    for title in METHODS.values():
        choose(page, title, checked=False)
    expect(page.locator("#figure-accuracy p").first).to_be_visible()
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
        page.locator("#table-runs thead button", has_text="accuracy (%)").click()
        shown = column(page, "runs", "accuracy (%)")
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
    done = table[table["status"] == "done"]
    accuracies = [100 * score(row.method, row.epsilon, row.seed) for row in done.itertuples()]
    assert table["accuracy_percent"].dropna().tolist() == pytest.approx(accuracies, abs=1e-2)


def test_every_figure_and_table_can_be_downloaded(open_page: Open) -> None:
    page = open_page()
    sections = page.locator("#figures section, #tables section")
    assert sections.count() == sections.locator("button", has_text="Download CSV").count() == 12


def test_tables_show_percent_and_never_fractions(open_page: Open) -> None:
    page = open_page()
    first = t_interval(np.array([100 * score("dp-sgd", 1, seed) for seed in range(3)]))
    assert column(page, "summary", "accuracy (%)")[0] == f"{first[0]:.2f} ± {first[2] - first[0]:.2f}"
    assert column(page, "summary", "difference (points)")[-1] == "+1.99 ± 0.13"  # 12.706 sd / sqrt(2)
    assert column(page, "runs", "accuracy (%)")[:2] == ["80.20", "81.20"]
    assert column(page, "answer", "difference (points)") == ["+1.00 ± 0.80"]
    assert column(page, "answer", "prediction low (points)") == ["\N{MINUS SIGN}1.00"]
    assert column(page, "answer", "probability higher (%)") == ["62.50"]
    assert column(page, "comparisons", "detectable (points)")[0] == "0.03"
    assert column(page, "audit", "confidence (%)")[0] == "99.90"


def test_what_was_decided_stands_beside_the_method(open_page: Open) -> None:
    page = open_page()
    for table, decided in {"summary": "primary comparison", "comparisons": "reference"}.items():
        heads = [re.sub(r"[^\w)]+$", "", head) for head in page.locator(f"#table-{table} th").all_inner_texts()]
        assert heads[:2] == ["method", decided]
    words = dict(zip(column(page, "summary", "method"), column(page, "summary", "primary comparison"), strict=True))
    assert words == {"DP-SGD": "", "DP-PSASC": "higher, not within ±0.2", "My method": "higher, not within ±0.2"}
    assert column(page, "comparisons", "sign") == ["higher", "higher"]
    assert column(page, "comparisons", "within ±0.2") == ["no", "no"]
    page.locator("select[name=dataset]").select_option("hostile")
    page.evaluate("refresh()")
    assert set(column(page, "summary", "primary comparison")) == {"", "decides nothing"}


def test_method_stays_in_place_while_its_row_is_scrolled(open_page: Open) -> None:
    page = open_page()
    for table in ("runs", "summary", "comparisons"):
        region = page.locator(f"#table-{table} .scroll")
        region.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
        assert region.evaluate("one => one.scrollLeft") > 50
        region.scroll_into_view_if_needed()
        edge = region.bounding_box()
        assert edge is not None
        for cell in (region.locator("tbody th").first, region.locator("thead th", has_text="method")):
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] == pytest.approx(edge["x"], abs=2)
            on_top = "([x, y]) => document.elementFromPoint(x, y).closest('th').innerText"
            assert page.evaluate(on_top, [box["x"] + 20, box["y"] + box["height"] / 2]) == cell.inner_text()


# ------------------------------------------------------------------------------------------------ links to a view


def test_view_can_be_linked(open_page: Open) -> None:
    page = open_page()
    choose(page, "DP-PSASC", checked=False)
    choose(page, "8", checked=False)
    page.locator("select[name=dataset]").select_option("hostile")
    show(page, "epoch", "Test loss (nats)")
    link = page.url.split("#")[1]
    assert link == "dataset=hostile&method=dp-sgd&method=mine&epsilon=1&epsilon=inf&epoch=test_loss"
    other = open_page(view=link)
    assert other.locator("select[name=dataset]").input_value() == "hostile"
    assert {method for method, _ in means(other)} == {"dp-sgd", "mine"}
    assert other.locator("#figure-epoch h3").inner_text() == "Test loss (nats)"
    assert other.locator("#figure-epoch h4").all_inner_texts() == ["ε = 1"]
    assert other.url.split("#")[1] == link


def test_view_without_a_choice_is_linked_as_such(open_page: Open) -> None:
    page = open_page()
    for title in METHODS.values():
        choose(page, title, checked=False)
    assert page.url.split("#")[1] == "method="
    assert open_page(view="method=").locator("input[name=method]:checked").count() == 0


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("dataset=cifar&method=adam&epsilon=pi&epoch=x", {"dp-sgd", "dp-psasc", "mine"}),
        ("method=adam&method=dp-sgd", {"dp-sgd"}),
        ("__proto__=1&constructor=dp-sgd&%00&&=", {"dp-sgd", "dp-psasc", "mine"}),
        ("figure-epoch", {"dp-sgd", "dp-psasc", "mine"}),
    ],
)
def test_unknown_parts_of_a_link_are_ignored(view: str, shown: set[str], open_page: Open) -> None:
    page = open_page(view=view)
    assert {method for method, _ in means(page)} == shown
    assert page.locator("select[name=dataset]").input_value() == "digits"
    assert page.locator("#figure-epoch h3").inner_text() == "Test accuracy (%)"


def test_link_can_be_pasted_into_an_open_page_and_reset(open_page: Open) -> None:
    page = open_page()
    page.evaluate("location.hash = 'method=mine'")
    page.evaluate("refresh()")
    assert {method for method, _ in means(page)} == {"mine"}
    page.get_by_role("button", name="Reset").click()
    page.evaluate("refresh()")
    assert {method for method, _ in means(page)} == {"dp-sgd", "dp-psasc", "mine"}
    assert page.url.endswith("#")


def test_page_is_used_by_keyboard(open_page: Open) -> None:
    page = open_page()
    page.locator("select[name=dataset]").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.evaluate("refresh()")
    assert {method for method, _ in means(page)} == {"dp-psasc", "mine"}
