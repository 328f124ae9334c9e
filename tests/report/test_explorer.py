"""The page to explore a study with, as a file: what it holds, what it must not do, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from explorer_page import DESKTOP, HOSTILE, METHODS, PHONE, Open, choose, color, column, write_study

from psasc_bench.report import explorer, style

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


def test_the_same_tables_give_the_same_bytes(explored: Path, tmp_path: Path) -> None:
    explorer.write_explorer(explored, tmp_path / "explorer.html")
    assert (tmp_path / "explorer.html").read_bytes() == (explored / "explorer.html").read_bytes()


def test_tables_that_others_make_are_listed_where_there_are_any(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
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


def test_study_without_a_finished_run_lists_its_runs(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
    for table, changes in {"summary": {"n": 0}, "runs": {"status": "missing"}, "curves": {"status": "missing"}}.items():
        pd.read_csv(folder / f"{table}.csv").assign(**changes).to_csv(folder / f"{table}.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert set(column(open_page(path=folder / "explorer.html"), "runs", "status")) == {"missing"}


def test_data_sets_without_a_finished_run_are_not_offered(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
    summary = pd.read_csv(folder / "summary.csv")
    summary.loc[summary["dataset"] == "hostile", "n"] = 0
    summary.to_csv(folder / "summary.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    page = open_page(path=folder / "explorer.html")
    assert page.locator("select[name=dataset] option").all_inner_texts() == ["Digits"]


def test_a_large_study_fits_a_page(tmp_path: Path) -> None:
    """Three data sets, 25 cells and five seeds each, 60 epochs with twelve diagnostics."""
    folder = write_study(tmp_path / "results")
    curves = pd.read_csv(folder / "curves.csv")
    rows = np.arange(3 * 25 * 5 * 60) % len(curves)
    random = np.random.default_rng(0)
    diagnostics = {f"nonprivate_{i}": random.standard_normal(len(rows)) for i in range(12)}
    curves.iloc[rows].reset_index(drop=True).assign(**diagnostics).to_csv(folder / "curves.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert (folder / "explorer.html").stat().st_size < 5e6
