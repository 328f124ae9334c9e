"""Prepared data: never half written, named by all that makes them, and parted by the data alone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_arrays import arrays, prepared

from psasc_bench.data import Dataset, sources
from psasc_bench.data import dataset as data

# ------------------------------------------------------------------------------------------------ prepared data


def test_digits_come_out_the_same_every_time(digits: Dataset, tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        data.prepare("digits", tmp_path / name, root=tmp_path)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert data.load(tmp_path / "one.npz").sha256 == digits.sha256


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


def test_failed_preparation_leaves_the_old_file(tmp_path: Path) -> None:
    prepared(tmp_path, arrays())
    before = (tmp_path / "out.npz").read_bytes()
    with pytest.raises(ValueError, match="y_train"):
        prepared(tmp_path, arrays(y_train=np.zeros(12)))
    assert (tmp_path / "out.npz").read_bytes() == before


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


# ------------------------------------------------------------------------------------------------ hold-out


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


def test_examples_are_held_out_by_the_data_set_alone(digits: Dataset) -> None:
    """A sixth; none of them trained on; the same whenever asked, whatever the test set, the labels and the pixels."""
    counted = replace(digits, y_train=np.arange(len(digits.y_train)))
    split = data.hold_out(counted)
    assert sorted([*split.y_train, *split.y_test]) == list(range(1437))
    assert len(split.y_test) == 1437 - round(1437 * 5 / 6)
    other = replace(counted, x_train=255 - counted.x_train, x_test=digits.x_test[:1])
    assert np.array_equal(data.hold_out(other).y_test, split.y_test)
