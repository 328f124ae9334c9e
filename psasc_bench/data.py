"""Data sets: prepared once into one compact file each, then read by every run without torchvision or scikit-learn.

A prepared file is an ``.npz`` of ``x_train, y_train, x_test, y_test`` (images ``[n, channels, height, width]`` as
stored, labels int64) and ``offset, scale [channels]``: the model sees ``(x - offset) / scale``. Both are public
constants, from the literature or from the range of the values; constants computed from private data would need
accounting.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from psasc_bench.files import replacing

Arrays = dict[str, NDArray[Any]]
PARTS = ("x_train", "y_train", "x_test", "y_test")
STORED = (*PARTS, "offset", "scale")
# what reading a broken file may raise
# A file may declare arrays that no memory holds.
DAMAGE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Published:
    """A data set that torchvision knows: its class, the channel means and standard deviations of pixels in [0, 1] as
    commonly published, and the md5 of unpacked files that torchvision does not check itself."""

    name: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    md5: Mapping[str, str]


TORCHVISION = {
    "mnist": Published(
        "MNIST",
        (0.1307,),
        (0.3081,),
        {
            "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
            "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
            "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
            "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
        },
    ),
    "fashion_mnist": Published(
        "FashionMNIST",
        (0.2860,),
        (0.3530,),
        {
            "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
            "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
        },
    ),
    "cifar10": Published("CIFAR10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), {}),
}
Features = Literal["pixels", "scattering"]
SOURCES = ("digits", *TORCHVISION, "npz")


@dataclass(frozen=True)
class Dataset:
    """A prepared data set; ``sha256`` is of the bytes of ``PARTS``, ``offset`` and ``scale``, in this order."""

    x_train: NDArray[Any]
    y_train: NDArray[np.int64]
    x_test: NDArray[Any]
    y_test: NDArray[np.int64]
    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    sha256: str


def prepare(
    source: str,
    target: Path,
    *,
    root: Path,
    path: Path | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    features: Features = "pixels",
) -> None:
    """Write the prepared file of ``source`` to ``target``; ``root`` holds torchvision's folders, ``path`` the npz,
    whose public channel ``mean`` and ``deviation`` are of pixels in [0, 1] (or of the floats). With ``features``
    scattering, images become their ScatterNet features, see ``scattering``.

    Raises ``FileNotFoundError`` for data that is not there and ``ValueError`` for data that cannot be right; both say
    what to do. ``target`` is complete or absent.
    """
    if source == "digits":
        arrays, offset, scale = _digits(), [8.0], [8.0]
    elif source in TORCHVISION:
        arrays = _torchvision(source, root)
        published = TORCHVISION[source]
        offset, scale = [255 * m for m in published.mean], [255 * d for d in published.deviation]
    elif source == "npz":
        if path is None:
            raise ValueError("source npz needs the key 'path': the .npz file with " + ", ".join(PARTS))
        arrays = _npz(path)
        offset, scale = _constants(path, arrays["x_train"], mean, deviation)
    else:
        raise ValueError(f"unknown source {source!r}; known: {', '.join(SOURCES)}")
    constants = {"offset": np.array(offset, np.float32), "scale": np.array(scale, np.float32)}
    if features == "scattering":
        arrays, constants = _scattered(arrays, **constants)
    with replacing(target) as file:
        np.savez(file, allow_pickle=False, **arrays, **constants)


def prepared_name(
    name: str,
    *,
    path: Path | None = None,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    features: Features = "pixels",
) -> str:
    """The stem of the prepared file of data set ``name``: it holds the kind of features and, of an ``.npz``, a digest
    of all that it is made from, so that other data has another name. Raises ``ValueError`` if it cannot be read."""
    name = name if features == "pixels" else f"{name}-{features}"
    if path is None:
        return name
    digest = hashlib.sha256(repr((mean, deviation)).encode())
    try:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    return f"{name}-{digest.hexdigest()[:12]}"


def _scattered(arrays: Arrays, offset: NDArray[np.float32], scale: NDArray[np.float32]) -> tuple[Arrays, Arrays]:
    """The features in place of the images, and constants that leave them as they are."""
    from psasc_bench import scattering

    found = {name: scattering.features(arrays[name], offset, scale) for name in ("x_train", "x_test")}
    size = found["x_train"].shape[1]
    return arrays | found, {"offset": np.zeros(size, np.float32), "scale": np.ones(size, np.float32)}


def load(path: Path) -> Dataset:
    """Read a prepared file. Raises ``ValueError`` if it is damaged, ``FileNotFoundError`` if it is not there."""
    arrays = _read_npz(path, STORED)
    digest = hashlib.sha256()
    for name in STORED:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return Dataset(**arrays, sha256=digest.hexdigest())


def hold_out(dataset: Dataset, *, fraction: float = 1 / 6) -> Dataset:
    """The data set for choosing hyper-parameters: a fixed random ``fraction`` of the training examples stands in for
    the test examples, which it leaves out altogether."""
    order = np.random.default_rng(0).permutation(len(dataset.y_train))
    cut = round(len(order) * (1 - fraction))
    train, test = np.sort(order[:cut]), np.sort(order[cut:])
    return Dataset(
        *(dataset.x_train[train], dataset.y_train[train], dataset.x_train[test], dataset.y_train[test]),
        *(dataset.offset, dataset.scale, dataset.sha256),
    )


def as_seen(dataset: Dataset, evaluation: Literal["test", "validation"]) -> Dataset:
    """The data set as a run sees it whose accuracy is measured on ``evaluation``: a run that is to choose
    hyper-parameters sees no test example."""
    return hold_out(dataset) if evaluation == "validation" else dataset


def _digits() -> Arrays:
    """scikit-learn's 1,797 images of 8x8 pixels in 0..16, split 4:1 at random, the same way everywhere."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images, labels = digits.images[order, None].astype(np.uint8), digits.target[order].astype(np.int64)
    cut = len(order) * 4 // 5
    return {"x_train": images[:cut], "y_train": labels[:cut], "x_test": images[cut:], "y_test": labels[cut:]}


def download(source: str, root: Path) -> None:
    """Fetch a torchvision data set into ``root``. Raises ``ValueError`` if that fails."""
    if source not in TORCHVISION:
        raise ValueError(f"{source!r} is not downloaded; what can be: {', '.join(TORCHVISION)}")
    import torchvision

    try:
        getattr(torchvision.datasets, TORCHVISION[source].name)(root, download=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{source} could not be downloaded to {root}: {error}") from None


def _torchvision(source: str, root: Path) -> Arrays:
    """torchvision's copy, every file checked against its md5 (CIFAR-10's by torchvision itself)."""
    import torchvision

    published = TORCHVISION[source]
    remedy = f"`psasc-bench download {source} --data-root {root}` fetches it anew"
    for file, md5 in published.md5.items():
        path = root / published.name / "raw" / file
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such file ({source} needs it); {remedy}")
        if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise ValueError(f"{path}: damaged (its md5 is not {md5}); delete it, then {remedy}")
    cls = getattr(torchvision.datasets, published.name)
    try:
        parts = {"train": cls(root, train=True), "test": cls(root, train=False)}
    except (RuntimeError, OSError) as error:
        raise FileNotFoundError(f"{root}: no sound copy of {source} ({error}); {remedy}") from None
    arrays: Arrays = {}
    for part, images in parts.items():
        x = np.asarray(images.data)
        x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x[:, None]
        arrays[f"x_{part}"], arrays[f"y_{part}"] = np.ascontiguousarray(x), np.asarray(images.targets, dtype=np.int64)
    return arrays


def _npz(path: Path) -> Arrays:
    arrays = _read_npz(path, PARTS)
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.ndim == 3:
            x = x[:, None]
        if x.ndim != 4 or y.ndim != 1 or len(x) != len(y) or not len(y):
            raise ValueError(
                f"{path}: x_{part} {x.shape} must be [n, channels, height, width] (or [n, height, width]) and "
                f"y_{part} {y.shape} must be [n], with n >= 1"
            )
        if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"{path}: x_{part} must be uint8 (0 to 255) or floating, is {x.dtype}")
        if x.dtype != np.uint8:
            with np.errstate(over="ignore"):  # what float32 has no room for is infinite, and found below
                x = x.astype(np.float32)
        if not np.isfinite(x).all():
            raise ValueError(f"{path}: x_{part} has {int((~np.isfinite(x)).sum())} NaN or infinite values; remove them")
        if not np.issubdtype(y.dtype, np.integer):
            raise ValueError(f"{path}: y_{part} must hold integer class labels, is {y.dtype}")
        arrays[f"x_{part}"] = x
        arrays[f"y_{part}"] = y.astype(np.int64)
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        raise ValueError(
            f"{path}: x_train {arrays['x_train'].shape} and x_test {arrays['x_test'].shape} hold images of unlike shape"
        )
    if arrays["x_train"].dtype != arrays["x_test"].dtype:
        raise ValueError(
            f"{path}: x_train is {arrays['x_train'].dtype} and x_test {arrays['x_test'].dtype}; use one type"
        )
    return arrays


def _constants(
    path: Path, images: NDArray[Any], mean: Sequence[float] | None, deviation: Sequence[float] | None
) -> tuple[list[float], list[float]]:
    """Offset and scale in units of the stored values; without ``mean``, bytes go to [-1, 1] and floats stay as they
    are."""
    channels, unit = images.shape[1], 255.0 if images.dtype == np.uint8 else 1.0
    if mean is None or deviation is None:
        mean, deviation = ([0.5] * channels, [0.5] * channels) if unit == 255 else ([0.0] * channels, [1.0] * channels)
    if not len(mean) == len(deviation) == channels:
        raise ValueError(f"{path}: mean and deviation need one value for each of the {channels} channels")
    return [unit * m for m in mean], [unit * d for d in deviation]


def _read_npz(path: Path, names: tuple[str, ...]) -> Arrays:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with path.open("rb") as file:  # np.load does not close what it opened and then found damaged
            npz = np.load(file, allow_pickle=False)
            if not isinstance(npz, np.lib.npyio.NpzFile):
                raise ValueError("is a single array, not an .npz file")
            missing = [name for name in names if name not in npz.files]
            if missing:
                raise ValueError(f"lacks {', '.join(missing)}; it must hold {', '.join(names)}")
            return {name: _member(npz, name) for name in names}
    except DAMAGE as error:
        remedy = "" if isinstance(error, ValueError) else "; it is damaged or cut short: make it anew"
        raise ValueError(f"{path}: {error}{remedy}") from None


def _member(npz: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return npz[name]
    except DAMAGE as error:
        raise ValueError(f"{name}: {error}") from None
