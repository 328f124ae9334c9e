"""What is trained anew when a method, the study or a record changes, and what is left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from projects import RUNS, STUDY, changes, configure, jobs, metrics, records, snakemake

from psasc_bench.records import record


def test_edited_method_retrains_exactly_its_runs(project: Path) -> None:
    source = project / "psasc_bench" / "methods" / "dp_psasc.py"
    source.write_text(source.read_text().replace("(norm + self.r)", "(norm + 2 * self.r)"))
    before = records(project)
    due = jobs(snakemake(project, "--dry-run", "results/README.md"))
    assert due == {"train_digits": 1, "verify": 1, "audit": 1, "collect": 1}
    snakemake(project, f"{RUNS}/dp-psasc/eps-8/seed-0.json")
    assert changes(before, records(project)) == {"dp-psasc/eps-8/seed-0.json", "dp-psasc/eps-8/seed-1.json"}


def test_clock_set_back_retrains_nothing(project: Path) -> None:
    before = metrics(project)
    yesterday = time.time() - 86400
    for path in list((project / RUNS).rglob("*"))[::2]:
        os.utime(path, (yesterday, yesterday))
    snakemake(project, "results/README.md")
    assert metrics(project) == before


def test_touched_method_retrains_nothing(project: Path) -> None:
    (project / "psasc_bench" / "methods" / "dp_psasc.py").touch()
    assert jobs(snakemake(project, "--dry-run", "results/README.md")) == {}


def test_new_seed_trains_only_the_new_runs(project: Path) -> None:
    configure(project, STUDY | {"seeds": [0, 1, 2]})
    before = records(project)
    assert jobs(snakemake(project, "--dry-run", "results/README.md"))["train_digits"] == 3
    snakemake(project, f"{RUNS}/dp-sgd/eps-8/seed-2.json")
    assert changes(before, records(project)) == {"dp-sgd/eps-8/seed-2.json"}


def test_removed_record_is_trained_again_alone_and_the_same(project: Path) -> None:
    before = records(project)
    removed = project / RUNS / "dp-psasc" / "eps-8" / "seed-1.json"
    old, curve = record.read(removed), removed.with_suffix(".csv").read_bytes()
    removed.unlink()
    snakemake(project, f"{RUNS}/dp-psasc/eps-8/seed-1.json")
    new = record.read(removed)
    assert (new.result, new.spec, new.ledger) == (old.result, old.spec, old.ledger)
    assert removed.with_suffix(".csv").read_bytes() == curve
    assert changes(before, records(project)) == {"dp-psasc/eps-8/seed-1.json"}


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({"datasets": {"digits": STUDY["datasets"]["digits"] | {"learning_rate": 0.5}}}, 3),
        ({"methods": STUDY["methods"] | {"dp-psasc": {"C": 0.2, "s": 2, "r": 0.2}}}, 1),
        ({"methods": STUDY["methods"] | {"auto-s": {"C": 0.1}}}, 1),
        ({"epsilons": [3, 8]}, 2),
        ({"methods": {"dp-sgd": {"C": 0.1}}}, 0),
        ({"datasets": {"digits": STUDY["datasets"]["digits"] | {"title": "Other"}}}, 0),
    ],
    ids=["protocol", "hyper-parameter", "new method", "new epsilon", "fewer methods", "title"],
)
def test_change_of_the_study_trains_the_cells_that_it_concerns(
    change: dict[str, Any], cells: int, project: Path
) -> None:
    configure(project, STUDY | change)
    counts = jobs(snakemake(project, "--dry-run", "results/README.md"))
    assert counts.get("train_digits", 0) == cells
    assert counts["collect"] == 1
