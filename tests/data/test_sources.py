"""Where data come from: what comes out is right and whole, and what goes in wrong is refused by file and key."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_arrays import Arrays, arrays, prepared, refusal

from psasc_bench import data
from psasc_bench.data import Dataset, sources

# ------------------------------------------------------------------------------------------------ digits


def test_digits_are_split_four_to_one(digits: Dataset) -> None:
    assert digits.x_train.shape == (1437, 1, 8, 8)
    assert digits.x_test.shape == (360, 1, 8, 8)
    assert (len(digits.y_train), len(digits.y_test)) == (1437, 360)


def test_every_digit_is_in_just_one_part(digits: Dataset) -> None:
    from sklearn.datasets import load_digits

    def rows(images: NDArray[Any], labels: NDArray[Any]) -> list[tuple[int, ...]]:
        return sorted((*image.ravel().astype(int), int(label)) for image, label in zip(images, labels, strict=True))

    source = load_digits()
    ours = rows(digits.x_train, digits.y_train) + rows(digits.x_test, digits.y_test)
    assert sorted(ours) == rows(source.images, source.target)


def test_digits_are_normalised_to_one_around_zero(digits: Dataset) -> None:
    pixels = (digits.x_train - digits.offset) / digits.scale
    assert (pixels.min(), pixels.max()) == (-1, 1)


def test_both_parts_have_all_ten_classes(digits: Dataset) -> None:
    assert set(digits.y_train) == set(digits.y_test) == set(range(10))


# ------------------------------------------------------------------------------------------------ own data


def test_grey_images_without_a_channel_axis_get_one(tmp_path: Path) -> None:
    values = arrays(x_train=arrays()["x_train"][:, 0], x_test=arrays()["x_test"][:, 0])
    assert prepared(tmp_path, values).x_train.shape == (12, 1, 5, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_pixels_become_float32_as_they_are(dtype: type, tmp_path: Path) -> None:
    values = arrays(x_train=np.full((12, 3, 5, 4), 0.5, dtype), x_test=np.full((6, 3, 5, 4), 0.5, dtype))
    dataset = prepared(tmp_path, values)
    assert dataset.x_train.dtype == np.float32
    assert set(dataset.x_train.ravel()) == {0.5}
    assert (dataset.offset.tolist(), dataset.scale.tolist()) == ([0, 0, 0], [1, 1, 1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint64])
def test_labels_of_any_integer_type_become_int64(dtype: type, tmp_path: Path) -> None:
    values = arrays(y_train=arrays()["y_train"].astype(dtype))
    dataset = prepared(tmp_path, values)
    assert dataset.y_train.dtype == np.int64
    assert np.array_equal(dataset.y_train, arrays()["y_train"])


def test_bytes_go_to_one_around_zero_unless_told_otherwise(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, arrays())
    assert (dataset.offset.tolist(), dataset.scale.tolist()) == ([127.5] * 3, [127.5] * 3)


def test_public_constants_are_of_pixels_between_zero_and_one(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, arrays(), mean=(0.5, 0.25, 0.0), deviation=(0.25, 0.5, 1.0))
    assert dataset.offset.tolist() == [127.5, 63.75, 0]
    assert dataset.scale.tolist() == [63.75, 127.5, 255]


def test_constants_for_another_number_of_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"own\.npz.*each of the 3 channels"):
        prepared(tmp_path, arrays(), mean=(0.5,), deviation=(0.5,))


def images(*shape: int, top: float, low: float = 0.0) -> Arrays:
    """As ``arrays``, with floats from ``low`` to ``top`` for pixels, both reached."""
    values = arrays()
    for part, count in (("x_train", 12), ("x_test", 6)):
        values[part] = np.linspace(low, top, count * math.prod(shape)).reshape(count, *shape)
    return values


def as_bytes(*shape: int) -> Arrays:
    return {key: x.astype(np.uint8) if key[0] == "x" else x for key, x in images(*shape, top=255).items()}


FLOATS = [
    f"{part}: floats from 0 to 255 are not scaled; save bytes as uint8, or divide them by 255"
    for part in ("x_train", "x_test")
]
LAST = "x_train (12, 5, {}) looks like channels last [n, height, width, channels]; transpose(0, 3, 1, 2)"
PUBLISHED = {"mean": (0.1307,), "deviation": (0.3081,)}
DOUBTED: dict[str, tuple[Arrays, dict[str, Any], list[str]]] = {
    "coloured floats": (images(3, 5, 4, top=255), {}, FLOATS),
    "grey floats": (images(5, 4, top=255), {}, FLOATS),
    "floats with constants for pixels in [0, 1]": (images(5, 4, top=255), PUBLISHED, FLOATS),
    "test floats alone": (images(5, 4, top=1) | {"x_test": images(5, 4, top=255)["x_test"]}, {}, FLOATS[1:]),
    "grey last": (as_bytes(5, 4, 1), {}, [LAST.format("4, 1")]),
    "colours last": (images(5, 4, 3, top=1), {}, [LAST.format("4, 3")]),
    "transparency last": (as_bytes(5, 6, 4), {}, [LAST.format("6, 4")]),
    "colours last, of floats": (images(5, 4, 3, top=255), {}, [LAST.format("4, 3"), *FLOATS]),
}
MEANT: dict[str, tuple[Arrays, dict[str, Any]]] = {
    "bytes": (as_bytes(3, 5, 4), {}),
    "grey bytes": (as_bytes(5, 4), {}),
    "scaled floats": (images(3, 5, 4, top=1), {}),
    "scaled floats with published constants": (images(1, 5, 4, top=1), PUBLISHED),
    "standardised floats": (images(3, 5, 4, low=-3, top=30), {}),
    "floats with constants of their own": (images(5, 4, top=255), {"mean": (127.5,), "deviation": (127.5,)}),
    "small floats far from their mean": (images(5, 4, top=1), {"mean": (0.0,), "deviation": (0.01,)}),
    "floats of 16 bits": (images(5, 4, top=65535), {}),
    "rows of features": (images(1, 20, top=255), {}),
    "features as channels": (images(20, 1, 1, top=255), {}),
    "maps of features": (images(20, 4, 4, top=255), {}),
}


@pytest.mark.parametrize("case", DOUBTED)
def test_images_that_are_hardly_meant_so_are_taken_with_a_warning(case: str, tmp_path: Path) -> None:
    values, options, expected = DOUBTED[case]
    said: list[str] = []
    dataset = prepared(tmp_path, values, warn=said.append, **options)
    assert said == [f"{tmp_path / 'own.npz'}: {line}" for line in expected]
    assert dataset.x_train.size == values["x_train"].size


@pytest.mark.parametrize("case", MEANT)
def test_ordinary_data_gets_no_warning(case: str, tmp_path: Path) -> None:
    values, options = MEANT[case]
    said: list[str] = []
    prepared(tmp_path, values, warn=said.append, **options)
    assert said == []


def test_library_is_warned_in_pythons_way(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="divide them by 255"):
        prepared(tmp_path, images(5, 4, top=255))


def with_value(part: str, value: float) -> Arrays:
    values = {key: array.astype(np.float64) if key[0] == "x" else array for key, array in arrays().items()}
    values[part].flat[7] = value
    return values


BAD_ARRAYS: dict[str, tuple[Callable[[], Arrays], str]] = {
    "images are rows": (lambda: arrays(x_train=np.zeros((12, 60), np.uint8)), "x_train"),
    "images have five axes": (lambda: arrays(x_test=np.zeros((6, 3, 5, 4, 1), np.uint8)), "x_test"),
    "fewer labels than images": (lambda: arrays(y_train=np.zeros(11, np.int64)), "y_train"),
    "one-hot labels": (lambda: arrays(y_test=np.eye(6, 10, dtype=np.int64)), "y_test"),
    "no examples": (lambda: arrays(x_test=np.zeros((0, 3, 5, 4), np.uint8), y_test=np.zeros(0, np.int64)), "x_test"),
    "labels are floats": (lambda: arrays(y_train=np.zeros(12)), "y_train"),
    "labels are booleans": (lambda: arrays(y_test=np.zeros(6, bool)), "y_test"),
    "labels are words": (lambda: arrays(y_test=np.array(["cat"] * 6)), "y_test"),
    "pixels are int64": (lambda: arrays(x_train=np.zeros((12, 3, 5, 4), np.int64)), "x_train"),
    "pixels are complex": (lambda: arrays(x_train=np.zeros((12, 3, 5, 4), complex)), "x_train"),
    "a pixel is NaN": (lambda: with_value("x_train", np.nan), "x_train"),
    "a pixel is infinite": (lambda: with_value("x_test", -np.inf), "x_test"),
    "a pixel does not fit float32": (lambda: with_value("x_train", 1e300), "x_train"),
    "unlike images": (lambda: arrays(x_test=np.zeros((6, 3, 4, 5), np.uint8)), "x_test"),
    "unlike types": (lambda: arrays(x_test=np.zeros((6, 3, 5, 4), np.float32)), "x_test"),
    "pickled pixels": (lambda: arrays(x_train=np.array([None] * 12, dtype=object)), "x_train"),
    "pickled labels": (lambda: arrays(y_test=np.array([{}] * 6, dtype=object)), "y_test"),
    **{
        f"no {part}": (lambda part=part: {k: v for k, v in arrays().items() if k != part}, part)
        for part in sources.PARTS
    },
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_array_is_refused_by_file_and_key(case: str, tmp_path: Path) -> None:
    make, key = BAD_ARRAYS[case]
    np.savez(tmp_path / "own.npz", **make())
    said = refusal(tmp_path, tmp_path / "own.npz")
    assert "own.npz" in said
    assert key in said


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("burst",)


def test_pickled_array_is_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", **arrays(y_train=np.array([Bomb()] * 12, dtype=object)))
    refusal(tmp_path, tmp_path / "own.npz")
    assert not Path("burst").exists()


def truncated(folder: Path) -> bytes:
    np.savez(folder / "whole.npz", **arrays())
    return (folder / "whole.npz").read_bytes()[:-100]


def single_array(folder: Path) -> bytes:
    np.save(folder / "single.npy", arrays()["x_train"])
    return (folder / "single.npy").read_bytes()


NOT_ARCHIVES: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda folder: b"",  # noqa: ARG005
    "text": lambda folder: b"x_train,y_train\n1,2\n",  # noqa: ARG005
    "pickle": lambda folder: pickle.dumps([1, 2]),  # noqa: ARG005
    "truncated": truncated,
    "single array": single_array,
}


@pytest.mark.parametrize("case", NOT_ARCHIVES)
def test_file_that_is_no_archive_is_refused_by_name(case: str, tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(NOT_ARCHIVES[case](tmp_path))
    assert "own.npz" in refusal(tmp_path, tmp_path / "own.npz")


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    assert "absent.npz" in refusal(tmp_path, tmp_path / "absent.npz", FileNotFoundError)


def test_npz_without_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'path'"):
        data.prepare("npz", tmp_path / "out.npz", root=tmp_path)


def test_unknown_source_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'imagenet'.*digits, mnist"):
        data.prepare("imagenet", tmp_path / "out.npz", root=tmp_path)


# ------------------------------------------------------------------------------------------------ torchvision


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist", "cifar10"])
@pytest.mark.filterwarnings("ignore")  # torchvision's import may warn of image codecs, which are not used
def test_data_set_that_is_not_there_comes_with_the_remedy(source: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"psasc-bench download {source} --data-root"):
        data.prepare(source, tmp_path / "out.npz", root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_digits_are_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'digits' is not downloaded.*mnist"):
        sources.download("digits", tmp_path)


@pytest.fixture
def torchvision_root() -> Path:
    """Where torchvision keeps its data sets (``<root>/MNIST/raw/…``)."""
    root = Path(os.environ.get("PSASC_BENCH_DATA", ""))
    if not (root / "MNIST" / "raw").is_dir():
        pytest.skip("PSASC_BENCH_DATA does not name a folder that has MNIST/raw")
    return root


@pytest.mark.parametrize("file", sorted(sources.TORCHVISION["mnist"].md5))
def test_truncated_download_is_refused_by_name(file: str, torchvision_root: Path, tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (torchvision_root / "MNIST" / "raw").iterdir():
        if path.name != file:
            (raw / path.name).symlink_to(path)
    (raw / file).write_bytes((torchvision_root / "MNIST" / "raw" / file).read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{file}: damaged"):
        data.prepare("mnist", tmp_path / "out.npz", root=tmp_path)
    assert not (tmp_path / "out.npz").exists()


def test_mnist_is_whole_and_as_bright_as_published(torchvision_root: Path, tmp_path: Path) -> None:
    data.prepare("mnist", tmp_path / "mnist.npz", root=torchvision_root)
    dataset = data.load(tmp_path / "mnist.npz")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert np.bincount(dataset.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # the published constants have four digits
    assert dataset.x_train.mean() == pytest.approx(float(dataset.offset[0]), rel=1e-3)
    assert dataset.x_train.std() == pytest.approx(float(dataset.scale[0]), rel=1e-3)
