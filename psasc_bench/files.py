"""Files that are complete or absent, whatever happens while they are written, and locks that end with their process."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` when the block ends well, and leaves no trace when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, which is complete or as it was before."""
    with replacing(path) as file:
        file.write(text.encode())


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], *, header: Sequence[str] = ()) -> None:
    """Write ``rows`` under the keys of ``header`` and then all of theirs, what a row lacks being left empty; complete
    or as it was before."""
    text, keys = io.StringIO(), list(dict.fromkeys([*header, *(key for row in rows for key in row)]))
    writer = csv.DictWriter(text, fieldnames=keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file ``path``, which one process can do at a time, on one machine or several with one file system;
    ``waiting`` is called if another one does. However a process ends, its lock ends with it.

    Does nothing where the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # not filelock: a process would start 15 ms later; it polls, leaves its file, and fails where there are no locks
    while True:
        with path.open("ab") as file:
            if _lock(file, waiting) and not _same(file, path):
                continue  # the one that held it has removed it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def take(path: Path) -> IO[bytes] | None:
    """The lock file ``path``, held until it is closed, or None if it is held already. The file stays; nobody is to hold
    it by ``exclusive``. Where the file system has no locks, everybody gets it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        file.close()
        raise
    return file


def held(path: Path) -> bool:
    """Whether a process holds the lock file ``path``."""
    # not filelock: to ask it of another process's lock is to take the lock, and to make its file
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _lock(file: IO[bytes], waiting: Callable[[], None]) -> bool:
    try:
        return _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        return _flock(file, fcntl.LOCK_EX)


def _flock(file: IO[bytes], operation: int) -> bool:
    """Whether it was done: not where the file system has no locks. Raises ``OSError`` for anything else, such as
    ``BlockingIOError`` for a lock that is held and is not to be waited for."""
    try:
        fcntl.flock(file, operation)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _same(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def json_number(value: float) -> float | str:
    """``value``, or its name where JSON has no number for it."""
    return value if math.isfinite(value) else str(value)
