"""A small study with sweeps, and the values that it is made of."""

from __future__ import annotations

from typing import Any

SWEEP: dict[str, Any] = {
    "evaluation": "validation",
    "datasets": ["digits"],
    "epsilons": [3],
    "seeds": [100, 101],
    "methods": {
        "dp-sgd": {"learning_rate": [0.2, 0.4], "C": [0.05, 0.1]},
        "dp-psasc": {"learning_rate": [0.2, 0.4], "s": [0.5, 2], "sensitivity": 0.1},
    },
}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [1, 8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}, "nonprivate": {}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 0.5,
            "momentum": 0.9,
        }
    },
}
