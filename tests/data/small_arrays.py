"""A small data set of one's own, and what preparing it gives or says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from psasc_bench import data
from psasc_bench.data import Dataset

Arrays = dict[str, NDArray[Any]]


def arrays(**changes: Any) -> Arrays:
    """A small sound data set: 12 and 6 colour images of 5x4 pixels."""
    random = np.random.default_rng(0)
    values: Arrays = {
        "x_train": random.integers(0, 256, (12, 3, 5, 4), np.uint8),
        "y_train": random.integers(0, 10, 12),
        "x_test": random.integers(0, 256, (6, 3, 5, 4), np.uint8),
        "y_test": random.integers(0, 10, 6),
    }
    return values | changes


def prepared(folder: Path, values: Arrays, **options: Any) -> Dataset:
    np.savez(folder / "own.npz", **values)
    data.prepare("npz", folder / "out.npz", root=folder, path=folder / "own.npz", **options)
    return data.load(folder / "out.npz")


def refusal(folder: Path, source: Path, error: type[Exception] = ValueError) -> str:
    """What ``prepare`` says of ``source``, having left nothing behind."""
    (folder / "prepared").mkdir()
    with pytest.raises(error) as caught:
        data.prepare("npz", folder / "prepared" / "out.npz", root=folder, path=source)
    assert list((folder / "prepared").iterdir()) == []
    return str(caught.value)
