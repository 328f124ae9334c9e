"""How many examples an accuracy is measured on, without reading them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

TEST_EXAMPLES = {"digits": 360, "mnist": 10_000, "fashion_mnist": 10_000, "cifar10": 10_000}


def count_test_examples(source: str, path: str | Path | None = None) -> int | None:
    """The number of test examples of ``source``, or of the ``.npz`` at ``path``; None where that is not known."""
    if path is None:
        return TEST_EXAMPLES.get(source)
    try:
        with np.load(path) as arrays:
            return len(arrays["y_test"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # whoever trains on it will say what is wrong
