"""Data sets: prepared once into one compact file each, then read by every run without torchvision or scikit-learn.

A prepared file is an ``.npz`` of ``x_train, y_train, x_test, y_test`` (images ``[n, channels, height, width]`` as
stored or rows ``[n, d]``, labels int64) and ``offset, scale [channels]`` or ``[d]``: the model sees
``(x - offset) / scale``. Both are public constants, from the literature or from the range of the values; constants
computed from private data would need accounting. Rows of int64 are token ids, which the model sees as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psasc_bench.data import reading, sources
from psasc_bench.data.identity import Evaluation, Features, prepared_name
from psasc_bench.data.sources import PARTS, Arrays, Place
from psasc_bench.files import replacing

STORED = (*PARTS, "offset", "scale")
NOTED = ("sha256", "source", "features", "made_of")
REMEDY = "`psasc-bench prepare` makes it"


@dataclass(frozen=True)
class Dataset:
    """A prepared data set; ``sha256`` is of the bytes of ``PARTS``, ``offset`` and ``scale``, in this order. Of what it
    is made from it knows ``source``, ``features`` and the name that stands for all, see ``prepared_name``; a file that
    was not written by ``prepare`` counts as an ``.npz`` of unknown origin."""

    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    sha256: str
    source: str = "npz"
    features: Features = "pixels"
    made_of: str = ""


def prepare(
    source: str,
    target: Path,
    *,
    root: Path,
    path: Path | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    features: Features = "pixels",
    size: int | None = None,
    label: str | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> None:
    """Write the prepared file of ``source`` to ``target``; ``root`` holds torchvision's folders, ``path`` is the file
    or folder of others, whose public ``mean`` and ``deviation`` are of pixels in [0, 1] (or of the floats), by channel
    or column. Images in files are resized to ``size``; ``label`` names one of several. With ``features`` scattering,
    images become their ScatterNet features, see ``scattering``. ``warn`` is told of an npz that is hardly meant to be
    as it is, a line with the remedy each.

    Raises ``FileNotFoundError`` for data that is not there and ``ValueError`` for data that cannot be right; both say
    what to do. ``target`` is complete or absent.
    """
    arrays, (offset, scale) = reading.read(source, Place(root, path, mean, deviation, size, label))
    if source == "npz" and path:
        for doubt in sources.doubts(path, arrays, (offset, scale)):
            warn(doubt)
    constants = {"offset": np.array(offset, np.float32), "scale": np.array(scale, np.float32)}
    if features == "scattering":
        if arrays["x_train"].ndim != 4:
            raise ValueError(f"features: scattering is of images; {reading.identity(source)} gives none")
        arrays, constants = _scattered(arrays, **constants)
    stored = {name: (arrays | constants)[name] for name in STORED}
    made_of = prepared_name(
        source, path=path, mean=mean, deviation=deviation, features=features, size=size, label=label
    )
    notes = {"sha256": _sha256(stored), "source": reading.identity(source), "features": features, "made_of": made_of}
    with replacing(target) as file:
        np.savez(file, allow_pickle=False, **stored, notes=np.array(json.dumps(notes)))


def _scattered(arrays: Arrays, offset: NDArray[np.float32], scale: NDArray[np.float32]) -> tuple[Arrays, Arrays]:
    """The features in place of the images, and constants that leave them as they are."""
    from psasc_bench.data import scattering

    found = {name: scattering.features(arrays[name], offset, scale) for name in ("x_train", "x_test")}
    size = found["x_train"].shape[1]
    return arrays | found, {"offset": np.zeros(size, np.float32), "scale": np.ones(size, np.float32)}


def load(path: Path) -> Dataset:
    """Read a prepared file. Raises ``ValueError`` if it is damaged or was not made by ``prepare`` and is of other types
    or shapes, ``FileNotFoundError`` if it is not there."""
    arrays = sources.read_npz(path, STORED)
    if wrong := next((name for name, array in arrays.items() if not _fits(name, array, arrays)), None):
        found = f"{arrays[wrong].dtype} {list(arrays[wrong].shape)}"
        raise ValueError(f"{path}: {wrong} is {found}, unlike any array of a prepared file; {REMEDY}")
    values: dict[str, Any] = {**arrays, **_notes(path), "sha256": _sha256(arrays)}
    return Dataset(**values)


def known_sha256(path: Path) -> str | None:
    """The ``sha256`` of the data set prepared in ``path``, as it was noted there, without reading the arrays; None if
    there is no such file, or none that was prepared."""
    return _notes(path).get("sha256")


def _fits(name: str, array: NDArray[Any], arrays: Arrays) -> bool:
    """Whether an array has the type, and a shape, that it has where ``prepare`` wrote it."""
    images = arrays["x_train"]
    if not array.size:
        return False
    if name in ("offset", "scale"):
        return array.dtype == np.float32 and array.shape == images.shape[1:2]
    if name.startswith("y"):
        return array.dtype == np.int64 and array.shape == arrays[f"x{name[1:]}"].shape[:1]
    types = {4: (np.uint8, np.float16, np.float32), 2: (np.uint8, np.float32, np.int64)}.get(array.ndim, ())
    return array.dtype in types and array.dtype == images.dtype and array.shape[1:] == images.shape[1:]


def _notes(path: Path) -> dict[str, str]:
    """What ``prepare`` noted of what it wrote; nothing where there are no notes. Raises ``ValueError`` for others."""
    try:
        text = str(sources.read_npz(path, ("notes",))["notes"])
    except (ValueError, OSError):
        return {}
    try:
        notes = json.loads(text)
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict) or not all(key in NOTED and isinstance(notes[key], str) for key in notes):
        raise ValueError(f"{path}: its notes are not of a prepared file ({', '.join(NOTED)}); {REMEDY}")
    return notes


def _sha256(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in STORED:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def hold_out(dataset: Dataset, *, fraction: float = 1 / 6) -> Dataset:
    """The data set for choosing hyper-parameters: a fixed random ``fraction`` of the training examples stands in for
    the test examples, which it leaves out altogether."""
    order = np.random.default_rng(0).permutation(len(dataset.y_train))
    cut = round(len(order) * (1 - fraction))
    train, test = np.sort(order[:cut]), np.sort(order[cut:])
    return replace(
        dataset,
        x_train=dataset.x_train[train],
        y_train=dataset.y_train[train],
        x_test=dataset.x_train[test],
        y_test=dataset.y_train[test],
    )


def as_seen(dataset: Dataset, evaluation: Evaluation) -> Dataset:
    """The data set as a run sees it whose accuracy is measured on ``evaluation``: a run that is to choose
    hyper-parameters sees no test example."""
    return hold_out(dataset) if evaluation == "validation" else dataset


def count_classes(dataset: Dataset) -> int:
    """One more than the highest label: how many there are is taken to be public."""
    return int(max(dataset.y_train.max(), dataset.y_test.max())) + 1


def holds_tokens(dataset: Dataset) -> bool:
    """Whether its examples are token ids, rather than values to be scaled."""
    return dataset.x_train.dtype == np.int64


def data_root() -> Path | None:
    """Where the environment says that torchvision's folders are."""
    return Path(root) if (root := os.environ.get("PSASC_BENCH_DATA")) else None
