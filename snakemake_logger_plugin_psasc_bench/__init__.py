"""What one sees of a workflow that runs, as a logger plugin of Snakemake: how far it is, what is wrong, and its last
word. All else that Snakemake says is in its log, below ``.snakemake/log``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from rich.console import Console
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_psasc_bench.bars import Bars

OURS = "psasc-bench: "
LAST_LINES = 5  # of the log of a job that fails without saying why
# How what Snakemake says of every workflow begins.
USUAL = (
    "Assuming unrestricted",
    "Building DAG",
    "Using shell",
    "Conda environments: ignored",
    "Select jobs",
    "Execute ",
    "Complete log",
    "Elapsed time",
)


@dataclass(frozen=True)
class _Job:
    rule: str
    logs: tuple[str, ...]


class LogHandler(LogHandlerBase):
    """Of the workflow's own process: its jobs, here or on a cluster, write to their logs, of which the notices are
    shown. A dry run is shown as Snakemake does, and so is a workflow whose commands or reasons are asked for."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        asked = self.common_settings
        quiet = set(asked.quiet or ())
        self._console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
        self._bars = Bars(self._console, shown=not quiet & {Quietness.PROGRESS, Quietness.ALL})
        self._jobs: dict[int, _Job] = {}
        self._folder = Path.cwd()  # where the user is; the workflow goes to the folder of its study
        self._in_full = asked.dryrun or asked.verbose or asked.printshellcmds or asked.debug_dag
        self._snakemake = ColorizingTextHandler(
            asked.nocolor,
            sys.stdout if asked.stdout else sys.stderr,
            DefaultFormatter(quiet, asked.show_failed_logs),
        )
        self._filter = DefaultFilter(quiet, asked.debug_dag, asked.verbose, asked.dryrun, asked.printshellcmds)

    def emit(self, record: LogRecord) -> None:
        try:
            if not self._in_full:
                self._emit(record)
            elif self._filter.filter(record):
                self._snakemake.emit(record)
        except Exception:  # as every handler: what goes wrong here stops no workflow
            self.handleError(record)

    def close(self) -> None:
        self._bars.close()
        super().close()

    def _emit(self, record: Any) -> None:
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO:
                self._bars.begin({rule: count for rule, count in record.stats.items() if rule != "total"})
            case LogEvent.JOB_INFO:
                self._jobs[record.jobid] = _Job(record.rule_name, tuple(record.log))
                self._bars.job_begins(record.rule_name, runs=sum(".json" in path for path in record.output))
            case LogEvent.JOB_FINISHED if job := self._jobs.pop(record.job_id, None):
                self._say(line for log in job.logs for line in _notices(log))
                self._bars.job_ends(job.rule)
            case LogEvent.JOB_ERROR:
                self._jobs.pop(record.jobid, None)
                self._say(self._failure(record.rule_name, record.log))
                self._bars.job_ends(record.rule_name)
            case LogEvent.ERROR if self._jobs and record.exception == "RuleException":
                pass  # the command of a job that is about to be said to have failed
            case None if not record.getMessage().startswith(USUAL):
                self._say([self._snakemake.format(record)])
            case _ if record.levelno >= WARNING:
                self._say([self._snakemake.format(record)])

    def _say(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(line)

    def _failure(self, rule: str, logs: Iterable[str]) -> Iterable[str]:
        """That a job of ``rule`` failed and what its ``logs`` say of it, with where they are."""
        for log in logs:
            yield f"{OURS}error: {rule} failed, see {os.path.relpath(log, self._folder)}"
            said = _lines(log)
            errors = [line for line in said if line.startswith(f"{OURS}error: ")]
            yield from (f"    {line}" for line in errors or said[-LAST_LINES:])


def _notices(log: str) -> list[str]:
    """What the job says to whoever runs the workflow, besides what it wrote."""
    return [line for line in _lines(log) if line.startswith(OURS) and not line.startswith(f"{OURS}wrote ")]


def _lines(log: str) -> list[str]:
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not there, or on another machine
        return []
