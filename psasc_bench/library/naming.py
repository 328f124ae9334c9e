"""Methods by name."""

from __future__ import annotations

from psasc_bench import methods
from psasc_bench.methods import Method


def method(name: str, **settings: float) -> Method:
    """The method called ``name``, as in ``method("dp-psasc", C=0.5, s=2.0, r=0.1)``, or the one in a file, as in
    ``method("my_method.py", C=0.1)``; ``psasc-bench info`` lists both with their settings.

    Raises ``ValueError`` for an unknown name, and for an unknown, missing or invalid setting.
    """
    return methods.create(name, settings)
