"""Files that are complete or absent, and locks that end with their process, held against those of filelock."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock, Timeout

from psasc_bench.files import exclusive, held, replacing, take, write_csv, write_text


def alone() -> NoReturn:
    raise AssertionError("nobody else holds this lock")


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


# ------------------------------------------------------------------------------------------------ locks


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "run.lock"


def test_lock_is_held_while_the_block_runs_and_leaves_no_file(lock: Path) -> None:
    with exclusive(lock, alone):
        assert held(lock)
        with pytest.raises(Timeout):
            FileLock(lock).acquire(blocking=False)
    assert not held(lock)
    assert list(lock.parent.iterdir()) == []


def test_lock_is_let_go_when_the_block_fails(lock: Path) -> None:
    with pytest.raises(ValueError, match="inside"), exclusive(lock, alone):
        raise ValueError("inside")
    with exclusive(lock, alone):
        pass


def test_lock_that_another_one_holds_is_waited_for(lock: Path) -> None:
    lock.parent.mkdir()
    other, told = FileLock(lock), []
    other.acquire()

    def waiting() -> None:
        told.append(held(lock))
        other.release()

    with exclusive(lock, waiting):
        assert held(lock)
    assert told == [True]


def test_one_that_waited_holds_a_new_file_once_the_old_one_is_removed(lock: Path) -> None:
    """Else a third process, which makes a file anew, would hold the lock too."""
    first = ExitStack()
    first.enter_context(exclusive(lock, alone))
    with exclusive(lock, first.close):
        assert held(lock)
        with pytest.raises(Timeout):
            FileLock(lock).acquire(blocking=False)


def test_lock_is_taken_by_one_at_a_time(lock: Path) -> None:
    first = take(lock)
    assert first is not None
    assert held(lock)
    assert take(lock) is None
    first.close()
    second = take(lock)
    assert second is not None
    second.close()


def test_lock_ends_with_a_process_that_is_killed(lock: Path) -> None:
    holding = f"""
import pathlib, time
from psasc_bench.files import exclusive
with exclusive(pathlib.Path({str(lock)!r}), lambda: None):
    print("held", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holding], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert held(lock)
        process.kill()
    assert not held(lock)
    with exclusive(lock, alone):
        pass


def test_asking_takes_no_lock_and_makes_no_file(lock: Path) -> None:
    assert not held(lock)
    assert not lock.parent.exists()
    write_text(lock, "")
    assert not held(lock)
    with FileLock(lock).acquire(blocking=False):
        assert held(lock)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK], ids=errno.errorcode.get)
def test_file_system_without_locks_has_none(number: int, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> NoReturn:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with exclusive(lock, alone), exclusive(lock, alone):
        assert not held(lock)
        for file in (take(lock), take(lock)):
            assert file is not None
            file.close()


def test_other_trouble_with_a_lock_is_told(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> NoReturn:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"), exclusive(lock, alone):
        pass
