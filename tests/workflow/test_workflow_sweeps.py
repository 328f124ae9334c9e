"""Sweeps in the workflow: asked for by name, a job for each method or run, and a choice to lay over the study."""

from __future__ import annotations

from pathlib import Path

import yaml
from projects import RUNS, STUDY, SWEEPS, configure, jobs, records, snakemake, snakemakes_log

from psasc_bench.records import record

TUNED = ("dp-sgd", "nonprivate")


def trials(folder: Path) -> dict[str, bytes]:
    sweeps = folder / "results" / "sweeps"
    return {str(path.relative_to(sweeps)): path.read_bytes() for path in sweeps.rglob("*.json")}


def test_tuning_is_asked_for_by_name_resumes_and_its_choice_can_be_laid_over_the_study(project: Path) -> None:
    tuning = SWEEPS["tuning"] | {"methods": {name: SWEEPS["tuning"]["methods"][name] for name in TUNED}}
    configure(project, STUDY | {"sweeps": {"tuning": tuning}})
    assert jobs(snakemake(project, "--dry-run", "results/README.md")) == {}
    before = records(project)
    assert "tuning took 4 runs" in snakemake(project, "tune")
    trained = {f"sweep_tuning_digits_{method}": 1 for method in ("dp_sgd", "nonprivate")}
    assert jobs(snakemakes_log(project)) == {"budgets_digits_1_validation": 1, **trained, "tune": 1}
    assert records(project) == before
    assert jobs(snakemake(project, "--dry-run", "tune")) == {}

    chosen = yaml.safe_load((project / "results" / "tuned.yaml").read_text())["datasets"]["digits"]
    assert chosen["overrides_by_epsilon"][8]["dp-sgd"] == {"learning_rate": 2}
    planned = snakemake(project, "--dry-run", f"{RUNS}/dp-sgd/eps-8/seed-0.json", *study_with("results/tuned.yaml"))
    assert jobs(planned) == {"train_digits": 1}

    finished = trials(project)
    configure(project, STUDY | {"sweeps": {"tuning": tuning | {"seeds": [100, 101]}}})
    snakemake(project, "results/sweeps/tuning/learning_rate=0.1/runs/digits/nonprivate/eps-inf/seed-101.json")
    assert len(trials(project)) == len(finished) + 2
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
    tuning = SWEEPS["tuning"] | {"methods": {"nonprivate": SWEEPS["tuning"]["methods"]["nonprivate"]}}
    configure(project, STUDY | {"sweeps": {"tuning": tuning}, "datasets": apart})
    target = "tuning/learning_rate=0.1/runs/digits/nonprivate/eps-inf/seed-100.json"
    snakemake(project, f"results/sweeps/{target}")
    assert list(trials(project)) == [target]
    assert record.read(project / "results" / "sweeps" / target).spec.learning_rate == 0.1
    never_declared = target.replace("0.1", "0.15")
    assert "No rule to produce" in snakemake(project, f"results/sweeps/{never_declared}", status=1)
