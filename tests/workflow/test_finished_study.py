"""What a finished study leaves behind: records, curves, tables, and on request figures, deviations and a report."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from projects import ROOT, RUNS, STUDY, configure, jobs, metrics, records, snakemake, snakemakes_log

from psasc_bench import cli
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
    configure(project, STUDY | {"seeds": [0]})
    snakemake(project, "results/deviation.csv")
    assert jobs(snakemakes_log(project)) == {"deviation_digits": 1, "deviation": 1}
    header, *rows = (project / "results" / "deviation.csv").read_text().splitlines()
    assert "dataset,epsilon,trajectory,method" in header
    assert sorted(row.split(",")[:5] for row in rows) == [
        ["Digits", "digits", "8.0", "dp-sgd", method] for method in ("dp-psasc", "dp-sgd")
    ]


def test_report_opens_in_a_browser_and_asks_for_nothing(project: Path, browser: Browser) -> None:
    """Snakemake's own, with what the study has to show; each of it is one click away."""
    figures = ["figures/accuracy.svg", "results/figures/digits/accuracy.svg"]
    shown = [*figures, "results/tables/claims.html", "results/study.json"]
    snakemake(project, *shown)
    snakemake(project, *shown, "--report", "results/report.html")
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


def test_more_cores_give_the_same_bits(finished: Path, project: Path) -> None:
    shutil.rmtree(project / RUNS)
    snakemake(project, *(f"{RUNS}/{name}" for name in records(finished)), "--cores", "8")
    assert metrics(project) == metrics(finished)


def test_resolved_study_is_kept_with_the_results(finished: Path) -> None:
    resolved = json.loads((finished / "results" / "study.json").read_text())
    assert resolved["methods"] == STUDY["methods"]


def test_when_and_where_records_were_made_is_in_no_table_that_is_shipped(project: Path) -> None:
    """What is drawn and written is a function of these tables."""
    before = shown(project)
    assert {"results/runs.csv", "results/README.md", "docs/study.md", "results/tables/claims.tex"} <= set(before)
    for path in (project / RUNS).rglob("*.json"):
        values = json.loads(path.read_text())
        values["seconds"] = {phase: 3 * seconds + 1 for phase, seconds in values["seconds"].items()}
        values["provenance"] |= {"started": "2031-01-01T00:00:00+00:00", "ended": "2031-01-01T01:00:00+00:00"}
        values["provenance"] |= {"commit": "f" * 40, "modified": False, "python": "3.12.1", "cpu": "another"}
        values["provenance"] |= {"peak_memory_mib": 1e4, "resumed_at_steps": [3], "threads": 8}
        path.write_text(json.dumps(values))
    assert shown(project) == before


def shown(project: Path) -> dict[str, bytes]:
    """All that is made of the records and would be shipped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        for command in (
            ["collect", "--config", "study.yaml"],
            ["claims"],
            ["table", "accuracy", "convergence", "claims"],
            ["write-up"],
        ):
            assert cli.main(command) == 0
    made = [path for folder in ("results", "docs") for path in (project / folder).rglob("*") if path.is_file()]
    names = [str(path.relative_to(project)) for path in made]
    asked = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    return {name: (project / name).read_bytes() for name in set(names) - set(asked.stdout.split())}
