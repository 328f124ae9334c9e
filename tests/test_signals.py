"""Signals that ask this very process to end, or one that stands in for it where a signal is to end it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from psasc_bench.signals import Interrupted, deferred

EACH = pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["TERM", "INT", "HUP"])
TWICE = """
import signal, sys
from psasc_bench.signals import deferred
signal.signal(signal.SIGINT, signal.SIG_DFL)
with deferred() as asked:
    signal.raise_signal(int(sys.argv[1]))
    print(asked(), flush=True)
    signal.raise_signal(int(sys.argv[2]))
    print("goes on")
"""


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """A background job ignores SIGINT and one under nohup SIGHUP, and these tests may be such."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_block_without_a_signal_is_not_asked_and_leaves_no_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with deferred() as asked:
        assert asked() is None
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@EACH
def test_block_is_asked_and_ends_when_it_has_done_what_it_was_at(signum: signal.Signals) -> None:
    answers = []

    def work() -> None:
        with deferred() as asked:
            signal.raise_signal(signum)
            answers.append(asked())

    with pytest.raises(Interrupted, match="finished runs are kept") as ended:
        work()
    assert answers == [signum]
    assert ended.value.status == {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}[signum]


def test_error_in_the_block_is_what_is_told() -> None:
    def work() -> None:
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        work()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_second_signal_ends_at_once(first: signal.Signals, second: signal.Signals) -> None:
    asked = [sys.executable, "-c", TWICE, str(int(first)), str(int(second))]
    ran = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (-second, f"{int(first)}\n")


def test_signal_that_is_ignored_stays_so() -> None:
    """As SIGINT is in a job that a shell has put into the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked() is None
