"""Data in formats that others use, too: folders of images, tables, token ids, MedMNIST's files. Read from files that
are there, checked, and brought into arrays like those of ``sources``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from psasc_bench.data.sources import DAMAGE, PARTS, Arrays, Constants, Place, read_npz

if TYPE_CHECKING:
    import pandas as pd

IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # as torchvision's ImageFolder
TEST_FOLDERS = ("test", "val")
TABLES = (".csv", ".parquet", ".npz")
TRAIN_SHARE = 0.8  # of a table that is not parted yet
MOST_TOKENS = 2**31 - 1
MEDMNIST = ("train_images", "train_labels", "test_images", "test_labels")
# Of ImageNet's images, as commonly published.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENETTE = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)
CELEBA_FOLDER, CELEBA_LABELS, CELEBA_PARTS = "img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"
CELEBA_TRAIN, CELEBA_TEST = 0, 2


# ---------------------------------------------------------------------------------------------------------- images


def image_folder(place: Place) -> tuple[Arrays, Constants]:
    """torchvision's ``ImageFolder`` layout: ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``, or ``val`` for ``test``,
    below the path. Classes are numbered in the order of their names."""
    path = _needed(place)
    classes = _classes(path / "train")
    return _labelled_images(place, classes), _image_constants(path, place.mean, place.deviation)


def imagenette(place: Place) -> tuple[Arrays, Constants]:
    """fast.ai's ten classes of ImageNet, unpacked: ``imagenette2-160`` or a larger one."""
    path = _needed(place)
    if (classes := _classes(path / "train")) != list(IMAGENETTE):
        raise ValueError(f"{path / 'train'}: must have the ten classes of Imagenette, {IMAGENETTE[0]} and so on")
    return _labelled_images(place, classes), _image_constants(path, *IMAGENET)


def _labelled_images(place: Place, classes: list[str]) -> Arrays:
    path = _needed(place)
    tests = [path / name for name in TEST_FOLDERS if (path / name).is_dir()]
    if not tests:
        raise FileNotFoundError(f"{path}: must have a folder {' or '.join(TEST_FOLDERS)} beside train")
    arrays: Arrays = {}
    for part, folder in (("train", path / "train"), ("test", tests[0])):
        if strange := sorted(set(_classes(folder)) - set(classes)):
            raise ValueError(f"{folder}: class {strange[0]!r} is not in {path / 'train'}")
        files = [(file, label) for label, name in enumerate(classes) for file in _images_in(folder / name)]
        arrays[f"x_{part}"] = _read_images(path, [file for file, _ in files], place.size)
        arrays[f"y_{part}"] = np.array([label for _, label in files], np.int64)
    return arrays


def _classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; it must hold a folder of images for each class")
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if empty := [name for name in found if not _images_in(folder / name)]:
        raise ValueError(f"{folder / empty[0]}: holds no image ({', '.join(IMAGES)})")
    if len(found) < 2:
        raise ValueError(f"{folder}: must have a folder for each of two classes or more, has {len(found)}")
    return found


def _images_in(folder: Path) -> list[Path]:
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() in IMAGES and not path.name.startswith("."))


def _read_images(path: Path, files: Sequence[Path], size: int | None) -> NDArray[np.uint8]:
    """``[n, 3, size, size]``: each image in red, green and blue, resized with its neighbours averaged in, whatever its
    proportions are; a function of that image alone."""
    from PIL import Image

    if size is None:
        raise ValueError(f"{path}: give the key 'size': images are resized to so many pixels in height and width")
    images = np.empty((len(files), size, size, 3), np.uint8)
    for image, file in zip(images, files, strict=True):
        try:
            with Image.open(file) as opened:
                image[:] = np.asarray(opened.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
        except (*DAMAGE, SyntaxError) as error:
            raise ValueError(f"{file}: not a sound image ({' '.join(str(error).split())}); mend or remove it") from None
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _image_constants(path: Path, mean: Sequence[float] | None, deviation: Sequence[float] | None) -> Constants:
    """In units of bytes, of fractions of 255; without any, bytes go to [-1, 1]."""
    mean, deviation = mean or [0.5] * 3, deviation or [0.5] * 3
    if not len(mean) == len(deviation) == 3:
        raise ValueError(f"{path}: mean and deviation need one value for each of the 3 colours")
    return [255 * value for value in mean], [255 * value for value in deviation]


def celeba(place: Place) -> tuple[Arrays, Constants]:
    """CelebA as published: ``img_align_celeba/``, ``list_attr_celeba.txt`` and ``list_eval_partition.txt`` below the
    path. The label is one of the 40 attributes, or all of them (Liu et al., ICCV 2015). The images that are published
    for validation are left out."""
    path = _needed(place)
    attributes, rows = _celeba_rows(path / CELEBA_LABELS, header=True)
    _, parts = _celeba_rows(path / CELEBA_PARTS, header=False)
    if place.label not in attributes:
        raise ValueError(f"{path / CELEBA_LABELS}: give the key 'label', one of: {', '.join(attributes)}")
    column = attributes.index(str(place.label))
    arrays: Arrays = {}
    for part, number in (("train", CELEBA_TRAIN), ("test", CELEBA_TEST)):
        names = [name for name, (of,) in parts.items() if of == number and name in rows]
        files = [path / CELEBA_FOLDER / name for name in names]
        if absent := next((file for file in files if not file.is_file()), None):
            raise FileNotFoundError(f"{absent}: there is no such file, though {CELEBA_PARTS} names it")
        if not files:
            raise ValueError(f"{path / CELEBA_PARTS}: names no image with the number {number}, of the {part} part")
        arrays[f"x_{part}"] = _read_images(path, files, place.size)
        arrays[f"y_{part}"] = np.array([rows[name][column] > 0 for name in names], np.int64)
    return sound(path, arrays), _image_constants(path, place.mean, place.deviation)


def _celeba_rows(path: Path, *, header: bool) -> tuple[list[str], dict[str, list[int]]]:
    """The names of the columns, of a file that has them in its second line, and the whole numbers of each image."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read ({error})") from None
    columns, lines = (lines[1].split(), lines[2:]) if header and len(lines) > 1 else ([""], lines)
    rows = {}
    for number, line in enumerate(lines, start=3 if header else 1):
        name, *values = line.split() or [""]
        try:
            rows[name] = [int(value) for value in values]
        except ValueError:
            rows[name] = []
        if len(rows[name]) != len(columns):
            raise ValueError(f"{path}: line {number} must be an image and {len(columns)} whole numbers")
    return columns, rows


def medmnist(place: Place) -> tuple[Arrays, Constants]:
    """An ``.npz`` with the names of MedMNIST v2 (Yang et al., Scientific Data 2023): ``train_images [n, h, w]`` or
    ``[n, h, w, 3]`` of bytes, ``train_labels [n, 1]``, and the same of ``test``. Its validation part is left out."""
    path = _needed(place)
    found = read_npz(path, MEDMNIST)
    arrays: Arrays = {}
    for part in ("train", "test"):
        x, y = found[f"{part}_images"], found[f"{part}_labels"]
        if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3) or not len(x):
            raise ValueError(
                f"{path}: {part}_images {x.dtype} {x.shape} must be uint8 [n, height, width] or [n, height, width, 3]"
            )
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(f"{path}: {part}_labels {y.shape} has several labels an image; one is needed")
        arrays[f"x_{part}"] = np.ascontiguousarray(x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2))
        arrays[f"y_{part}"] = y.reshape(-1)
    channels = arrays["x_train"].shape[1]
    mean, deviation = (list(values or [0.5] * channels) for values in (place.mean, place.deviation))
    if not len(mean) == len(deviation) == channels:
        raise ValueError(f"{path}: mean and deviation need one value for each of the {channels} channels")
    return sound(path, arrays), ([255 * value for value in mean], [255 * value for value in deviation])


# ------------------------------------------------------------------------------------------------- tables and text


def table(place: Place) -> tuple[Arrays, Constants]:
    """Rows of numbers with a label: a ``.csv`` or ``.parquet``, of which a fifth of the rows, drawn at random, are for
    testing; or a folder with ``train`` and ``test`` of these; or an ``.npz`` with two-dimensional ``x_train`` and
    ``x_test``. The constants must be said: those of the columns at hand are private."""
    path = _needed(place)
    arrays = sound(path, _rows(path, place.label))
    columns = arrays["x_train"].shape[1]
    mean, deviation = ([*values] * (columns if len(values) == 1 else 1) for values in _said(place, columns))
    if not len(mean) == len(deviation) == columns:
        raise ValueError(f"{path}: mean and deviation need one value for each of the {columns} columns, or one for all")
    return arrays, (mean, deviation)


def _said(place: Place, columns: int) -> tuple[Sequence[float], Sequence[float]]:
    if place.mean is None or place.deviation is None:
        raise ValueError(
            f"{place.path}: give the keys 'mean' and 'deviation': public constants of the {columns} columns, or one "
            "for all, as [0] and [1] to leave them as they are"
        )
    return place.mean, place.deviation


def _rows(path: Path, label: str | None) -> Arrays:
    if path.suffix == ".npz":
        arrays = read_npz(path, PARTS)
        numbers = (name for name in ("x_train", "x_test") if arrays[name].dtype.kind in "iufb")
        return arrays | {name: arrays[name].astype(np.float64) for name in numbers}  # whole ones are no token ids
    if label is None:
        raise ValueError(f"{path}: give the key 'label': the name of the column that holds the classes")
    if not path.is_dir():
        x, y, _ = _columns(path, label)
        order = np.random.default_rng(0).permutation(len(y))
        train, test = np.split(order, [int(len(order) * TRAIN_SHARE)])
        return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}
    files = {}
    for part in ("train", "test"):
        found = [path / f"{part}{ending}" for ending in TABLES[:2] if (path / f"{part}{ending}").is_file()]
        if not found:
            raise FileNotFoundError(f"{path}: must hold {part}.csv or {part}.parquet")
        files[part] = found[0]
    x_train, y_train, names = _columns(files["train"], label)
    x_test, y_test, _ = _columns(files["test"], label, names)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _columns(
    path: Path, label: str, names: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], NDArray[Any], list[str]]:
    """The rows ``[n, d]`` of the columns that are ``names``, or all but the label's; the labels; and the names."""
    frame = _frame(path)
    if label not in frame:
        raise ValueError(f"{path}: has no column {label!r} for label; it has: {', '.join(map(str, frame))}")
    names = list(names or (str(name) for name in frame if name != label))
    if strange := sorted(set(map(str, frame)) ^ {*map(str, names), label}):
        raise ValueError(f"{path}: column {strange[0]!r} is not in both train and test")
    if frame.empty or not names:
        raise ValueError(f"{path}: has no {'rows' if names else f'column but {label!r}'}")
    for name in names:
        if frame[name].dtype.kind not in "iufb":
            raise ValueError(f"{path}: column {name!r} holds no numbers; leave it out, or encode it as numbers")
    if missing := int(frame[label].isna().sum()):
        raise ValueError(f"{path}: column {label!r} has no label in {missing} of {len(frame)} rows; leave them out")
    if frame[label].dtype.kind not in "iufb":
        found = ", ".join(map(repr, frame[label].unique()[:2]))
        raise ValueError(f"{path}: column {label!r} holds text, as {found}; number the classes from 0")
    return frame[names].to_numpy(np.float64), frame[label].to_numpy(), names


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    if path.suffix not in TABLES[:2]:
        raise ValueError(f"{path}: must be one of {', '.join(TABLES)}, or a folder with train and test of these")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        return _csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except pd.errors.ParserWarning:
        raise ValueError(f"{path}: has rows of more fields than its first, which names the columns") from None
    except ImportError:
        raise ValueError(f"{path}: reading it needs the package pyarrow; install it, or save a .csv") from None
    except DAMAGE as error:
        raise ValueError(f"{path}: not a table ({' '.join(str(error).split())})") from None


def _csv(path: Path) -> pd.DataFrame:
    """Where pandas would take a first column without a name for row labels, and rename a second column of one name,
    the file is refused."""
    import pandas as pd

    names = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    if twice := sorted(names[names.duplicated()]):
        raise ValueError(f"{path}: has two columns that are called {twice[0]!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, index_col=False)


def tokens(place: Place) -> tuple[Arrays, Constants]:
    """Texts as token ids: an ``.npz`` with ``x_train`` and ``x_test`` of whole numbers ``[n, length]``, padded by 0,
    and the labels of each. They are not scaled."""
    path = _needed(place)
    if place.mean is not None:
        raise ValueError(f"{path}: token ids are not scaled; leave out mean and deviation")
    arrays = read_npz(path, PARTS)
    for name in ("x_train", "x_test"):
        x = arrays[name]
        if not np.issubdtype(x.dtype, np.integer) or x.ndim != 2 or not x.size or x.min() < 0:
            raise ValueError(f"{path}: {name} {x.dtype} {x.shape} must be token ids [n, length], whole numbers from 0")
        if x.max() > MOST_TOKENS:
            raise ValueError(f"{path}: {name} has a token id of {x.max()}; the largest may be {MOST_TOKENS}")
        arrays[name] = x.astype(np.int64)
    length = arrays["x_train"].shape[1]
    return sound(path, arrays), ([0.0] * length, [1.0] * length)


# ----------------------------------------------------------------------------------------------------------- checks


def _needed(place: Place) -> Path:
    if place.path is None:
        raise ValueError("give the key 'path': where the data is")
    if not place.path.exists():
        raise FileNotFoundError(f"{place.path}: there is no such file or folder")
    return place.path


def sound(path: Path, arrays: Arrays) -> Arrays:
    """``arrays``, if they are sound: finite values of one shape, and labels from 0 of two classes or more, none of them
    only among the test examples. Raises ``ValueError``."""
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if len(x) != len(y) or not len(y) or y.ndim != 1:
            raise ValueError(
                f"{path}: x_{part} {x.shape} and y_{part} {y.shape} must be of the same examples, 1 or more"
            )
        if x.dtype.kind not in "iufb" or x.ndim not in (2, 4) or not x[0].size:
            wanted = "with a row for each example, or images [n, channels, height, width]"
            raise ValueError(f"{path}: x_{part} {x.dtype} {x.shape} must be numbers, {wanted}")
        if x.dtype not in (np.uint8, np.int64):
            with np.errstate(over="ignore"):  # what float32 has no room for is infinite, and found below
                arrays[f"x_{part}"] = x = x.astype(np.float32)
        if bad := int((~np.isfinite(x)).sum()):
            raise ValueError(f"{path}: x_{part} has {bad} missing, NaN or infinite values; fill them in or remove them")
        if y.dtype.kind not in "iufb" or not np.isfinite(y).all() or (y != np.floor(y)).any():
            raise ValueError(f"{path}: y_{part} must hold whole numbers, the classes from 0, is {y.dtype}")
        arrays[f"y_{part}"] = y.astype(np.int64)
    if arrays["x_train"].shape[1:] != arrays["x_test"].shape[1:]:
        shapes = " and ".join(f"x_{part} {arrays[f'x_{part}'].shape}" for part in ("train", "test"))
        raise ValueError(f"{path}: {shapes} hold examples of unlike shape")
    train, test = arrays["y_train"], arrays["y_test"]
    if train.min() != 0 or train.max() < 1:
        raise ValueError(
            f"{path}: y_train has labels from {train.min()} to {train.max()}; it must have two classes or more, from 0"
        )
    if test.min() < 0 or test.max() > train.max():
        raise ValueError(f"{path}: y_test has labels from {test.min()} to {test.max()}, y_train to {train.max()}")
    return arrays


READERS: dict[str, Callable[[Place], tuple[Arrays, Constants]]] = {
    "image_folder": image_folder,
    "imagenette": imagenette,
    "celeba": celeba,
    "medmnist": medmnist,
    "table": table,
    "tokens": tokens,
}
