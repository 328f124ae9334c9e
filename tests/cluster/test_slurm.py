"""Studies through ``profiles/slurm``, on a Slurm on this machine: they end with the bits of a local run, whatever is
cancelled, killed or interrupted meanwhile."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cluster_studies as studies
import pytest
import slurm as slurms
from projects import metrics, records
from slurm import Slurm, wait_for


@pytest.fixture(scope="module", params=["unaccounted", "accounted"])
def slurm(request: pytest.FixtureRequest) -> Iterator[Slurm]:
    accounting = request.param == "accounted"
    if why := slurms.missing(accounting=accounting):
        pytest.skip(why)
    with slurms.running(accounting=accounting) as started:
        yield started


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The long study, trained on this machine."""
    folder = studies.project(tmp_path_factory.mktemp("untouched") / "project", studies.LONG, measured=False)
    studies.on_this_machine(folder, studies.RECORDS)
    return folder


def training(slurm: Slurm, project: Path, process: subprocess.Popen[bytes]) -> str:
    """A job that trains a run and has saved a checkpoint of it, once there is one."""
    found: list[str] = []

    def looked() -> bool:
        assert process.poll() is None, (project / studies.SAID).read_text()[-5000:]
        found[:] = [job for job in slurm.jobs("RUNNING") if studies.has_checkpoint(project, slurm.commands(job))]
        return bool(found)

    wait_for(looked, "a job has a checkpoint", log=project / studies.SAID)
    return found[0]


def test_smoke_study_is_one_job_and_ends_as_on_this_machine(slurm: Slurm, tmp_path: Path) -> None:
    before = set(slurm.jobs())
    project = studies.project(tmp_path / "cluster", studies.SMOKE, measured=True)
    # all of it takes minutes, once
    studies.on_the_cluster(project, slurm, *([] if slurm.accounting else [studies.RECORDS]))
    assert len(set(slurm.jobs()) - before) == 1
    alone = studies.project(tmp_path / "alone", studies.SMOKE, measured=True)
    studies.on_this_machine(alone, studies.RECORDS)
    assert len(records(project)) == 6
    assert metrics(project) == metrics(alone)


def test_batch_of_a_size_that_is_asked_for_takes_the_core_of_one_job(slurm: Slurm, tmp_path: Path) -> None:
    before = set(slurm.jobs())
    project = studies.project(tmp_path / "cluster", studies.SMOKE, measured=False)
    studies.on_the_cluster(project, slurm, studies.RECORDS, "--group-components", "train_digits=3")
    (job,) = set(slurm.jobs()) - before
    assert slurm.ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%C %m").split() == ["1", "4000M"]
    assert len(records(project)) == 6


def test_cancelled_job_crashed_node_and_killed_controller_change_no_bit(
    slurm: Slurm, tmp_path: Path, untouched: Path
) -> None:
    project = studies.project(tmp_path / "cluster", studies.LONG, measured=False)
    with studies.started(project, slurm, studies.RECORDS) as process:
        slurm.ask("scancel", training(slurm, project, process))
        lost = training(slurm, project, process)
        node = slurm.node_of(lost)
        slurm.crash(node)
        slurm.start_node(node)
        wait_for(lambda: lost in slurm.jobs("PENDING"), "the lost job is queued again")
        slurm.ask("scontrol", "update", f"JobId={lost}", "StartTime=now")  # by itself after two minutes
        slurm.kill_controller(training(slurm, project, process))
        slurm.start_controller()
        process.wait()
    studies.ended_well(project, process)
    assert metrics(project) == metrics(untouched)
    assert studies.resumed(project) >= 1


def test_interrupted_study_ends_by_the_same_command(slurm: Slurm, tmp_path: Path, untouched: Path) -> None:
    project = studies.project(tmp_path / "cluster", studies.SHORT, measured=False)
    with studies.started(project, slurm, studies.RECORDS) as process:
        training(slurm, project, process)
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode != 0
    wait_for(lambda: not slurm.jobs("RUNNING", "PENDING", "COMPLETING"), "its jobs are cancelled")
    studies.on_the_cluster(project, slurm, studies.RECORDS)
    assert metrics(project).items() <= metrics(untouched).items()
    assert len(records(project)) == 2


def test_study_killed_outright_ends_beside_the_jobs_that_it_left(slurm: Slurm, tmp_path: Path, untouched: Path) -> None:
    project = studies.project(tmp_path / "cluster", studies.SHORT, measured=False)
    with studies.started(project, slurm, studies.RECORDS) as process:
        training(slurm, project, process)
        process.kill()
        process.wait()
    studies.unlock(project)
    studies.on_the_cluster(project, slurm, studies.RECORDS)
    assert metrics(project).items() <= metrics(untouched).items()
    assert len(records(project)) == 2
