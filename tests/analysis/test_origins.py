"""Pairs of runs on unlike machines, and records of a modified package among others, are named."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from psasc_bench.analysis import unlike_origins

SGD = {"dataset": "digits", "epsilon": 3.0, "method": "dp-sgd", "status": "done"}
AUTO = SGD | {"method": "auto-s"}
HERE = {"device": "cpu", "cpu": "EPYC", "torch": "2.9", "modified": False}
GPU = HERE | {"device": "cuda"}


def named(*runs: dict[str, Any]) -> list[str]:
    return unlike_origins(pd.DataFrame(runs), "dp-sgd")


def runs(cell: dict[str, Any], *made: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell | {"seed": seed} | one for seed, one in enumerate(made)]


def test_runs_made_alike_are_not_named() -> None:
    assert named(*runs(SGD, HERE, HERE), *runs(AUTO, HERE, HERE)) == []


def test_runs_are_compared_seed_by_seed() -> None:
    assert named(*runs(SGD, HERE, GPU), *runs(AUTO, HERE, GPU)) == []


@pytest.mark.parametrize("changes", [{"device": "cuda"}, {"cpu": "Xeon"}, {"torch": "2.8"}, {"cpu": None}], ids=str)
def test_pair_on_unlike_machines_is_named_with_both(changes: dict[str, Any]) -> None:
    there = HERE | changes
    (line,) = named(*runs(SGD, HERE, HERE, HERE), *runs(AUTO, there, HERE, there))
    machine = ", ".join(str(there[key] or "unknown") for key in ("device", "cpu", "torch"))
    assert line == (
        f"digits/auto-s/eps-3: seeds 0, 2 were trained on {machine}; those of dp-sgd that they are paired with on "
        "cpu, EPYC, 2.9"
    )


def test_unpaired_and_unfinished_runs_are_not_named() -> None:
    assert named(*runs(SGD, HERE), *runs(AUTO | {"epsilon": 8.0}, GPU), *runs(AUTO | {"status": "diverged"}, GPU)) == []


def test_runs_of_a_modified_package_are_named_where_they_meet_others() -> None:
    changed = HERE | {"modified": True}
    (line,) = named(*runs(SGD, HERE, HERE), *runs(AUTO, HERE, changed))
    assert line.startswith("digits/auto-s/eps-3: seeds 1 are of a package that was modified")
    assert named(*runs(SGD, changed), *runs(AUTO, changed)) == []
    assert named(*runs(SGD, changed), *runs(AUTO | {"dataset": "letters"}, HERE)) == []


def test_table_of_a_study_without_a_finished_run_has_nothing_to_name() -> None:
    assert named(SGD | {"seed": 0, "status": "missing"}) == []
    assert named(*runs(SGD | {"status": "failed"}, HERE)) == []
