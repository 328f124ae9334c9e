"""What came with a clone, of which Snakemake knows nothing: it is made anew once it is stale."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from projects import ROOT, RUNS, STUDY, SWEEPS, changes, configure, jobs, records, snakemake, snakemakes_log


def test_records_that_came_with_a_clone_are_trained_anew_once_they_are_stale(project: Path) -> None:
    """Snakemake knows nothing of how they were made."""
    as_cloned(project, RUNS, "results/budgets", "data")
    before = records(project)
    configure(project, STUDY | {"methods": STUDY["methods"] | {"dp-sgd": {"C": 0.2}}})
    asked = f"{RUNS}/dp-sgd/eps-8/seed-0.json"  # with the seed that shares its job
    snakemake(project, asked)
    assert changes(before, records(project)) == {"dp-sgd/eps-8/seed-0.json", "dp-sgd/eps-8/seed-1.json"}
    assert jobs(snakemake(project, "--dry-run", asked)) == {}


def test_audit_that_came_with_a_clone_does_not_pass_for_that_of_an_edited_method(project: Path) -> None:
    as_cloned(project)
    assert (project / "results" / "audit.csv").exists()
    source = project / "psasc_bench" / "methods" / "dp_psasc.py"
    source.write_text(source.read_text().replace("return self.C / self.s", "return self.C / self.s / 2"))
    assert jobs(snakemake(project, "--dry-run", "results/study.json"))["audit"] == 1
    said = snakemake(project, "results/audit.csv", status=1)
    assert "refuted: DP-PSASC: more privacy is spent than claimed" in said


@pytest.mark.parametrize(
    ("asked", "tables", "job"),
    [
        ("results/deviation.csv", ["deviation.csv"], "deviation_digits"),
        ("tune", ["tuned.yaml", "tuning.csv"], "sweep_tuning_digits_dp_sgd"),
        ("sweeps", ["sweeps.csv", "sweep_curves.csv"], "sweep_tuning_digits_dp_sgd"),
    ],
)
def test_tables_on_request_that_came_with_a_clone_are_made_anew(
    project: Path, asked: str, tables: list[str], job: str
) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    for table in tables:
        shutil.copy(ROOT / "results" / table, project / "results" / table)
    as_cloned(project)
    assert all((project / "results" / table).exists() for table in tables)
    assert jobs(snakemake(project, "--dry-run", asked))[job] > 0


def test_figure_that_came_with_a_clone_is_drawn_anew_from_a_table_on_request(project: Path) -> None:
    """Who measures the cost in a clone wants to see that, and no input of the figure is any younger for it."""
    for name in ("results/cost.csv", "figures/cost.svg", "figures/cost.pdf"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    as_cloned(project)
    snakemake(project, "figures/cost.svg")
    assert jobs(snakemakes_log(project)) == {"figure": 1}
    assert jobs(snakemake(project, "--dry-run", "figures/cost.svg")) == {}


def as_cloned(project: Path, *folders: str) -> None:
    """Leave of the study's files those that the repository has, and those in ``folders`` as if it had them, but nothing
    that Snakemake knows of any."""
    shipped = subprocess.check_output(["git", "ls-files", "results"], cwd=ROOT, text=True).splitlines()
    shutil.rmtree(project / ".snakemake")
    for path in (*(project / "results").rglob("*"), *(project / "data").rglob("*")):
        name = str(path.relative_to(project))
        if path.is_file() and name not in shipped and not name.startswith(folders):
            path.unlink()
