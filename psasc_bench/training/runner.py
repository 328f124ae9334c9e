"""Training the runs of one cell in one process: what is finished stays, what is missing is trained, each run is filed
by itself.

Finished runs go to a spool that the workflow knows nothing of, and from there into place: a workflow engine that cleans
up the declared outputs of an interrupted job does not take finished runs along.
"""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from psasc_bench import code, methods, records
from psasc_bench.data import Dataset
from psasc_bench.files import exclusive, replacing
from psasc_bench.privacy import Budget
from psasc_bench.records import GENERATION, Record, checkpoint_file, lock_file, spool_beside
from psasc_bench.signals import Asked, at_once
from psasc_bench.study import RunSpec
from psasc_bench.training.cards import SLICES, Cards, Share, measured_peaks, share_of
from psasc_bench.training.checkpoint import Checkpoint
from psasc_bench.training.deviation import own_deviation
from psasc_bench.training.loop import Outcome, train
from psasc_bench.training.step import releases

ENDINGS = (".csv", ".json")  # the record last: it vouches for the curve


def train_run(
    spec: RunSpec,
    dataset: Dataset,
    budget: Budget,
    *,
    runs: Path,
    micro_batch_size: int,
    device: torch.device | Cards,
    checkpoint_seconds: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
    probe_every_epochs: int = 0,
    interruptible: Callable[[], AbstractContextManager[Asked]] = at_once,
) -> Record:
    """See that ``runs`` has the current record of ``spec``: leave it, fetch it from the spool, or train it, from its
    last checkpoint there if it has one. A run that failed is tried again. With a deviation in its curve at every
    ``probe_every_epochs``-th epoch; a record is current with or without them.

    One process at a time: another one that wants the same run waits, and then finds it. It is trained and filed in an
    ``interruptible`` block, which says what a signal does meanwhile. Of cards, it takes a share of one, and a larger
    one as long as that has too little memory. Raises ``ValueError`` if a whole one has too little to begin with.
    """
    folder = spool_beside(runs)
    target, spooled = runs / spec.name(), folder / spec.name()
    fingerprint = records.fingerprint(spec, source=dataset.source, features=dataset.features)
    version_of_code, package = _version_of_code(), code.package_digest()  # before anybody edits what runs now

    def tell(what: str) -> None:
        print(f"psasc-bench: {spec.name()}: {what}", file=sys.stderr)

    with exclusive(lock_file(spec, folder), lambda: tell("another process trains this run; waiting for it")):
        for stem in (target, spooled):
            for leftover in stem.parent.glob(f".{stem.name}.*.partial"):  # of a process that was killed
                leftover.unlink()
        for stem in (target, spooled):
            found = _current(stem, spec, fingerprint, dataset)
            if found is not None:
                if stem == spooled:
                    _file(spooled, target)
                return found
        least = 1
        while True:
            with (
                share_of(
                    device,
                    lambda: measured_peaks(spec, runs, micro_batch_size=micro_batch_size),
                    lambda: tell("no card has room for this run; waiting for it"),
                    least=least,
                ) as share,
                interruptible() as asked,
            ):
                how = {
                    "device": _device_name(share.device),
                    "threads": torch.get_num_threads(),
                    "micro_batch_size": micro_batch_size,
                    "probe_every_epochs": probe_every_epochs,
                    "data_sha256": dataset.sha256,
                    "made_of": dataset.made_of,
                }
                identity = {"spec": spec.to_json(), "fingerprint": fingerprint, "generation": GENERATION}
                identity |= {"code": package, "budget": budget.to_json(), "torch": torch.__version__, **how}
                checkpoint = Checkpoint(checkpoint_file(spec, folder), identity, checkpoint_seconds)
                started = datetime.now(UTC)
                outcome = _outcome(
                    spec,
                    dataset,
                    budget,
                    share,
                    micro_batch_size=micro_batch_size,
                    probe_every_epochs=probe_every_epochs,
                    progress=progress,
                    checkpoint=checkpoint,
                    asked=asked,
                )
                if outcome:
                    provenance = records.provenance(
                        started=started,
                        version_of_code=version_of_code,
                        peak_memory_mib=_peak_memory_mib(share.device),
                        resumed_at_steps=outcome.resumed_at,
                        **how,
                    )
                    made = _record(spec, budget, outcome, fingerprint=fingerprint, provenance=provenance)
                    records.write(made, outcome.curve, spooled)
                    _file(spooled, target)
                    checkpoint.discard()
                    return made
            least = min(SLICES, 2 * share.slices)
            tell("its share of the card's memory was too small; waiting for a larger one")


def _outcome(
    spec: RunSpec,
    dataset: Dataset,
    budget: Budget,
    share: Share,
    *,
    micro_batch_size: int,
    probe_every_epochs: int,
    progress: Callable[[int, int], None] | None,
    checkpoint: Checkpoint,
    asked: Asked,
) -> Outcome | None:
    """Of training on the share; None where more memory may help."""
    try:
        probe = None
        if probe_every_epochs:
            probe = own_deviation(
                spec, dataset, every_epochs=probe_every_epochs, micro_batch_size=micro_batch_size, device=share.device
            )
        outcome = train(
            spec,
            dataset,
            budget,
            micro_batch_size=micro_batch_size,
            device=share.device,
            progress=progress,
            checkpoint=checkpoint,
            probe=probe,
            asked=asked,
        )
    except torch.OutOfMemoryError:  # before the first step
        if share.whole:
            raise ValueError(
                f"{spec.name()}: the memory of {_device_name(share.device)} does not suffice for the data and the "
                "model; use --device cpu"
            ) from None
        return None
    return None if outcome.out_of_memory and not share.whole else outcome


def _record(
    spec: RunSpec, budget: Budget, outcome: Outcome, *, fingerprint: str, provenance: Mapping[str, Any]
) -> Record:
    method = methods.create(spec.method, dict(spec.parameters))
    return Record(
        spec=spec,
        fingerprint=fingerprint,
        status=outcome.status,
        reason=outcome.reason,
        result=_result(outcome, spec.evaluation),
        ledger=records.ledger(
            budget,
            sensitivity=method.sensitivity(),
            steps_taken=outcome.steps_taken,
            releases=releases(
                method, noise_multiplier=budget.noise_multiplier, expected_batch_size=spec.expected_batch_size
            ),
        ),
        nonprivate={"nonfinite_examples": outcome.nonfinite_examples},
        seconds=outcome.seconds,
        predictions=None if outcome.status == "failed" else outcome.predictions,  # of the last iterate or none
        provenance=provenance,
    )


_version_of_code = cache(records.code_version)


def _result(outcome: Outcome, evaluation: str) -> dict[str, float | None]:
    """Of the last iterate, where it was reached: null for what is not finite."""
    last = outcome.curve[-1] if outcome.status != "failed" else {}
    values = {key: last.get(key, math.nan) for key in (f"{evaluation}_accuracy", f"{evaluation}_loss")}
    return {key: value if math.isfinite(value) else None for key, value in values.items()}


def _current(stem: Path, spec: RunSpec, fingerprint: str, dataset: Dataset) -> Record | None:
    paths = [stem.with_name(stem.name + ending) for ending in ENDINGS]
    if not all(path.exists() for path in paths):
        return None
    try:
        found = records.read(paths[-1])
    except ValueError as error:
        print(f"psasc-bench: warning: {error}", file=sys.stderr)
        return None
    current = found.current(spec, fingerprint, data_sha256=dataset.sha256)
    return found if current and found.status != "failed" else None


def _file(spooled: Path, target: Path) -> None:
    for ending in ENDINGS:
        with replacing(target.with_name(target.name + ending)) as file:
            file.write(spooled.with_name(spooled.name + ending).read_bytes())


def empty_spool(specs: list[RunSpec], runs: Path) -> None:
    """Once all runs of a cell are in place, their spooled copies have served."""
    for spec in specs:
        for ending in ENDINGS:
            (spool_beside(runs) / (spec.name() + ending)).unlink(missing_ok=True)


def _peak_memory_mib(device: torch.device) -> float:
    """Of the whole process, libraries included; on a GPU, of what torch allocated there."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
