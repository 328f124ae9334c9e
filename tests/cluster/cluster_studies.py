"""Small studies that go through ``profiles/slurm``, and the same ones on this machine alone, to compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from background import heed_interrupts
from projects import ROOT, RUNS, STUDY, environment, new_project
from slurm import Slurm

from psasc_bench.records import record

SMOKE: dict[str, Any] = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text(encoding="utf-8"))
SHIPPED = Path("results", "runs", "digits_tuned", "auto-s", "eps-1")
RECORDS = "results/ledger.csv"  # asks for all records, and needs little more
SAID = "said.txt"
OF_RUN = ("--dataset", "--method", "--epsilon", "--seeds")
# Each run is a job of its own, of some seconds: time enough to be killed in.
LONG: dict[str, Any] = STUDY | {
    "methods": {"dp-sgd": {"C": 0.1}, "nonprivate": {}},
    "datasets": {"digits": STUDY["datasets"]["digits"] | {"epochs": 150, "share_process": False}},
}
SHORT: dict[str, Any] = LONG | {"methods": {"nonprivate": {}}}


def project(folder: Path, study: dict[str, Any], *, measured: bool) -> Path:
    """A copy of the project with a study; with records that say how long a run takes if that is to be ``measured``."""
    folder.mkdir()
    if measured:
        shutil.copytree(ROOT / SHIPPED, folder / SHIPPED)
    return new_project(folder, study)


def has_checkpoint(folder: Path, commands: list[list[str]]) -> bool:
    """Whether one of these commands trains a run that has saved one."""
    for command in commands:
        if "train" in command:
            dataset, method, epsilon, seed = (command[command.index(option) + 1] for option in OF_RUN)
            run = folder / "results" / "spool" / dataset / method / f"eps-{epsilon}" / f"seed-{seed}.checkpoint"
            if run.exists():
                return True
    return False


def resumed(folder: Path) -> int:
    """How many runs went on from a checkpoint."""
    found = [record.read(path) for path in (folder / RUNS).rglob("*.json")]
    return sum(bool(one.provenance["resumed_at_steps"]) for one in found)


def unlock(folder: Path) -> None:
    """What Snakemake asks for, where it was killed."""
    asked = ["snakemake", "--configfile", "study.yaml", "--cores", "1", "--unlock"]
    subprocess.run(asked, cwd=folder, env=_environment(folder), check=True, capture_output=True)


def on_this_machine(folder: Path, *targets: str) -> None:
    asked = ["snakemake", "--configfile", "study.yaml", "--cores", "2", *targets]
    ran = subprocess.run(asked, cwd=folder, env=_environment(folder), check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-5000:]


def on_the_cluster(folder: Path, slurm: Slurm, *targets: str) -> None:
    """Called as the README says. Raises ``AssertionError`` with what Snakemake said, if it did not end well."""
    with started(folder, slurm, *targets) as process:
        process.wait()
    ended_well(folder, process)


@contextmanager
def started(folder: Path, slurm: Slurm, *targets: str) -> Iterator[subprocess.Popen[bytes]]:
    """The same, while it runs; checkpoints every tenth of a second, so that what is killed has one."""
    asked = ["snakemake", "--configfile", "study.yaml", "--profile", "profiles/slurm", *targets]
    known = _environment(folder) | {"PSASC_BENCH_CHECKPOINT_SECONDS": "0.1"}
    path = f"{slurm.folder}/bin{os.pathsep}{known['PATH']}"
    known |= {"SLURM_CONF": slurm.environment["SLURM_CONF"], "PATH": path}
    with (folder / SAID).open("ab") as said:
        process = subprocess.Popen(
            asked, cwd=folder, env=known, stdout=said, stderr=said, preexec_fn=heed_interrupts, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def ended_well(folder: Path, process: subprocess.Popen[bytes]) -> None:
    assert process.returncode == 0, (folder / SAID).read_text()[-5000:]


def _environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return environment(folder) | {"PYTHONPATH": path}
