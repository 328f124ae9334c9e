"""The page to explore a study with, opened in a real browser on small tables made by hand."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from psasc_bench.analysis import results
from psasc_bench.analysis.statistics import t_interval
from psasc_bench.report import explorer, style

METHODS = {"dp-sgd": "DP-SGD", "dp-psasc": "DP-PSASC", "mine": "My method", "nonprivate": "non-private"}
HOSTILE = '</script><img src="http://example.org/x.png" onerror="document.title=1"> & "co", 1'
DATASETS = {"digits": "Digits", "hostile": HOSTILE}
DESKTOP, PHONE = (1280, 900), (390, 844)
CELLS = [*itertools.product([1.0, 8.0], ["dp-sgd", "dp-psasc", "mine"]), (math.inf, "nonprivate")]
Open = Callable[..., Page]


def score(method: str, epsilon: float, seed: int) -> float:
    return 0.8 + 0.01 * list(METHODS).index(method) + 0.002 * min(epsilon, 20) + 0.01 * seed**2


def write(folder: Path) -> Path:
    runs, curves, weights = [], [], []
    norm = np.logspace(-2, 1, 5)
    for dataset, title in DATASETS.items():
        for (epsilon, method), seed in itertools.product(CELLS, range(3)):
            failed = (dataset, epsilon, method, seed) == ("digits", 8.0, "mine", 2)
            key: dict[str, Any] = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": title, "method_title": METHODS[method], "status": "diverged" if failed else "done"}
            accuracy = np.nan if failed else score(method, epsilon, seed)
            result = {"control": method == "nonprivate", "delta": 1e-5, "test_accuracy": accuracy, "seconds": 1.5}
            runs.append(key | result | {"test_loss": 0.5, "reason": HOSTILE if failed else None})
            curves += [key | {"epoch": i, "test_accuracy": accuracy * i / 3, "test_loss": 1 / i} for i in (1, 2, 3)]
        for method in ("dp-sgd", "dp-psasc", "mine"):
            weight = {"norm": norm, "weight": 0.1 / (norm + 0.1), "sensitivity": 0.1}
            labels = {"dataset": dataset, "method": method, "method_title": METHODS[method]}
            weights.append(pd.DataFrame(labels | weight))
    audit = [
        {"epsilon": epsilon, "method": method, "method_title": METHODS[method], "sampling_rate": 1.0, "steps": 10}
        | {"epsilon_claimed": epsilon, "epsilon_lower": epsilon / 2, "delta": 1e-5, "confidence": 0.999}
        for epsilon, method in CELLS[:-1]
    ]
    table = pd.DataFrame(runs)
    frames = {"runs": table, "summary": results.summarise(table), "curves": pd.DataFrame(curves)}
    frames |= {"weights": pd.concat(weights), "audit": pd.DataFrame(audit)}
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "study.json").write_text('{"title": "</script><b>bold</b>"}')
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("study"))
    explorer.write_explorer(folder, folder / "explorer.html")
    return folder


@pytest.fixture
def open_page(browser: Browser, study: Path) -> Iterator[Open]:
    """Opens the page; afterwards it must have asked for nothing, and said nothing on the console."""
    said: list[str] = []
    asked: list[str] = []

    def open_(size: tuple[int, int] = DESKTOP, *, scheme: Any = "light", path: Path = study / "explorer.html") -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_
    pages = [page for context in browser.contexts for page in context.pages]
    for page in pages:
        page.close()
    assert said == []
    assert {re.sub("file://.*/", "", url) for url in asked if not url.startswith("blob:")} == {"explorer.html"}


def choose(page: Page, label: str, *, checked: bool = True) -> None:
    page.locator("#filters").get_by_label(label, exact=True).set_checked(checked)
    page.evaluate("refresh()")  # whose promise holds once all is drawn


def show(page: Page, figure: str, quantity: str) -> None:
    page.locator(f"#figure-{figure} select").select_option(label=quantity)
    page.evaluate("refresh()")


def marks(page: Page, figure: str, layer: int) -> list[dict[str, str]]:
    """What the marks of a layer tell a screen reader, by field."""
    found = page.locator(f"#figure-{figure} g.layer_{layer}_marks [aria-label]")
    labels = [mark.get_attribute("aria-label") or "" for mark in found.all()]
    return [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]


def means(page: Page, figure: str = "budget") -> dict[tuple[str, str], dict[str, str]]:
    return {(mark["method"], mark["epsilon"]): mark for mark in marks(page, figure, 2)}


def column(page: Page, table: str, name: str) -> list[str]:
    heads = page.locator(f"#table-{table} thead th").all_inner_texts()
    place = [re.sub(r"\W+$", "", head) for head in heads].index(name)
    return page.locator(f"#table-{table} tbody td:nth-child({place + 1})").all_inner_texts()


def color(page: Page, selector: str, name: str) -> str:
    """The computed colour, as ``#rrggbb``."""
    found = page.locator(selector).first.evaluate(f"one => getComputedStyle(one)[{name!r}]")
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", found)[:3])


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


# ------------------------------------------------------------------------------------------------ what it must not do


def test_names_are_text_whatever_they_hold(open_page: Open) -> None:
    page = open_page()
    page.locator("select[name=dataset]").select_option(label=HOSTILE)
    page.evaluate("refresh()")
    assert set(column(page, "runs", "dataset")) == {HOSTILE}
    page.locator("#figure-budget g.layer_1_marks path").first.hover()
    page.get_by_text("Configuration of the study").click()
    assert "<b>bold</b>" in page.locator("#configuration").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() == "psasc-bench: results"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_no_wider_than_the_screen(size: tuple[int, int], scheme: str, open_page: Open) -> None:
    page = open_page(size, scheme=scheme)
    choose(page, "non-private")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.locator("svg.marks").count() == 6
    for chart in page.locator("svg.marks").all():
        box = chart.bounding_box()
        assert box is not None
        assert 200 < box["width"] <= size[0]


def test_methods_have_the_colours_of_the_figures(open_page: Open) -> None:
    page = open_page()
    assert color(page, "#figure-budget g.layer_2_marks path >> nth=0", "fill") == style.KNOWN["dp-sgd"].color.lower()
    assert color(page, "#figure-budget g.layer_2_marks path >> nth=1", "fill") == style.KNOWN["dp-psasc"].color.lower()
    assert color(page, ".swatch >> nth=0 >> line", "stroke") == style.KNOWN["dp-sgd"].color.lower()


def test_every_method_can_be_seen_in_the_dark(open_page: Open) -> None:
    page = open_page(scheme="dark")
    assert color(page, "body", "backgroundColor") == explorer.DARK
    lines = [f".swatch >> nth={i} >> line" for i in range(len(METHODS))]
    seen = [color(page, line, "stroke") for line in lines]
    assert len(set(seen)) == len(METHODS)
    assert min(explorer.contrast(one, explorer.DARK) for one in seen) >= explorer.READABLE


# ------------------------------------------------------------------------------------------------ the file


def test_contrast_is_that_of_wcag() -> None:
    assert explorer.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert explorer.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey for text


def test_the_same_tables_give_the_same_bytes(study: Path, tmp_path: Path) -> None:
    explorer.write_explorer(study, tmp_path / "explorer.html")
    assert (tmp_path / "explorer.html").read_bytes() == (study / "explorer.html").read_bytes()


def test_tables_that_others_make_are_listed_where_there_are_any(tmp_path: Path, open_page: Open) -> None:
    folder = write(tmp_path / "results")
    claims = {"claim": ["C1", "C6"], "dataset": ["digits", None], "reference": ["dp-sgd", None]}
    verdicts = {"verdict": ["inconclusive", "supported"]}
    pd.DataFrame(claims | verdicts).to_csv(folder / "claims.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    page = open_page(path=folder / "explorer.html")
    assert column(page, "claims", "verdict") == ["inconclusive", "supported"]
    assert column(page, "claims", "reference") == ["DP-SGD", ""]
    page.locator("select[name=dataset]").select_option("hostile")
    page.evaluate("refresh()")
    assert column(page, "claims", "claim") == ["C6"]  # which is about no data set in particular


def test_study_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "results")
    summary = pd.read_csv(folder / "summary.csv").assign(n=0)
    summary.to_csv(folder / "summary.csv", index=False)
    with pytest.raises(ValueError, match="no run has finished"):
        explorer.write_explorer(folder, folder / "explorer.html")


def test_data_sets_without_a_finished_run_are_not_offered(tmp_path: Path, open_page: Open) -> None:
    folder = write(tmp_path / "results")
    summary = pd.read_csv(folder / "summary.csv")
    summary.loc[summary["dataset"] == "hostile", "n"] = 0
    summary.to_csv(folder / "summary.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    page = open_page(path=folder / "explorer.html")
    assert page.locator("select[name=dataset] option").all_inner_texts() == ["Digits"]


def test_a_large_study_fits_a_page(tmp_path: Path) -> None:
    """Three data sets, 25 cells and five seeds each, 60 epochs with twelve diagnostics."""
    folder = write(tmp_path / "results")
    curves = pd.read_csv(folder / "curves.csv")
    rows = np.arange(3 * 25 * 5 * 60) % len(curves)
    random = np.random.default_rng(0)
    diagnostics = {f"nonprivate_{i}": random.standard_normal(len(rows)) for i in range(12)}
    curves.iloc[rows].reset_index(drop=True).assign(**diagnostics).to_csv(folder / "curves.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert (folder / "explorer.html").stat().st_size < 5e6
