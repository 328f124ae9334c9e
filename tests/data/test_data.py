"""Data preparation: what comes out is right and whole, and what goes in wrong is refused by file and key."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from psasc_bench.data import dataset as data
from psasc_bench.data import sources
from psasc_bench.data.dataset import Dataset

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


# ----------------------------------------------------------------------------------------------------------- digits


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


def test_digits_come_out_the_same_every_time(digits: Dataset, tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        data.prepare("digits", tmp_path / name, root=tmp_path)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert data.load(tmp_path / "one.npz").sha256 == digits.sha256


def test_both_parts_have_all_ten_classes(digits: Dataset) -> None:
    assert set(digits.y_train) == set(digits.y_test) == set(range(10))


# ---------------------------------------------------------------------------------------------------------- own data


def test_own_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, arrays())
    for part, values in arrays().items():
        assert np.array_equal(getattr(dataset, part), values)
    assert dataset.x_train.dtype == np.uint8
    assert dataset.y_train.dtype == np.int64


def test_sha256_is_of_the_arrays_and_the_constants(tmp_path: Path) -> None:
    constants = [np.full(3, 127.5, np.float32)] * 2
    whole = [*(arrays()[part] for part in ("x_train", "y_train", "x_test", "y_test")), *constants]
    expected = hashlib.sha256(b"".join(array.tobytes() for array in whole)).hexdigest()
    assert prepared(tmp_path, arrays()).sha256 == expected


@pytest.mark.parametrize("part", sources.PARTS)
def test_sha256_depends_on_every_array(part: str, tmp_path: Path) -> None:
    values = arrays()
    values[part].flat[3] ^= 1
    assert prepared(tmp_path, values).sha256 != prepared(tmp_path, arrays()).sha256


@pytest.mark.parametrize("changed", [{"mean": (0.4, 0.5, 0.5)}, {"deviation": (0.5, 0.5, 0.6)}])
def test_sha256_depends_on_the_constants(changed: dict[str, Any], tmp_path: Path) -> None:
    """The model sees other images with them: runs made with the old ones are stale."""
    halves = {"mean": (0.5, 0.5, 0.5), "deviation": (0.5, 0.5, 0.5)}
    assert prepared(tmp_path, arrays(), **(halves | changed)).sha256 != prepared(tmp_path, arrays(), **halves).sha256


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


def test_failed_preparation_leaves_the_old_file(tmp_path: Path) -> None:
    prepared(tmp_path, arrays())
    before = (tmp_path / "out.npz").read_bytes()
    with pytest.raises(ValueError, match="y_train"):
        prepared(tmp_path, arrays(y_train=np.zeros(12)))
    assert (tmp_path / "out.npz").read_bytes() == before


# ------------------------------------------------------------------------------------------------------ prepared files


def test_missing_prepared_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        data.load(tmp_path / "absent.npz")


def test_own_file_is_not_taken_for_a_prepared_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    with pytest.raises(ValueError, match=r"own\.npz: lacks offset, scale"):
        data.load(tmp_path / "own.npz")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    prepared(folder, arrays())
    return folder


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_flipped_bit_is_noticed_or_harmless(position: int, bit: int, sound: Path) -> None:
    content = bytearray((sound / "out.npz").read_bytes())
    content[position % len(content)] ^= 1 << bit
    (sound / "flipped.npz").write_bytes(content)
    try:
        digest = data.load(sound / "flipped.npz").sha256
    except ValueError:
        return
    assert digest == data.load(sound / "out.npz").sha256


# ------------------------------------------------------------------------------------------------------------ hold-out


def numbered(examples: int) -> Dataset:
    """Every image bears its number, test images negative ones."""
    numbers = np.arange(examples, dtype=np.float32)
    labels = np.arange(examples)
    constants = np.zeros(1, np.float32), np.ones(1, np.float32)
    return Dataset(numbers[:, None, None, None], labels, -1 - numbers[:, None, None, None], labels, *constants, "same")


@given(examples=st.integers(12, 500))
def test_hold_out_divides_the_training_examples_and_leaves_the_test_examples_out(examples: int) -> None:
    held = data.hold_out(numbered(examples))
    train, test = set(held.x_train.ravel()), set(held.x_test.ravel())
    assert train | test == set(range(examples))
    assert not train & test
    assert len(test) == pytest.approx(examples / 6, abs=0.5)


def test_hold_out_keeps_images_with_their_labels() -> None:
    held = data.hold_out(numbered(100))
    assert np.array_equal(held.x_train.ravel(), held.y_train)
    assert np.array_equal(held.x_test.ravel(), held.y_test)


def test_hold_out_is_the_same_every_time(digits: Dataset) -> None:
    one, two = data.hold_out(digits), data.hold_out(digits)
    assert np.array_equal(one.x_test, two.x_test)
    assert (len(one.y_train), len(one.y_test)) == (1198, 239)


def test_hold_out_does_not_depend_on_the_test_examples(digits: Dataset) -> None:
    blank = replace(digits, x_test=np.zeros_like(digits.x_test), y_test=np.zeros_like(digits.y_test))
    one, two = data.hold_out(digits), data.hold_out(blank)
    assert all(np.array_equal(getattr(one, part), getattr(two, part)) for part in sources.PARTS)


# --------------------------------------------------------------------------------------------------------- torchvision


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
