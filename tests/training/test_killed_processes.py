"""Training processes that are killed, wait for each other or find the disk full: what is filed is whole."""

from __future__ import annotations

import dataclasses
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from background import until
from processes import PROCESSES, Run, catches, end

from psasc_bench.files import exclusive
from psasc_bench.records import spool


def test_process_killed_outright_loses_no_step_that_was_saved(long: Run, tmp_path: Path) -> None:
    long.train_here(tmp_path / "whole")
    (broken := tmp_path / "broken").mkdir()
    long.kill_after_a_checkpoint(broken)
    assert end(long.start(broken)) == (0, "")

    (unbroken, curve), (resumed, resumed_curve) = long.made(tmp_path / "whole"), long.made(broken)
    assert (resumed.result, resumed_curve, resumed.ledger) == (unbroken.result, curve, unbroken.ledger)
    assert len(resumed.provenance["resumed_at_steps"]) == 1
    assert unbroken.provenance["resumed_at_steps"] == []
    assert not [path for path in (broken / "results" / "spool").rglob("*") if path.is_file()]


@pytest.mark.skipif(not PROCESSES.exists(), reason="what a process catches is only known where there is /proc")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"])
def test_process_asked_to_end_keeps_the_step_under_way(
    signum: signal.Signals, status: int, long: Run, tmp_path: Path
) -> None:
    """Of its own accord it would write none for an hour."""
    long.train_here(tmp_path / "whole")
    (broken := tmp_path / "broken").mkdir()
    process = long.start(broken, "--checkpoint-seconds", "3600")
    until(lambda: catches(process.pid, signal.SIGTERM))  # as it does while it trains
    process.send_signal(signum)
    ended, said = end(process)
    assert ended == status
    found = re.fullmatch(
        r"psasc-bench: interrupted; finished runs are kept, the next call goes on from step (\d+)\n", said
    )
    assert found, said
    assert not (broken / "results" / "runs").exists()
    assert end(long.start(broken)) == (0, "")

    (unbroken, curve), (resumed, resumed_curve) = long.made(tmp_path / "whole"), long.made(broken)
    assert resumed.provenance["resumed_at_steps"] == [int(found[1])]
    assert (resumed.result, resumed.predictions) == (unbroken.result, unbroken.predictions)
    assert (resumed.ledger, resumed_curve) == (unbroken.ledger, curve)


def test_second_process_waits_for_the_first_and_takes_its_run(long: Run, tmp_path: Path) -> None:
    """The first process is this one: it has trained the run, but has not filed it when the second one comes."""
    long.train_here(tmp_path)
    filed, elsewhere = tmp_path / "results" / "runs", tmp_path / "elsewhere"
    made = long.made(tmp_path)
    with exclusive(spool.lock_file(long.spec, tmp_path / "results" / "spool"), lambda: None):
        filed.rename(elsewhere)
        second = long.start(tmp_path)
        assert second.stderr is not None
        assert "another process trains this run" in second.stderr.readline()
        elsewhere.rename(filed)
    assert end(second) == (0, "")
    assert long.made(tmp_path) == made


def small_files() -> None:
    """Every file larger than 1 kB fails to be written, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_full_disk_is_a_line_and_leaves_nothing_half_written(long: Run, tmp_path: Path) -> None:
    short = dataclasses.replace(long, spec=dataclasses.replace(long.spec, epochs=1))
    short.train_here(tmp_path)
    asked = [sys.executable, "-m", "psasc_bench", *long.command(tmp_path), "--checkpoint-seconds", "0"]
    process = subprocess.run(asked, cwd=tmp_path, preexec_fn=small_files, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    *warnings, error = process.stderr.splitlines()
    assert all("no checkpoint written" in line for line in warnings)
    assert error.startswith("psasc-bench: error: ")
    assert "File too large" in error
    assert not list(tmp_path.rglob("*.partial"))
    assert short.made(tmp_path)[0].spec.epochs == 1  # what was there is there still
