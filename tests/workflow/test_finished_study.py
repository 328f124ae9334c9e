"""What a finished study leaves behind: records, curves, tables, and on request figures, deviations and a report."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Browser, expect
from projects import ROOT, RUNS, STUDY, jobs, metrics, new_project, records, snakemake

from psasc_bench.records import record


def test_study_has_a_record_and_a_curve_for_every_run(finished: Path) -> None:
    cells = ["dp-sgd/eps-8", "dp-psasc/eps-8", "nonprivate/eps-inf"]
    names = {f"{cell}/seed-{seed}.json" for cell in cells for seed in (0, 1)}
    assert set(records(finished)) == names
    assert {record.read(finished / RUNS / name).status for name in names} == {"done"}
    assert all((finished / RUNS / name).with_suffix(".csv").exists() for name in names)


def test_study_has_its_tables(finished: Path) -> None:
    for name in ("runs.csv", "curves.csv", "summary.csv", "weights.csv", "README.md", "claims.csv", "claims.md"):
        assert (finished / "results" / name).stat().st_size
    report = (finished / "results" / "README.md").read_text()
    assert "DP-PSASC" in report
    assert "Runs that enter no mean" not in report


def test_jobs_import_the_copy_of_the_package(finished: Path) -> None:
    """Or else nothing below would show anything. The copy, unlike the original, is in no repository."""
    assert (ROOT / ".git").exists()
    assert record.read(finished / RUNS / "dp-sgd/eps-8/seed-0.json").provenance["commit"] is None


def test_spool_is_empty_when_all_is_done(finished: Path) -> None:
    assert not [path for path in (finished / "results" / "spool").rglob("*") if path.is_file()]


def test_figures_can_be_drawn_from_the_tables(project: Path) -> None:
    snakemake(project, "figures/accuracy.svg")
    assert {path.name for path in (project / "figures").iterdir()} == {"accuracy.svg", "accuracy.pdf"}


def test_deviations_can_be_had_on_request(project: Path) -> None:
    """Along one run for each seed, of all methods but the controls; no other run is trained for it."""
    assert jobs(snakemake(project, "results/deviation.csv")) == {"deviation_digits": 2, "deviation": 1}
    header, *rows = (project / "results" / "deviation.csv").read_text().splitlines()
    assert "dataset,epsilon,trajectory,method" in header
    assert sorted(row.split(",")[:5] for row in rows) == [
        ["Digits", "digits", "8.0", "dp-sgd", method] for method in ("dp-psasc", "dp-psasc", "dp-sgd", "dp-sgd")
    ]


def test_report_opens_in_a_browser_and_asks_for_nothing(project: Path, browser: Browser) -> None:
    """Snakemake's own, with what the study has to show; each of it is one click away."""
    snakemake(project, "reported")
    snakemake(project, "reported", "--report", "results/report.html")
    page, asked, errors = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    shown_by = {"All data sets": "accuracy", "By data set": "digits", "Tables": "claims", "Configuration": "settings"}
    for category, shown in shown_by.items():
        page.goto((project / "results" / "report.html").as_uri())
        page.get_by_text(category, exact=True).click()
        expect(page.get_by_text(shown).first).to_be_visible()
    assert page.screenshot()
    page.close()
    assert [url for url in asked if not url.endswith("/results/report.html")] == []
    assert errors == []


def test_finished_study_leaves_nothing_to_do(project: Path) -> None:
    assert jobs(snakemake(project, "results/README.md")) == {}


def test_more_cores_give_the_same_bits(finished: Path, tmp_path: Path) -> None:
    project = new_project(tmp_path, STUDY)
    snakemake(project, "results/README.md", "--cores", "8")
    assert metrics(project) == metrics(finished)


def test_resolved_study_is_kept_with_the_results(finished: Path) -> None:
    resolved = json.loads((finished / "results" / "study.json").read_text())
    assert resolved["methods"] == STUDY["methods"]
