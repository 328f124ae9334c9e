"""Arguments: what a shell makes of them is what was meant, and nothing is said that goes without saying."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from planned_studies import from_npz, planned, with_digits

from psasc_bench.planning import schedule_arguments, write_source_arguments
from psasc_bench.study import ConfigError, Study

Source = Callable[..., list[str]]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """What the preparation of a data set is told, an argument a line."""

    def told(study: Study, dataset: str = "digits", data_root: str = "data") -> list[str]:
        path = write_source_arguments(study, tmp_path, dataset, data_root=data_root)
        return Path(path).read_text().splitlines()

    return told


def test_data_set_of_a_library_is_named_alone(source: Source) -> None:
    assert source(planned()) == ["--source", "digits"]


def test_downloaded_data_set_is_looked_for_in_the_data_root(source: Source) -> None:
    asked = source(with_digits(source="cifar10", features="scattering"), data_root="my data/")
    assert asked == ["--source", "cifar10", "--features", "scattering", "--data-root", "my data/"]


def test_own_file_comes_with_its_constants_whatever_it_is_called(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "it's mine; $HOM.npz"
    path.write_bytes(b"some")
    asked = source(from_npz(path, mean=[0.5, 0.25], deviation=[1, 2]), "own")
    numbers = ["--mean", "0.5", "0.25", "--deviation", "1.0", "2.0"]
    assert asked == ["--source", "npz", "--path", str(path), *numbers]


def test_file_that_has_moved_is_told_in_the_file_of_the_same_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.npz", tmp_path / "other.npz"
    one.write_bytes(b"some")
    before = write_source_arguments(from_npz(one), tmp_path, "own", data_root="data")
    one.rename(other)
    after = write_source_arguments(from_npz(other), tmp_path, "own", data_root="data")
    assert before == after
    assert str(other) in Path(after).read_text()


def test_own_file_without_constants_has_none(source: Source, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"some")
    assert source(from_npz(path), "own") == ["--source", "npz", "--path", str(path)]


def test_schedule_is_told_with_its_number_of_epochs_and_not_the_data_sets() -> None:
    told = "--model digits_cnn --delta 0.0001 --expected-batch-size 256 --epochs 9"
    assert schedule_arguments(planned(), "digits", epochs=9, evaluation="test") == told


def test_schedule_on_fewer_examples_says_so() -> None:
    told = schedule_arguments(planned(), "digits", epochs=2, evaluation="validation")
    assert told.endswith("--epochs 2 --evaluation validation")


def test_accountant_is_told_unless_it_is_rdp() -> None:
    told = schedule_arguments(with_digits(accountant="pld"), "digits", epochs=2, evaluation="test")
    assert told.endswith("--epochs 2 --accountant pld")


def test_unknown_data_set_is_named() -> None:
    with pytest.raises(ConfigError, match="no data set 'cifar'"):
        write_source_arguments(planned(), Path("results"), "cifar", data_root="data")
    with pytest.raises(ConfigError, match="no data set 'cifar'"):
        schedule_arguments(planned(), "cifar", epochs=1, evaluation="test")
