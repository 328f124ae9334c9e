"""One long run, trained by processes that can be killed, or in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from background import PATIENCE, heed_interrupts, until

from psasc_bench import cli, records
from psasc_bench.records import Record
from psasc_bench.study import RunSpec

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Run:
    """Of 60 steps on the ``data``, and a checkpoint after each unless it is trained to its end."""

    spec: RunSpec
    data: Path

    @property
    def name(self) -> str:
        return self.spec.name()

    def command(self, folder: Path) -> list[str]:
        spec = self.spec
        schedule = {key: getattr(spec, key) for key in ("model", "expected_batch_size", "epochs", "delta")}
        rate = {"learning_rate": spec.learning_rate, "momentum": spec.momentum}
        digits = {"source": "digits", "title": "Digits", "micro_batch_size": 320, **schedule, **rate}
        study = {"seeds": [0], "epsilons": [1], "methods": {"nonprivate": {}}, "datasets": {"digits": digits}}
        (folder / "study.json").write_text(json.dumps(study))
        cell = ["--dataset", "digits", "--method", "nonprivate", "--epsilon", "inf"]
        return ["train", "--config", "study.json", *cell, "--data", str(self.data), "--runs", "results/runs"]

    def start(self, folder: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
        asked = [sys.executable, "-m", "psasc_bench", *self.command(folder), "--checkpoint-seconds", "0", *more]
        told = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        pipe = subprocess.PIPE
        return subprocess.Popen(asked, cwd=folder, env=told, stderr=pipe, text=True, preexec_fn=heed_interrupts)

    def train_here(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert cli.main(self.command(folder)) == 0

    def checkpoint(self, folder: Path) -> Path:
        return folder / "results" / "spool" / f"{self.name}.checkpoint"

    def made(self, folder: Path) -> tuple[Record, bytes]:
        stem = folder / "results" / "runs" / self.name
        return records.read(stem.with_suffix(".json")), stem.with_suffix(".csv").read_bytes()

    def kill_after_a_checkpoint(self, folder: Path, **environment: str) -> None:
        process = self.start(folder, **environment)
        until(self.checkpoint(folder).exists)
        process.kill()
        end(process)
        assert not (folder / "results" / "runs").exists(), "the run was over before it was killed"


def catches(pid: int, signum: signal.Signals) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = (PROCESSES / str(pid) / "status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signum - 1) & 1)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and what it said on standard error."""
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said
