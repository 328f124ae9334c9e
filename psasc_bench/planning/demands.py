"""What jobs ask of a cluster, by what runs have taken: how many go together, and for how long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from psasc_bench import records
from psasc_bench.study import Study

BATCH_SECONDS = 300.0  # several times what a cluster's queue takes, and little to lose
JOB_SECONDS = 4.0  # of a job of a batch, until its first step
SAMPLE = 25  # records of a data set, of which the median is known well enough
UNKNOWN_MINUTES = 720
SLOWER = 4  # times, that a machine may be as slow as those before it
STARTING_MINUTES = 2  # of a job, beside what training takes


def run_seconds(study: Study, dataset: str, places: Iterable[Path]) -> float | None:
    """How long a run of the data set takes, as a median by the records in the first of the ``places``, folders of
    records, that has some of runs that ended well: of the data set, or else of others with its model, in proportion to
    their epochs. None where there are none. Raises ``ConfigError`` for a data set that the study has not."""
    protocol = study.dataset(dataset)
    for place in places:
        by_dataset: dict[str, list[Path]] = {dataset: []}
        for path in records.find(place):
            by_dataset.setdefault(path.parts[-4], []).append(path)
        for paths in by_dataset.values():
            epoch = [
                found.seconds["total"] / found.spec.epochs
                for found in _sample(paths)
                if found.status == "done" and found.spec.model == protocol.model
            ]
            if epoch:
                return median(epoch) * protocol.epochs
    return None


def jobs_in_a_batch(seconds: float | None, *, runs: int) -> int:
    """How many jobs of so many ``runs`` go together, to take some minutes; one by one where it is not known how many
    ``seconds`` a run takes."""
    return max(1, int(BATCH_SECONDS / (JOB_SECONDS + seconds * runs))) if seconds else 1


def job_minutes(seconds: float | None, *, runs: int, attempt: int) -> int:
    """The time to ask for, in minutes, for a job of so many ``runs`` of so many ``seconds``; another ``attempt`` gets
    more, for the time may have been too short."""
    minutes = STARTING_MINUTES + math.ceil(SLOWER * seconds * runs / 60) if seconds else UNKNOWN_MINUTES
    return minutes * attempt


def _sample(paths: Sequence[Path]) -> Iterator[records.Record]:
    """The records in some of the ``paths``, from all over them."""
    for path in paths[:: max(1, len(paths) // SAMPLE)]:
        try:
            yield records.read(path)
        except ValueError:  # who surveys says so
            continue
