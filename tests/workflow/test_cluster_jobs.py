"""What the process of a job does: what it is told, here or on a cluster, and nothing that the planning process does."""

from __future__ import annotations

from pathlib import Path

from projects import RUNS, STUDY, configure, metrics, snakemake, snakemakes_log

CELL = f"{RUNS}/nonprivate/eps-inf"
# As Snakemake calls it, wherever a job runs.
JOB = [
    *["--mode", "remote", "--target-jobs", "train_digits:method=nonprivate,epsilon=inf"],
    *["--allowed-rules", "train_digits", "--force", "--nolock", "--no-hooks", "--ignore-incomplete"],
]


def test_job_trains_what_it_is_told_and_reads_and_writes_nothing_else(project: Path) -> None:
    before = metrics(project)
    for path in (project / CELL).iterdir():
        path.unlink()
    other = project / RUNS / "dp-sgd" / "eps-8" / "seed-0.json"
    other.write_text("no record")
    made_of = project / "results" / "made_of.json"
    made_of.write_text("{}")
    assert f"{other.relative_to(project)}: not a run record" in snakemake(project, "-n", status=1)
    made_of.write_text("{}")
    snakemake(project, *JOB)
    assert made_of.read_text() == "{}"
    other.unlink()
    after = metrics(project)
    assert after == {name: before[name] for name in after}
    assert len(list((project / CELL).glob("*.json"))) == 2


def test_job_does_not_check_the_study_again(project: Path) -> None:
    """A title that stands for two methods is refused where the study is planned."""
    methods = STUDY["methods"] | {"dp-sgd": {"C": 0.1, "title": "Non-private"}, "nonprivate": {"title": "Non-private"}}
    configure(project, STUDY | {"methods": methods})
    assert "looks like the title of" in snakemake(project, "-n", status=1)
    snakemake(project, *JOB)


def test_cells_are_trained_side_by_side_on_one_machine(project: Path) -> None:
    configure(project, STUDY | {"seeds": [7]})
    cells = [f"{RUNS}/{cell}/seed-7.json" for cell in ("nonprivate/eps-inf", "dp-sgd/eps-8")]
    snakemake(project, "--cores", "2", *cells)
    assert "Execute 2 jobs" in snakemakes_log(project)


def test_machines_without_a_common_file_system_are_refused(project: Path) -> None:
    said = snakemake(project, "-n", "--shared-fs-usage", "none", status=1)
    assert "psasc-bench needs one file system for all its jobs" in said
