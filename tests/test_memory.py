"""Freed memory is kept."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from psasc_bench.memory import keep_freed_memory
{call}
def use():
    blocks = [b"x" * 2**24 for _ in range(4)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(call: str) -> int:
    """Page faults of using 64 MiB for a second time."""
    return int(subprocess.check_output([sys.executable, "-c", FAULTS.format(call=call)]))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_memory_used_before_costs_no_page_faults() -> None:
    assert faults("keep_freed_memory()") < 100 < faults("")
