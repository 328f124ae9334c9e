"""The page to explore a study with, as a file: what it holds, what it must not do, and what is refused."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from explorer_page import DESKTOP, HOSTILE, METHODS, PHONE, Open, choose, color, column, write_study

from psasc_bench.cli import main
from psasc_bench.report import explorer, style
from psasc_bench.report.explorer import colors

# ------------------------------------------------------------------------------------------------ what it must not do


def test_names_are_text_whatever_they_hold(open_page: Open) -> None:
    page = open_page()
    page.locator("select[name=dataset]").select_option(label=HOSTILE)
    page.evaluate("refresh()")
    assert set(column(page, "runs", "dataset")) == {HOSTILE}
    page.locator("#figure-accuracy g.runs_marks path").first.hover()
    page.get_by_text("Configuration of the study").click()
    assert json.dumps(HOSTILE) in page.locator("#configuration").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() == "psasc-bench: results"


def test_page_is_the_same_wherever_the_files_of_the_study_are(tmp_path: Path) -> None:
    pages = []
    for name in ("here", "elsewhere"):
        folder = tmp_path / name
        folder.mkdir()
        write_study(folder)
        study = json.loads((folder / "study.json").read_text())
        (folder / "net.py").write_text("def net(input_shape, classes): ...", encoding="utf-8")
        own = {
            "source": "npz",
            "path": str(folder / "own.npz"),
            "model": {"file": str(folder / "net.py"), "name": "net"},
        }
        own |= {"title": "Digits", "expected_batch_size": 8, "micro_batch_size": 8, "epochs": 1, "delta": 1e-5}
        own |= {"learning_rate": 0.1, "momentum": 0.9, "sensitivity": 0.1}
        study |= {"data_root": str(folder / "data"), "datasets": study["datasets"] | {"digits": own}}
        (folder / "study.json").write_text(json.dumps(study))
        explorer.write_explorer(folder, folder / "explorer.html")
        pages.append((folder / "explorer.html").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert "own.npz" in pages[0]
    assert str(tmp_path) not in pages[0]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible_and_no_wider_than_the_screen(size: tuple[int, int], scheme: str, open_page: Open) -> None:
    page = open_page(size, scheme=scheme)
    choose(page, "non-private")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    assert page.locator("svg.marks").count() == 12
    for chart in page.locator("svg.marks").all():
        box = chart.bounding_box()
        assert box is not None
        assert 200 < box["width"] <= size[0]


def test_methods_have_the_colours_of_the_figures(open_page: Open) -> None:
    page = open_page()
    assert color(page, "#figure-accuracy g.means_marks path >> nth=0", "fill") == style.KNOWN["dp-sgd"].color.lower()
    assert color(page, "#figure-accuracy g.means_marks path >> nth=1", "fill") == style.KNOWN["dp-psasc"].color.lower()
    assert color(page, ".swatch >> nth=0 >> line", "stroke") == style.KNOWN["dp-sgd"].color.lower()


@pytest.mark.parametrize(("scheme", "backgrounds"), [("light", colors.LIGHT), ("dark", colors.DARK)])
def test_every_method_can_be_seen(scheme: str, backgrounds: tuple[str, str], open_page: Open) -> None:
    page = open_page(scheme=scheme)
    assert color(page, "body", "backgroundColor") == backgrounds[0]
    assert color(page, "#filters", "backgroundColor") == backgrounds[1]
    lines = [f".swatch >> nth={i} >> line" for i in range(len(METHODS))]
    seen = [color(page, line, "stroke") for line in lines]
    assert len(set(seen)) == len(METHODS)
    assert all(colors.readable(one, backgrounds) for one in seen)


# ------------------------------------------------------------------------------------------------ colours


def test_contrast_is_that_of_wcag() -> None:
    assert colors.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colors.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey for text


ALL = style.looks(
    [*style.KNOWN, *style.KNOWN_CONTROLS, *(f"mine-{i}" for i in range(12)), "control"],
    {*style.KNOWN_CONTROLS, "control"},
)


@pytest.mark.parametrize("name", ALL)
def test_every_colour_of_the_figures_has_a_shade_that_can_be_seen(name: str) -> None:
    """Those of methods that nobody has met yet as well."""
    color = ALL[name].color
    for shade, backgrounds in ((color, colors.LIGHT), (colors.on_dark(color), colors.DARK)):
        assert min(colors.contrast(shade, one) for one in backgrounds) >= 3


def test_backgrounds_are_those_of_the_page() -> None:
    style_sheet = resources.files("psasc_bench.report.explorer").joinpath("page.css").read_text(encoding="utf-8")
    for light in (colors.LIGHT, colors.DARK):
        assert re.findall(f"--paper: {light[0]}; .* --panel: {light[1]};", style_sheet)


def test_shades_stay_apart() -> None:
    found = {look.color for look in ALL.values()}
    assert len({colors.on_dark(color) for color in found}) == len(found)


# ------------------------------------------------------------------------------------------------ the file


def test_the_same_tables_give_the_same_bytes(explored: Path, tmp_path: Path) -> None:
    explorer.write_explorer(explored, tmp_path / "explorer.html")
    assert (tmp_path / "explorer.html").read_bytes() == (explored / "explorer.html").read_bytes()


def test_accuracies_are_held_in_percent_and_differences_in_points(explored: Path) -> None:
    text = (explored / "explorer.html").read_text(encoding="utf-8")
    (page,) = re.findall(r'<script type="application/json" id="page">(.*?)</script>', text, flags=re.DOTALL)
    tables = json.loads(page)["tables"]
    fractions = {"test_accuracy", "accuracy_mean", "difference_mean", "mean", "sd", "detectable", "tau", "confidence"}
    assert not fractions & {column for table in tables.values() for column in table}
    accuracies = 100 * pd.read_csv(explored / "runs.csv")["test_accuracy"].dropna()
    shown = [value for value in tables["runs"]["accuracy_percent"] if value is not None]
    assert shown == pytest.approx(list(accuracies), abs=0.01)
    assert tables["curves"]["accuracy_percent"][0] == pytest.approx(27.62)  # DP-PSASC: a third of .8287
    assert tables["comparisons"]["difference_points"] == pytest.approx([1, 1, 1.99, 2])
    assert tables["answer"]["probability_within_percent"] == [25]


def test_when_and_how_fast_runs_were_made_changes_no_byte(explored: Path, tmp_path: Path) -> None:
    """So that the shipped page is the same wherever the study is run again."""
    folder = write_study(tmp_path / "results")
    times = pd.read_csv(folder / "runs.csv")[["dataset", "epsilon", "method", "seed"]]
    times.assign(seconds=1.5, ended="2026-01-01", cpu="another").to_csv(folder / "times.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert (folder / "explorer.html").read_bytes() == (explored / "explorer.html").read_bytes()


@pytest.mark.parametrize("absent", ["comparisons", "answer"])
def test_results_of_an_older_version_are_refused_in_a_line(
    absent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_study(tmp_path / "results")
    (folder / f"{absent}.csv").unlink()
    assert main(["explorer", "--results", str(folder), "--output", str(tmp_path / "explorer.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{absent}.csv: not there" in line
    assert "snakemake --cores" in line
    assert not (tmp_path / "explorer.html").exists()


def test_study_without_a_primary_comparison_is_shown_without(tmp_path: Path, open_page: Open) -> None:
    """Because no two methods have been run, or but one is in the study."""
    folder = write_study(tmp_path / "results")
    for name in ("comparisons", "answer"):
        pd.read_csv(folder / f"{name}.csv").head(0).to_csv(folder / f"{name}.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    page = open_page(path=folder / "explorer.html")
    assert page.locator("#figure-primary, #table-comparisons, #table-answer").count() == 0
    assert page.locator("#figure-difference svg.marks").count() == 1


def test_tables_that_others_make_are_listed_where_there_are_any(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
    claims = {"claim": ["C1", "C6"], "dataset": ["digits", None], "reference": ["dp-sgd", None]}
    decided = {"sign": ["unresolved", "not refuted"], "within": ["yes", None]}
    pd.DataFrame(claims | decided).to_csv(folder / "claims.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    page = open_page(path=folder / "explorer.html")
    assert column(page, "claims", "sign") == ["unresolved", "not refuted"]
    assert column(page, "claims", "reference") == ["DP-SGD", ""]
    page.locator("select[name=dataset]").select_option("hostile")
    page.evaluate("refresh()")
    assert column(page, "claims", "claim") == ["C6"]  # which is about no data set in particular


def test_study_without_a_finished_run_lists_its_runs(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
    none = {f"{name}_{end}": np.nan for name in ("accuracy", "difference") for end in ("mean", "low", "high")}
    unfinished = {"status": "missing", "test_accuracy": np.nan}
    for table, changes in {"summary": {"n": 0, **none}, "runs": unfinished, "curves": unfinished}.items():
        pd.read_csv(folder / f"{table}.csv").assign(**changes).to_csv(folder / f"{table}.csv", index=False)
    for table in ("comparisons", "answer"):
        pd.read_csv(folder / f"{table}.csv").head(0).to_csv(folder / f"{table}.csv", index=False)
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


def test_first_data_set_that_is_shown_decides_something(tmp_path: Path, open_page: Open) -> None:
    folder = write_study(tmp_path / "results")
    comparisons = pd.read_csv(folder / "comparisons.csv")
    comparisons.assign(decides=comparisons["dataset"] == "hostile").to_csv(folder / "comparisons.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert open_page(path=folder / "explorer.html").locator("select[name=dataset]").input_value() == "hostile"


def test_a_large_study_fits_a_page(tmp_path: Path) -> None:
    """Three data sets, 25 cells and forty seeds each, 60 epochs with twelve diagnostics."""
    folder = write_study(tmp_path / "results")
    cells, seeds, epochs, random = 75, 40, 60, np.random.default_rng(0)
    rows = pd.MultiIndex.from_product([range(cells), range(seeds), range(1, epochs + 1)]).to_frame(index=False)
    rows.columns = pd.Index(["cell", "seed", "epoch"])
    methods = np.array(["dp-sgd", "dp-psasc", "mine"])[rows["cell"] % 3]
    key = {"dataset": "digits", "epsilon": 1.0 + rows["cell"] // 3, "method": methods, "status": "done"}
    measured = {f"nonprivate_{i}": random.standard_normal(len(rows)) for i in range(12)}
    measured |= {"test_accuracy": random.random(len(rows)), "test_loss": random.random(len(rows))}
    rows.assign(**key, **measured).to_csv(folder / "curves.csv", index=False)
    explorer.write_explorer(folder, folder / "explorer.html")
    assert (folder / "explorer.html").stat().st_size < 3e6
