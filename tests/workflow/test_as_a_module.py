"""The workflow as a module of somebody else's, whose folder it works in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from projects import ROOT, RUNS, STUDY, configure, jobs, records, snakemake

# After what docs/cluster.md shows.
SHOWN = """

rule shown:
    default_target: True
    input:
        "results/README.md",
    output:
        "shown.txt",
    shell:
        "head -n 1 {input} > {output}"
"""


@pytest.fixture
def outer(tmp_path: Path) -> Path:
    """The folder of somebody else's workflow, with a study."""
    folder = tmp_path / "outer"
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def write(outer: Path, project: Path, renamed: str) -> None:
    guide = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```\n(configfile: .*?)```", guide, re.DOTALL)
    assert " as bench_*" in text
    text = text.replace("/path/to/psasc-bench", str(project)).replace(" as bench_*", renamed) + SHOWN
    (outer / "Snakefile").write_text(text)


@pytest.mark.parametrize("renamed", ["", " as bench_*"])
def test_rules_are_planned_in_the_folder_of_the_outer_workflow(renamed: str, outer: Path, project: Path) -> None:
    write(outer, project, renamed)
    due = jobs(snakemake(outer, "--dry-run"))
    start = "bench_" if renamed else ""
    assert due[f"{start}train_digits"] == 3
    assert due[f"{start}collect"] == due["shown"] == 1
    assert due[f"{start}audit"] == 1


def test_outer_workflow_trains_a_run_and_leaves_the_clone_alone(outer: Path, project: Path) -> None:
    write(outer, project, " as bench_*")
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.suffix != ".pyc"}
    snakemake(outer, f"{RUNS}/nonprivate/eps-inf/seed-0.json")
    assert len(records(outer)) == 2
    after = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.suffix != ".pyc"}
    assert {path for path in after if before.get(path) != after[path] and path.is_file()} == set()


def test_configuration_of_the_outer_workflow_is_the_studys(outer: Path, project: Path) -> None:
    write(outer, project, "")
    configure(outer, STUDY | {"seeds": [0], "methods": {"dp-sgd": {"C": 0.1}}})
    assert jobs(snakemake(outer, "--dry-run"))["train_digits"] == 1


@pytest.mark.parametrize("prefix", ["results_of_bench", "bench/"])
def test_prefix_of_paths_is_refused_with_a_sentence(prefix: str, outer: Path, project: Path) -> None:
    write(outer, project, "")
    text = (outer / "Snakefile").read_text()
    text = text.replace("        config\n", f'        config\n    prefix:\n        "{prefix}"\n')
    (outer / "Snakefile").write_text(text)
    said = snakemake(outer, "--dry-run", status=1)
    assert "takes no `prefix`" in said
    assert "Traceback" not in said
