"""How far a workflow is: a bar on a terminal, and elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

LINE_SECONDS = 60.0  # least time between two lines
TRAINING = ("train_", "sweep_", "deviation_")  # how the names of rules begin whose jobs train runs


class Bars:
    """One over the runs to be trained, then one over all other steps; nothing at all unless ``shown``."""

    def __init__(self, console: Console, *, shown: bool) -> None:
        self._console = console
        self._lines = shown and not console.is_terminal
        self._line_due = time.monotonic() + LINE_SECONDS
        columns = TextColumn("psasc-bench: {task.description}"), BarColumn(), MofNCompleteColumn(), _TimeLeft()
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
        )
        self._jobs: dict[str, int] = {}  # that are not finished, by rule
        self._runs: dict[str, int] = {}  # that a job trains, by rule
        self._training = True

    def begin(self, jobs: Mapping[str, int]) -> None:
        """``jobs``: how many there are of each rule."""
        self._jobs = dict(jobs)
        self._progress.start()
        self._begin_stage()

    def job_begins(self, rule: str, *, runs: int) -> None:
        """All jobs of a rule train as many ``runs``: how many is known once one of them begins."""
        self._runs[rule] = max(runs, 1)
        if self._in_stage(rule):
            self._progress.start_task(self._task.id)
            self._progress.update(self._task.id, total=self._task.completed + self._left())

    def job_ends(self, rule: str) -> None:
        """Whether it succeeded or not."""
        self._jobs[rule] = self._jobs.get(rule, 1) - 1
        if self._in_stage(rule):
            done, left = self._task.completed + self._runs.get(rule, 1), self._left()
            seconds = (self._task.elapsed or 0) / done * left  # as if all runs or steps took the same time
            self._progress.update(self._task.id, completed=done, total=done + left, end=time.monotonic() + seconds)
            self._say()
        if self._training and not self._left():
            self._begin_stage()

    def close(self) -> None:
        self._progress.stop()

    def _begin_stage(self) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._training = True
        self._training = self._left() > 0
        name = "training runs" if self._training else "other steps"
        self._progress.add_task(name, total=self._left(), start=False, end=None)

    def _in_stage(self, rule: str) -> bool:
        return rule.startswith(TRAINING) == self._training

    def _left(self) -> int:
        """Runs, or other steps, that are not finished."""
        return sum(count * self._runs.get(rule, 1) for rule, count in self._jobs.items() if self._in_stage(rule))

    @property
    def _task(self) -> Task:
        return self._progress.tasks[0]

    def _say(self) -> None:
        if self._lines and self._task.remaining and time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + LINE_SECONDS
            done = f"{self._task.completed:.0f} of {self._task.total:.0f}"
            self._console.print(f"psasc-bench: {self._task.description}: {done}, {_time_left(self._task)}")


class _TimeLeft(ProgressColumn):
    """Rich's own takes jobs that end close together, because they run side by side, for speed."""

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        return Text(_time_left(task))


def _time_left(task: Task) -> str:
    if task.fields["end"] is None:
        return ""
    return f"about {timedelta(seconds=max(0, round(task.fields['end'] - time.monotonic())))} left"
