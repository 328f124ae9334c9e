"""Where images and labels come from: scikit-learn, torchvision's files or an ``.npz``, checked to the last value."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Constants = tuple[list[float], list[float]]
PARTS = ("x_train", "y_train", "x_test", "y_test")
CHANNELS = (1, 3, 4)  # of grey images, of coloured ones, and of those with transparency
# What reading a broken file may raise. A file may declare arrays that no memory holds.
DAMAGE = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Published:
    """A data set that torchvision knows: what it is called here and what its class is called there, the channel means
    and standard deviations of pixels in [0, 1] as commonly published, which are of the training images, and the md5 of
    unpacked files that torchvision does not check itself."""

    source: str
    name: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    md5: Mapping[str, str]


MNIST = Published(
    "mnist",
    "MNIST",
    (0.1307,),
    (0.3081,),
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
)
FASHION_MNIST = Published(
    "fashion_mnist",
    "FashionMNIST",
    (0.2860,),
    (0.3530,),
    {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
)
CIFAR10 = Published("cifar10", "CIFAR10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), {})
TORCHVISION = {published.source: published for published in (MNIST, FASHION_MNIST, CIFAR10)}


@dataclass(frozen=True)
class Place:
    """Where to look: ``root`` holds torchvision's folders, ``path`` is somebody's own file or folder; what to take for
    constants; the height and width that images are resized to; and the name of the label among several."""

    root: Path
    path: Path | None
    mean: Sequence[float] | None
    deviation: Sequence[float] | None
    size: int | None = None
    label: str | None = None


def _digits() -> tuple[Arrays, Constants]:
    """scikit-learn's 1,797 images of 8x8 pixels in 0..16, split 4:1 at random, the same way everywhere."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images, labels = digits.images[order, None].astype(np.uint8), digits.target[order].astype(np.int64)
    cut = len(order) * 4 // 5
    arrays = {"x_train": images[:cut], "y_train": labels[:cut], "x_test": images[cut:], "y_test": labels[cut:]}
    return arrays, ([8.0], [8.0])


def download(source: str, root: Path) -> None:
    """Fetch a torchvision data set into ``root``. Raises ``ValueError`` if that fails."""
    if source not in TORCHVISION:
        raise ValueError(f"{source!r} is not downloaded; what can be: {', '.join(TORCHVISION)}")
    import torchvision

    try:
        getattr(torchvision.datasets, TORCHVISION[source].name)(root, download=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{source} could not be downloaded to {root}: {error}") from None


def _torchvision(published: Published, root: Path) -> tuple[Arrays, Constants]:
    """torchvision's copy, every file checked against its md5 (CIFAR-10's by torchvision itself)."""
    import torchvision

    source = published.source
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
    return arrays, ([255 * m for m in published.mean], [255 * d for d in published.deviation])


def _npz(
    path: Path | None, mean: Sequence[float] | None, deviation: Sequence[float] | None
) -> tuple[Arrays, Constants]:
    if path is None:
        raise ValueError(f"source npz needs the key 'path': the .npz file with {', '.join(PARTS)}")
    arrays = _checked(path, read_npz(path, PARTS))
    return arrays, _constants(path, arrays["x_train"], mean, deviation)


def _checked(path: Path, arrays: Arrays) -> Arrays:
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


def doubts(path: Path, arrays: Arrays, constants: Constants) -> Iterator[str]:
    """What ``read`` takes from an ``.npz`` as it is and somebody will hardly have meant, with the remedy: images with
    their channels last, and images of bytes kept as floats, which the model would see far from 0."""
    offset, scale = constants
    _, channels, height, width = shape = arrays["x_train"].shape
    # maps of features [n, many, 4, 4], and rows of them [n, many, 1, 1], are no images with channels last
    last = width in CHANNELS and channels not in CHANNELS and height != width
    if last:
        yield f"{path}: x_train {shape} looks like channels last [n, height, width, channels]; transpose(0, 3, 1, 2)"
    if not last and (channels not in CHANNELS or min(height, width) == 1):
        return
    for part in ("x_train", "x_test"):
        x = arrays[part]
        low, high = x.min(), x.max()
        seen = (high - max(offset)) / max(scale)  # at least; 3 or so for pixels in [0, 1] and published constants
        if x.dtype != np.uint8 and low >= 0 and 2 < high <= 255 and seen > 10:
            yield (
                f"{path}: {part}: floats from {low:g} to {high:g} are not scaled; save bytes as uint8, or divide them "
                "by 255"
            )


def _constants(
    path: Path, images: NDArray[Any], mean: Sequence[float] | None, deviation: Sequence[float] | None
) -> Constants:
    """Offset and scale in units of the stored values; without ``mean``, bytes go to [-1, 1] and floats stay as they
    are."""
    channels, unit = images.shape[1], 255.0 if images.dtype == np.uint8 else 1.0
    if mean is None or deviation is None:
        mean, deviation = ([0.5] * channels, [0.5] * channels) if unit == 255 else ([0.0] * channels, [1.0] * channels)
    if not len(mean) == len(deviation) == channels:
        raise ValueError(f"{path}: mean and deviation need one value for each of the {channels} channels")
    return [unit * m for m in mean], [unit * d for d in deviation]


def read_npz(path: Path, names: tuple[str, ...]) -> Arrays:
    """The arrays of these ``names``. Raises as ``read`` does."""
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


# What a run's record vouches for is what its own source's reader does, and no other's.
READERS: dict[str, Callable[[Place], tuple[Arrays, Constants]]] = {
    "digits": lambda _: _digits(),
    "mnist": lambda place: _torchvision(MNIST, place.root),
    "fashion_mnist": lambda place: _torchvision(FASHION_MNIST, place.root),
    "cifar10": lambda place: _torchvision(CIFAR10, place.root),
    "npz": lambda place: _npz(place.path, place.mean, place.deviation),
}
