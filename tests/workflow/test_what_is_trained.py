"""Which runs a call of the workflow trains: data sets, seeds and jobs, and tables of a part of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from projects import ROOT, RUNS, STUDY, configure, jobs, new_project, snakemake, snakemakes_log

from psasc_bench import cli


def test_partial_results_can_be_collected_while_runs_are_missing(project: Path) -> None:
    (project / RUNS / "dp-psasc" / "eps-8" / "seed-1.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert cli.main(["status", "--config", "study.yaml"]) == 0
        assert cli.main(["collect", "--config", "study.yaml"]) == 0
    rows = (project / "results" / "status.csv").read_text().splitlines()
    assert rows[0] == "dataset,epsilon,method,seed,status,reason"
    assert sorted(rows[1:]) == sorted(
        f"digits,{epsilon},{method},{seed},{'missing' if (method, seed) == ('dp-psasc', 1) else 'done'},"
        for method, epsilon in (("dp-sgd", 8), ("dp-psasc", 8), ("nonprivate", "inf"))
        for seed in (0, 1)
    )
    assert "digits/dp-psasc/eps-8: missing: seeds 1\n" in (project / "results" / "README.md").read_text()


def test_seeds_can_be_given_on_the_command_line(project: Path) -> None:
    output = snakemake(project, "results/README.md", "--dry-run", "--config", "seeds=[5]")
    assert jobs(output)["train_digits"] == 3
    assert "dp-sgd/eps-8/seed-5.json" in output


def test_every_run_is_a_job_of_its_own_where_processes_are_not_shared(project: Path) -> None:
    configure(project, STUDY | {"datasets": {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}})
    (project / RUNS / "dp-sgd" / "eps-8" / "seed-1.json").unlink()
    assert jobs(snakemake(project, "--dry-run", "results/README.md"))["train_digits"] == 1


def trained(output: str) -> dict[str, int]:
    return {rule: count for rule, count in jobs(output).items() if rule.startswith("train_")}


def test_shipped_study_trains_the_digits_and_what_else_it_is_asked_for(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    project = new_project(tmp_path, values)
    private = len(values["methods"]) - 1  # one has no epsilons

    def due(dataset: dict[str, Any]) -> int:
        budgets, more = dataset.get("epsilons", values["epsilons"]), dataset.get("more_seeds", {})
        if dataset.get("share_process"):  # all seeds of a cell share a job
            return len(dataset["methods"]) * len(budgets) if "methods" in dataset else private * len(budgets) + 1
        return (private * len(budgets) + 1) * len(values["seeds"]) + private * sum(map(len, more.values()))

    others = {f"train_{name}": due(dataset) for name, dataset in values["datasets"].items() if name != "digits"}
    assert trained(snakemake(project, "--dry-run")) == {"train_digits": due(values["datasets"]["digits"])}
    names = ", ".join(name for name in values["datasets"] if name != "digits")
    assert trained(snakemake(project, "--dry-run", "--config", f"train=[{names}]")) == others


def test_records_of_data_sets_that_are_not_trained_are_shown(project: Path) -> None:
    """Asked for no training, the workflow makes its tables from the records that there are, anew when one is gone."""
    shown = ["results/README.md", "--config", "train=[]"]
    (project / RUNS / "dp-sgd" / "eps-8" / "seed-1.json").unlink()
    snakemake(project, *shown)
    assert trained(snakemakes_log(project)) == {}
    assert "digits/dp-sgd/eps-8: missing: seeds 1\n" in (project / "results" / "README.md").read_text()
    assert jobs(snakemake(project, "--dry-run", *shown)) == {}
    (project / RUNS / "dp-sgd" / "eps-8" / "seed-0.json").unlink()
    due = jobs(snakemake(project, "--dry-run", *shown))
    assert due == {"verify": 1, "collect": 1}
