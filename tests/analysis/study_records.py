"""Hand-made records of a small study, and their tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd

from psasc_bench.analysis import results
from psasc_bench.files import write_text
from psasc_bench.privacy import Budget
from psasc_bench.records import Record, fingerprint, record
from psasc_bench.report import render_results_page
from psasc_bench.study import Cell, Study, parse_study

STUDY: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "epsilons": [3],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Handwritten digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 2,
            "delta": 1e-5,
            "learning_rate": 0.5,
            "momentum": 0.9,
        }
    },
}
SGD, PSASC = Cell("digits", "dp-sgd", 3.0), Cell("digits", "dp-psasc", 3.0)


def parse(**changes: Any) -> Study:
    return parse_study(STUDY | changes, source="study.yaml")


def make(study: Study, cell: Cell, seed: int, accuracy: float, **changes: Any) -> Record:
    spec = study.spec(cell, seed)
    budget = Budget(
        epsilon=cell.epsilon,
        delta=spec.delta,
        sampling_rate=0.25,
        steps=8,
        noise_multiplier=1.5,
        epsilon_rdp=cell.epsilon,
        epsilon_pld=cell.epsilon,
    )
    made = Record(
        spec=spec,
        fingerprint=fingerprint(spec, source="digits", features="pixels"),
        status="done",
        reason=None,
        result={"test_accuracy": accuracy, "test_loss": 1.0},
        ledger=record.ledger(budget, sensitivity=0.1, steps_taken=8),
        nonprivate={"nonfinite_examples": 0},
        seconds={"total": 1.0},
        provenance={"peak_memory_mib": 1.0, "commit": None, "data_sha256": "0"},
    )
    return dataclasses.replace(made, **changes)


def write(runs: Path, *records: Record) -> None:
    for made in records:
        accuracy = made.result["test_accuracy"]
        curve = [{"epoch": epoch, "step": 4 * epoch, "test_accuracy": accuracy, "test_loss": 1.0} for epoch in (1, 2)]
        record.write(made, curve, runs / made.spec.name())


def summary(study: Study, runs: Path) -> pd.DataFrame:
    return results.summarise(results.read_runs(study, runs, {})[0], "dp-sgd").set_index("method")


def statuses(study: Study, runs: Path) -> list[str]:
    return list(results.read_runs(study, runs, {})[0].set_index(["method", "seed"]).loc["dp-psasc", "status"])


def collect(study: Study, runs: Path, output: Path) -> None:
    """The tables and the page of a study, as the command writes them."""
    results.collect(study, runs, output)
    write_text(output / "README.md", render_results_page(study, output))
