"""Small data sets in memory, of any shape."""

from __future__ import annotations

import numpy as np

from psasc_bench.data import Dataset


def in_memory(
    shape: tuple[int, ...], *, examples: int = 12, classes: int = 2, tokens: bool = False, highest: int = 9
) -> Dataset:
    """Random bytes, for images, or floats, or token ids up to ``highest``; all classes are there."""
    random = np.random.default_rng(0)

    def part(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        if tokens:
            x = random.integers(0, highest, (count, *shape))
            x[0, 0] = highest
            return x
        if len(shape) == 3:
            return random.integers(0, 256, (count, *shape), np.uint8)
        return random.normal(size=(count, *shape)).astype(np.float32)

    width = shape[0]
    return Dataset(
        x_train=part(examples),
        y_train=np.arange(examples) % classes,
        x_test=part(examples),
        y_test=np.arange(examples) % classes,
        offset=np.zeros(width, np.float32),
        scale=np.ones(width, np.float32),
        sha256="none",
    )
