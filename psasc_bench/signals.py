"""Signals that ask a process to end, taken up where nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Asked = Callable[[], int | None]  # which signal, if any, has asked to end


class Interrupted(Exception):
    """Work that ended early because ``signum`` asked for it. ``step`` is what the next call goes on from; None where
    nothing was left unfinished, or nothing was kept of it."""

    def __init__(self, signum: int, step: int | None = None) -> None:
        goes_on = "" if step is None else f", the next call goes on from step {step}"
        super().__init__(f"interrupted; finished runs are kept{goes_on}")
        self.status = 128 + signum  # what a shell makes of a process that a signal has ended


@contextmanager
def deferred() -> Iterator[Asked]:
    """A block in which the first SIGTERM, SIGINT or SIGHUP only asks: whoever works there is to look now and then, and
    to raise ``Interrupted``. If nobody has when the block ends well, it is raised then. From the first signal on, a
    second one does what it did before the block. Signals that were ignored stay so. Main thread only."""
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        restore()
        received.append(signum)

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    # what is not Python's cannot be put back
    before = {each: found for each in ASKING if (found := signal.getsignal(each)) not in (signal.SIG_IGN, None)}
    for each in before:
        signal.signal(each, note)
    try:
        yield lambda: received[0] if received else None
    finally:
        restore()
    if received:
        raise Interrupted(received[0])


@contextmanager
def at_once() -> Iterator[Asked]:
    """A block in which signals do what they always do, and nobody is asked."""
    yield lambda: None
