"""The code that decides a run's numbers, beside that of training itself, for which ``GENERATION`` stands."""

from __future__ import annotations

from psasc_bench import code, data, methods, models, optimisers
from psasc_bench.data import Features
from psasc_bench.study import RunSpec


def fingerprint(spec: RunSpec, *, source: str, features: Features) -> str:
    """16 hex digits of a SHA-256 of the content of the run's method, of its model, of what prepares ``features`` of
    ``source`` and of its update rules, unless these are the heavy ball alone: each with all that it uses, comments,
    docstrings and formatting aside, on every Python the same.

    Raises ``ValueError`` for a name that is not known, or a file that is no Python.
    """
    return code.digest(
        (
            methods.fingerprint(methods.load(spec.method)),
            models.fingerprint(spec.model),
            data.fingerprint(source, features, spec.evaluation),
            *(optimisers.fingerprint(name) for name in optimisers.listed(spec.optimiser)),
        )
    )
