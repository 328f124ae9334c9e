"""Sweeps in the workflow: asked for by name, a job for each method or run, and a choice to lay over the study."""

from __future__ import annotations

from pathlib import Path

import yaml
from projects import RUNS, STUDY, SWEEPS, configure, jobs, records, snakemake

from psasc_bench.records import record


def trials(folder: Path) -> dict[str, bytes]:
    sweeps = folder / "results" / "sweeps"
    return {str(path.relative_to(sweeps)): path.read_bytes() for path in sweeps.rglob("*.json")}


def test_tuning_is_asked_for_by_name_resumes_and_its_choice_can_be_laid_over_the_study(project: Path) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    assert jobs(snakemake(project, "--dry-run", "results/README.md")) == {}
    before = records(project)
    output = snakemake(project, "tune")
    methods = ("dp_sgd", "dp_psasc", "nonprivate")
    trained = {f"sweep_tuning_digits_{method}": 1 for method in methods}
    assert jobs(output) == {"budgets_digits_1_validation": 1, **trained, "tune": 1}
    assert "tuning took 6 runs" in output
    assert records(project) == before
    assert jobs(snakemake(project, "--dry-run", "tune")) == {}

    chosen = yaml.safe_load((project / "results" / "tuned.yaml").read_text())["datasets"]["digits"]
    assert chosen["overrides_by_epsilon"][8]["dp-sgd"] == {"learning_rate": 2}
    planned = snakemake(project, "--dry-run", f"{RUNS}/dp-sgd/eps-8/seed-0.json", *study_with("results/tuned.yaml"))
    assert jobs(planned) == {"train_digits": 1}

    finished, tuning = trials(project), SWEEPS["tuning"]
    configure(project, STUDY | {"sweeps": {"tuning": tuning | {"seeds": [100, 101]}}})
    snakemake(project, "tune")
    assert len(trials(project)) == 2 * len(finished)
    assert finished.items() <= trials(project).items()


def study_with(overlay: str) -> list[str]:
    return ["--configfile", "study.yaml", overlay]


def test_sweeps_are_a_job_for_each_method_or_for_each_run(project: Path) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    counts = jobs(snakemake(project, "--dry-run", "sweeps"))
    assert counts["sweep_longer_digits_dp_psasc"] == 1
    assert counts["budgets_digits_2_test"] == 1
    apart = {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}
    configure(project, STUDY | {"sweeps": SWEEPS, "datasets": apart})
    counts = jobs(snakemake(project, "--dry-run", "sweeps"))
    assert (counts["sweep_longer_digits_dp_psasc"], counts["sweep_tuning_digits_nonprivate"]) == (4, 2)


def test_one_run_of_a_sweep_can_be_trained_by_itself(project: Path) -> None:
    apart = {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}
    configure(project, STUDY | {"sweeps": SWEEPS, "datasets": apart})
    target = "tuning/learning_rate=0.1/runs/digits/nonprivate/eps-inf/seed-100.json"
    snakemake(project, f"results/sweeps/{target}")
    assert list(trials(project)) == [target]
    assert record.read(project / "results" / "sweeps" / target).spec.learning_rate == 0.1
    never_declared = target.replace("0.1", "0.15")
    assert "No rule to produce" in snakemake(project, f"results/sweeps/{never_declared}", status=1)
