"""What one sees of a workflow: how far it is, what its jobs have to say, which failed and why, and nothing else."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from snakemake.settings.enums import Quietness
from snakemake.settings.types import OutputSettings
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_psasc_bench import LogHandler, bars
from snakemake_logger_plugin_psasc_bench.bars import Bars

Tell = Callable[..., str]
TWO_JOBS = {"event": LogEvent.RUN_INFO, "stats": {"train_digits": 2, "total": 2}, "msg": "Job stats:"}


def handler(**settings: Any) -> LogHandler:
    return LogHandler(OutputSettings(**settings), None)


def emit(to: LogHandler, *events: dict[str, Any]) -> None:
    for event in events:
        to.emit(logging.makeLogRecord({"levelno": logging.INFO, "levelname": "INFO"} | event))


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Tell]:
    """What is said of events, of which the first is that there are two jobs."""
    monkeypatch.chdir(tmp_path)
    started: list[LogHandler] = []

    def run(*events: dict[str, Any], **settings: Any) -> str:
        started.append(handler(**settings))
        emit(started[-1], TWO_JOBS, *events)
        return capsys.readouterr().err

    yield run
    for one in started:
        one.close()


def begins(jobid: int, *said: str, rule: str = "train_digits") -> dict[str, Any]:
    """A job, and what its log will hold."""
    log = Path("logs", f"{jobid}.log")
    log.parent.mkdir(exist_ok=True)
    log.write_text("".join(f"{line}\n" for line in said))
    written = [f"results/runs/seed-{seed}.{ending} (update)" for seed in (0, 1) for ending in ("json", "csv")]
    return {"event": LogEvent.JOB_INFO, "jobid": jobid, "rule_name": rule, "log": [str(log)], "output": written}


def finished(jobid: int) -> dict[str, Any]:
    return {"event": LogEvent.JOB_FINISHED, "job_id": jobid, "msg": f"Finished jobid: {jobid} (Rule: train_digits)"}


def failed(jobid: int) -> list[dict[str, Any]]:
    level = {"levelno": logging.ERROR, "levelname": "ERROR"}
    command = {"event": LogEvent.ERROR, "msg": "Command '...' exited with 1", "exception": "RuleException"}
    job = {"event": LogEvent.JOB_ERROR, "jobid": jobid, "rule_name": "train_digits", "log": [f"logs/{jobid}.log"]}
    return [level | command, level | job]


def test_of_a_job_that_ends_well_its_warnings_alone_are_shown(tell: Tell) -> None:
    warning = "psasc-bench: warning: digits/dp-sgd/eps-8/seed-0 failed: the loss is infinite"
    assert tell(begins(1, "loading", warning, "psasc-bench: wrote a.csv"), finished(1)) == f"{warning}\n"


def test_failed_job_is_named_with_its_errors_and_its_log(tell: Tell) -> None:
    error = "psasc-bench: error: data/prepared/digits.npz is cut short"
    assert tell(begins(1, "loading", error), *failed(1)).splitlines() == [
        "psasc-bench: error: train_digits failed, see logs/1.log",
        f"    {error}",
    ]


def test_of_a_job_that_fails_without_a_word_the_last_lines_are_shown(tell: Tell) -> None:
    said = tell(begins(1, *map(str, range(100)), "ZeroDivisionError: division by zero"), *failed(1))
    assert said.splitlines()[1:] == [
        *(f"    {line}" for line in range(96, 100)),
        "    ZeroDivisionError: division by zero",
    ]


def test_log_of_a_study_elsewhere_is_named_as_seen_from_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    started = handler()
    emit(started, TWO_JOBS)
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "studies" / "mine")
    emit(started, begins(1), *failed(1))
    assert capsys.readouterr().err == "psasc-bench: error: train_digits failed, see studies/mine/logs/1.log\n"


@pytest.mark.parametrize("usual", ["Building DAG of jobs...", "Select jobs to execute...", "Execute 2 jobs..."])
def test_what_snakemake_says_of_every_workflow_is_left_out(usual: str, tell: Tell) -> None:
    assert tell({"msg": usual}) == ""


@pytest.mark.parametrize("unusual", ["Unlocked working directory.", "psasc-bench: open docs/study.md"])
def test_what_is_said_of_this_one_is_shown(unusual: str, tell: Tell) -> None:
    assert tell({"msg": unusual}) == f"{unusual}\n"


def test_error_outside_a_job_is_shown(tell: Tell) -> None:
    assert "no such rule" in tell({"event": LogEvent.ERROR, "levelno": logging.ERROR, "msg": "no such rule"})


def test_dry_run_is_told_by_snakemake(capsys: pytest.CaptureFixture[str]) -> None:
    emit(handler(dryrun=True, stdout=True), TWO_JOBS)
    assert capsys.readouterr().out == "Job stats:\n"


def test_without_a_terminal_there_is_a_line_a_minute_at_most(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [begins(1), begins(2), finished(1), finished(2)]
    assert tell(*both) == ""
    monkeypatch.setattr(bars, "LINE_SECONDS", 0.0)
    assert re.fullmatch(r"psasc-bench: training runs: 2 of 4, about 0:00:0\d left\n", tell(*both))
    assert tell(*both, quiet={Quietness.PROGRESS}) == ""


def drawn(work: Callable[[Bars], None]) -> str:
    """The last state of the bar on a terminal."""
    screen = io.StringIO()
    bar = Bars(Console(file=screen, force_terminal=True, width=100, color_system=None), shown=True)
    work(bar)
    bar.close()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).strip().splitlines()[-1]


def test_bar_counts_the_runs_of_jobs_that_share_a_process() -> None:
    def work(bar: Bars) -> None:
        bar.begin({"prepare_digits": 1, "train_digits": 3, "collect": 1})
        bar.job_begins("prepare_digits", runs=0)
        bar.job_ends("prepare_digits")
        bar.job_begins("train_digits", runs=5)
        bar.job_ends("train_digits")

    assert re.search(r"training runs .* 5/15 about 0:00:00 left", drawn(work))


def test_bar_goes_on_with_the_other_steps_when_all_is_trained() -> None:
    def work(bar: Bars) -> None:
        bar.begin({"audit": 1, "train_digits": 1, "collect": 1, "figure": 3})
        for rule in ("audit", "train_digits", "collect"):
            bar.job_begins(rule, runs=2 * rule.startswith("train"))
            bar.job_ends(rule)

    assert re.search(r"other steps .* 1/4 about", drawn(work))
