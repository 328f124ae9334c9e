"""Processes that tests start in the background, and wait for."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

PATIENCE = 300  # seconds, on a busy machine


def heed_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children: the suite may be among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
