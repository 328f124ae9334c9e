"""Predictions in records: packed and unpacked as they were, told from damaged ones, and looked at only when asked."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psasc_bench.records import Record, find, merge, pack_predictions, read, unpack_predictions, write

ROOT = Path(__file__).parents[2]
OLD = read(find(ROOT / "results" / "runs")[0])
FOUR = np.array([3, 1, 2, 0])


def having(predictions: Any) -> Record:
    return replace(OLD, predictions=predictions)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a record with predictions."""
    made = having(pack_predictions(FOUR, classes=4))
    write(made, [], tmp_path / made.spec.name())
    return tmp_path / f"{made.spec.name()}.json"


@given(st.integers(1, 300).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1), max_size=50))))
def test_predictions_come_back_as_they_were(case: tuple[int, list[int]]) -> None:
    classes, predicted = case
    packed = pack_predictions(np.array(predicted, np.int64), classes=classes)
    found = unpack_predictions(having(json.loads(json.dumps(packed))))
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.int64, predicted)


def test_each_has_as_few_bits_as_tell_the_classes_apart() -> None:
    # 11 01 10 00 is 0xD8, in base64 2A==
    assert pack_predictions(FOUR, classes=4) == {"classes": 4, "examples": 4, "packed": "2A=="}


def test_ten_thousand_of_ten_classes_are_seven_kilobytes() -> None:
    assert len(pack_predictions(np.zeros(10_000, np.int64), classes=10)["packed"]) == 6668


def test_record_keeps_them_and_one_without_has_none(path: Path) -> None:
    assert unpack_predictions(read(path)).tolist() == FOUR.tolist()  # type: ignore[union-attr]
    assert unpack_predictions(OLD) is None


def test_record_without_them_is_written_as_it_was(tmp_path: Path) -> None:
    source = find(ROOT / "results" / "runs")[0]
    write(OLD, [], tmp_path / "seed-0")
    assert (tmp_path / "seed-0.json").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"packed": "2A"}, "2 characters, too few or too many for 4 examples"),
        ({"examples": 400}, "4 characters, too few or too many for 400 examples"),
        ({"packed": 5}, "not a number of classes and of examples, and text"),
        ({"classes": 0}, "not a number of classes and of examples, and text"),
        ({"examples": True}, "not a number of classes and of examples, and text"),
    ],
    ids=str,
)
def test_predictions_that_are_not_as_long_as_they_say_are_no_record(
    changes: dict[str, Any], said: str, path: Path
) -> None:
    values = json.loads(path.read_text())
    values["predictions"] |= changes
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=rf"seed-\d+\.json: not a run record .*{re.escape(said)}"):
        read(path)


@pytest.mark.parametrize("predictions", [5, "2A==", [], {}])
def test_something_else_in_their_place_is_no_record(predictions: Any, path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"predictions": predictions}))
    with pytest.raises(ValueError, match=r"seed-\d+\.json: not a run record"):
        read(path)


@pytest.mark.parametrize("packed", ["!!!!", "2A=A"])
def test_what_is_not_base64_is_refused_when_it_is_asked_for(packed: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padding|character"):
        unpack_predictions(having({"classes": 4, "examples": 4, "packed": packed}))


def test_class_that_the_model_has_not_is_refused() -> None:
    packed = pack_predictions(FOUR, classes=4) | {"classes": 3}
    with pytest.raises(ValueError, match="it predicts class 3 of 3"):
        unpack_predictions(having(packed))


def test_merging_does_not_miss_predictions_but_names_other_ones(path: Path, tmp_path: Path) -> None:
    made, (old, other) = read(path), (tmp_path / "old", tmp_path / "other")
    curve = [{"epoch": 1, **made.result}]
    for folder, predictions in (
        (tmp_path, made.predictions),
        (old, None),
        (other, pack_predictions(FOUR[::-1], classes=4)),
    ):
        write(replace(made, predictions=predictions), curve, folder / made.spec.name())  # type: ignore[arg-type]
    assert merge([old], tmp_path) == 0
    with pytest.raises(ValueError, match=r"contradicts .* in its predictions "):
        merge([other], tmp_path)
