"""Files that are complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from psasc_bench.files import replacing, write_csv, write_text


def test_text_is_written_to_folders_that_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "größer\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "größer\n".encode()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_interrupted_write_leaves_the_old_file_and_nothing_else(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with replacing(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"whole"


def test_folder_in_the_way_is_an_error_and_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_text(tmp_path / "taken", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_table_has_the_columns_of_all_its_rows(tmp_path: Path) -> None:
    write_csv(tmp_path / "table.csv", [{"a": 1}, {"a": 2, "b": 3}])
    assert (tmp_path / "table.csv").read_text() == "a,b\n1,\n2,3\n"
