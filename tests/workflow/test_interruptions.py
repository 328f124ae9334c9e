"""A workflow that is interrupted, killed or started twice: no finished run is lost, and it ends the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from background import heed_interrupts, until
from projects import RUNS, STUDY, command, configure, environment, metrics, new_project, records, snakemake, start

from psasc_bench import cli
from psasc_bench.records import record


def test_study_killed_outright_goes_on_where_it_was(finished: Path, tmp_path: Path) -> None:
    """Snakemake alone, while it prepares: what its job finishes as an orphan is complete, the rest is made."""
    project = new_project(tmp_path, STUDY | {"methods": {"nonprivate": {}}})
    target = f"{RUNS}/nonprivate/eps-inf/seed-0.json"
    process = start(project, target)
    deadline = time.monotonic() + 300  # on a busy machine
    while not list((project / "logs" / "budgets").rglob("*.log")):  # folders are Snakemake's, the file is the job's
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while not list((project / "results" / "budgets").rglob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "cannot be locked" in snakemake(project, target, status=1)
    snakemake(project, "--unlock")
    snakemake(project, target)
    assert metrics(project).items() <= metrics(finished).items()
    assert len(records(project)) == 2


def test_second_workflow_on_one_folder_says_so(project: Path) -> None:
    configure(project, STUDY | {"seeds": [7]})
    target = f"{RUNS}/nonprivate/eps-inf/seed-7.json"
    with start(project, target) as first:
        deadline = time.monotonic() + 300  # on a busy machine
        while not list((project / ".snakemake" / "locks").glob("*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)  # or else it may be finished when the second one has started
        said = snakemake(project, target, status=1)
        first.send_signal(signal.SIGCONT)
    assert "cannot be locked" in said
    assert first.returncode == 0


def test_signal_to_the_process_of_a_job_reaches_the_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler signals the shell of a job; killed, it would have left the run behind, which would have gone on."""
    monkeypatch.setenv("PSASC_BENCH_CHECKPOINT_SECONDS", "0")
    study = STUDY | {"seeds": [8], "methods": {"nonprivate": {}}}
    study["datasets"] = {"digits": STUDY["datasets"]["digits"] | {"epochs": 400}}
    configure(project, study)
    target = f"{RUNS}/nonprivate/eps-inf/seed-8.json"
    process = start(project, target)
    checkpoint = project / "results" / "spool" / "digits" / "nonprivate" / "eps-inf" / "seed-8.checkpoint"
    until(checkpoint.exists)
    (job,) = psutil.Process(process.pid).children()
    job.terminate()
    assert process.wait(timeout=300) != 0
    (log,) = (project / "logs" / "train" / "digits" / "nonprivate").rglob("*.log")
    assert "interrupted; finished runs are kept, the next call goes on from step" in log.read_text()


def test_interrupted_study_loses_no_finished_run_and_ends_the_same(project: Path) -> None:
    """Ctrl-C, which reaches Snakemake and the training process alike, once the first of three runs is finished."""
    shutil.rmtree(project / RUNS)
    study = STUDY | {"seeds": [0, 1, 2], "methods": {"nonprivate": {}}}
    study["datasets"] = {"digits": STUDY["datasets"]["digits"] | {"epochs": 8}}
    configure(project, study)
    cell = "nonprivate/eps-inf"
    target = f"{RUNS}/{cell}/seed-0.json"
    places = [project / target, project / "results" / "spool" / "digits" / cell / "seed-0.json"]
    process = subprocess.Popen(
        command(target),
        cwd=project,
        env=environment(project),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    deadline = time.monotonic() + 300  # on a busy machine
    while not any(place.exists() for place in places):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert not list((project / "results").rglob("seed-2.json")), "the study was over before it was interrupted"
    kept = next(record.read(place) for place in places if place.exists())
    (log,) = (project / "logs" / "train" / "digits" / "nonprivate").rglob("*.log")
    assert log.read_text().splitlines()[-1].startswith("psasc-bench: interrupted; finished runs are kept")

    snakemake(project, *(f"{RUNS}/{cell}/seed-{seed}.json" for seed in (0, 1, 2)))
    assert record.read(project / target) == kept
    assert len(records(project)) == 3

    unbroken = ["train", "--config", "study.yaml", "--dataset", "digits", "--method", "nonprivate", "--epsilon", "inf"]
    unbroken += ["--seeds", "1", "--runs", "unbroken/runs", "--data"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        (prepared,) = Path("data", "prepared").glob("digits-*.npz")
        assert cli.main([*unbroken, str(prepared)]) == 0
    whole = record.read(project / "unbroken" / "runs" / "digits" / cell / "seed-1.json")
    assert record.read(project / RUNS / cell / "seed-1.json").result == whole.result
