"""What prepared data is called and knows of itself: all that it is made from, and not what a study calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psasc_bench import data
from psasc_bench.records import present_data
from psasc_bench.study import Study, parse_study

HALVES = {"mean": (0.5,), "deviation": (0.5,)}


def images(path: Path, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    arrays: dict[str, Any] = {f"x_{part}": random.integers(0, 256, (12, 8, 8), np.uint8) for part in ("train", "test")}
    np.savez(path, **arrays, **{f"y_{part}": random.integers(0, 10, 12) for part in ("train", "test")})
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return images(tmp_path / "own.npz")


def of(**datasets: dict[str, Any]) -> Study:
    common = {"model": "digits_cnn", "expected_batch_size": 4, "micro_batch_size": 4, "epochs": 1, "delta": 1e-5}
    common |= {"learning_rate": 0.1, "momentum": 0.9}
    filled = {name: {"title": name, **common, **given} for name, given in datasets.items()}
    return parse_study({"seeds": 0, "epsilons": 1, "methods": {"dp-sgd": {"C": 0.1}}, "datasets": filled}, source="it")


def test_two_names_for_the_same_data_share_a_file(own: Path) -> None:
    study = of(
        one={"source": "npz", "path": str(own)}, two={"source": "npz", "path": str(own)}, three={"source": "mnist"}
    )
    assert study.prepared("one") == study.prepared("two") != study.prepared("three")


def test_one_name_for_other_data_has_another_file(own: Path, tmp_path: Path) -> None:
    names = {
        data.prepared_name("digits"),
        data.prepared_name("mnist"),
        data.prepared_name("digits", features="scattering"),
        data.prepared_name("npz", path=own),
        data.prepared_name("npz", path=own, **HALVES),
        data.prepared_name("npz", path=images(tmp_path / "other.npz", seed=1)),
    }
    assert len(names) == 6


def test_content_of_a_file_counts_and_not_where_it_is(own: Path, tmp_path: Path) -> None:
    before = data.prepared_name("npz", path=own)
    assert data.prepared_name("npz", path=own.rename(tmp_path / "moved.npz")) == before


def test_numbers_count_by_their_value(own: Path) -> None:
    assert data.prepared_name("npz", path=own, mean=[0], deviation=[1]) == data.prepared_name(
        "npz", path=own, mean=(0.0,), deviation=(1.0,)
    )


def test_prepared_data_knows_what_it_is_made_of(own: Path, tmp_path: Path) -> None:
    data.prepare("npz", tmp_path / "prepared.npz", root=tmp_path, path=own, **HALVES)
    found = data.load(tmp_path / "prepared.npz")
    assert (found.source, found.features) == ("npz", "pixels")
    assert found.made_of == data.prepared_name("npz", path=own, **HALVES)
    assert data.as_seen(found, "validation").made_of == found.made_of
    assert data.known_sha256(tmp_path / "prepared.npz") == found.sha256


def test_nothing_is_known_of_what_is_not_prepared(own: Path, tmp_path: Path) -> None:
    assert data.known_sha256(tmp_path / "absent.npz") is None
    assert data.known_sha256(own) is None
    (tmp_path / "damaged.npz").write_bytes(own.read_bytes()[:100])
    assert data.known_sha256(tmp_path / "damaged.npz") is None


def test_data_of_a_study_is_known_as_far_as_it_is_there(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = of(some={"source": "npz", "path": str(own)})
    before = present_data(study, "some")
    assert (before.source, before.made_of, before.sha256) == ("npz", study.prepared("some").stem, None)
    data.prepare("npz", study.prepared("some"), root=tmp_path, path=own)
    assert present_data(study, "some").sha256 == data.load(study.prepared("some")).sha256
    own.unlink()
    assert present_data(study, "some").made_of is None
