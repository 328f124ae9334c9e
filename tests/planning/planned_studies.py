"""A small study to plan: of the digits all runs of a cell share a job, of the letters each has its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psasc_bench.planning import study_trials
from psasc_bench.privacy import Budget
from psasc_bench.records import Record, fingerprint, ledger, write
from psasc_bench.study import Cell, Study, Trial, parse_study

RESULTS = Path("results")
DIGITS: dict[str, Any] = {
    "source": "digits",
    "title": "Digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "micro_batch_size": 64,
    "epochs": 2,
    "delta": 1e-4,
    "accountant": "rdp",
    "learning_rate": 0.5,
    "momentum": 0.9,
    "share_process": True,
    "probe_every_epochs": 1,
}
LETTERS: dict[str, Any] = DIGITS | {
    "title": "Letters",
    "epochs": 3,
    "share_process": False,
    "epsilons": [3],
    "seeds": [7],
    "overrides": {"dp-sgd": {"C": 0.3}},
}
METHODS: dict[str, Any] = {"dp-sgd": {"C": 0.1}, "nonprivate": {}}
SWEEPS: dict[str, Any] = {
    "tuning": {
        "evaluation": "validation",
        "datasets": ["digits"],
        "epsilons": [1, 3],
        "seeds": [100],
        "methods": {"dp-sgd": {"learning_rate": [0.5, 1]}},
    },
    "longer": {
        "evaluation": "test",
        "datasets": ["letters"],
        "epsilons": [3],
        "seeds": [0, 1],
        "methods": {"dp-sgd": {"C": 0.2, "epochs": [4, 8]}, "nonprivate": {"learning_rate": 0.1}},
    },
}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [10, 0.5],
    "methods": METHODS,
    "datasets": {"digits": DIGITS, "letters": LETTERS},
    "sweeps": SWEEPS,
}


def planned(**changes: Any) -> Study:
    """The small study with some of its keys replaced."""
    return parse_study(STUDY | changes, source="study")


def with_digits(**changes: Any) -> Study:
    """The small study with some keys of the digits replaced."""
    return planned(datasets={"digits": DIGITS | changes, "letters": LETTERS})


def from_npz(path: Path, **changes: Any) -> Study:
    """A study without sweeps on the data set ``own``, which is in the file ``path``."""
    own = DIGITS | {"source": "npz", "path": str(path)} | changes
    return planned(datasets={"own": own}, sweeps={})


def all_trials(study: Study) -> list[Trial]:
    return [trial for trials in study_trials(study).values() for trial in trials]


def fingerprint_now(study: Study, cell: Cell) -> str:
    protocol = study.dataset(cell.dataset)
    return fingerprint(study.spec(cell, 0), source=protocol.source, features=protocol.features)


def write_record(study: Study, runs: Path, cell: Cell, *, seed: int, **changes: Any) -> None:
    """A finished run's record, as the code stands now but for the ``changes``."""
    spec = study.spec(cell, seed)
    budget = Budget(
        epsilon=3, delta=1e-4, sampling_rate=0.2, steps=6, noise_multiplier=1, epsilon_rdp=2.9, epsilon_pld=2.8
    )
    values: dict[str, Any] = {
        "spec": spec,
        "fingerprint": fingerprint_now(study, cell),
        "status": "done",
        "reason": None,
        "result": {"test_accuracy": 0.9, "test_loss": 0.3},
        "ledger": ledger(budget, sensitivity=0.1, steps_taken=6),
        "nonprivate": {},
        "seconds": {"total": 1.0},
        "provenance": {},
    }
    write(Record(**(values | changes)), [], runs / spec.name())
