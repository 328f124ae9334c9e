"""Several runs on one card: who may be where, by locks, among the cards that this process sees.

A card is cut into slices of its memory, each a lock, which ends with the process that holds it. A run takes as many as
runs like it have needed by their records, or a whole card if there are none.
"""

from __future__ import annotations

import gc
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch

from psasc_bench import records
from psasc_bench.files import take
from psasc_bench.study import RunSpec
from psasc_bench.training.inputs import choose_device

SLICES = 16
SPARE = 1.25  # over the peak of what was allocated: the allocator's blocks are larger than what is asked of it
CONTEXT_MIB = 512.0  # what CUDA itself takes in a process
POLL = 0.5  # seconds


@dataclass(frozen=True)
class Card:
    """``key`` is the same in every process, whatever is visible there; ``mib`` is all its memory."""

    device: torch.device
    key: str
    name: str
    mib: float


@dataclass(frozen=True)
class Share:
    device: torch.device
    slices: int

    @property
    def whole(self) -> bool:
        return self.slices == SLICES


@dataclass
class Cards:
    """The cards that one process sees, and the ``folder`` of locks that all have in common which share them. ``at`` is
    where this process has been: CUDA stays there until it ends."""

    cards: Sequence[Card]
    folder: Path
    at: int | None = None

    @contextmanager
    def share(
        self, peaks: Callable[[], Mapping[str, float]], waiting: Callable[[], None], *, least: int = 1
    ) -> Iterator[Share]:
        """Hold a share of ``least`` slices of a card, or of more if ``peaks`` says so: the measured memory, in MiB, by
        name of the card. One after the other: whoever finds no room waits, and those that come later wait behind, so
        that a large run gets its turn. ``waiting`` is called once in that case; ``peaks`` is asked again meanwhile."""
        with ExitStack() as held:
            with self._turn(waiting) as told:
                while not (found := self._take(peaks(), least)):
                    if not told:
                        waiting()
                    told = True
                    time.sleep(POLL)
                self.at, locks = found
                for lock in locks:
                    held.enter_context(lock)
            try:
                yield Share(self.cards[self.at].device, len(locks))
            finally:
                gc.collect()
                torch.cuda.empty_cache()  # to whoever is next

    @contextmanager
    def _turn(self, waiting: Callable[[], None]) -> Iterator[bool]:
        """To be the one that takes; gives whether ``waiting`` was called, as it is not in a crowd that finds room."""
        told = False
        turn = take(self.folder / "queue.lock")
        while not turn:
            time.sleep(POLL)
            turn = take(self.folder / "queue.lock")
            if not turn and not told:
                waiting()
                told = True
        with turn:
            yield told

    def _take(self, peaks: Mapping[str, float], least: int) -> tuple[int, list[IO[bytes]]] | None:
        needed = [max(least, slices(peaks.get(card.name), card.mib)) for card in self.cards]
        free = [[lock for lock in map(take, self._lock_files(card)) if lock] for card in self.cards]
        chosen = choose([len(locks) for locks in free], needed, at=self.at)
        for index, locks in enumerate(free):
            for lock in locks[needed[index] :] if index == chosen else locks:
                lock.close()
        return None if chosen is None else (chosen, free[chosen][: needed[chosen]])

    def _lock_files(self, card: Card) -> list[Path]:
        return [self.folder / card.key / f"{number}.lock" for number in range(SLICES)]


@contextmanager
def share_of(
    place: torch.device | Cards,
    peaks: Callable[[], Mapping[str, float]],
    waiting: Callable[[], None],
    *,
    least: int = 1,
) -> Iterator[Share]:
    """As ``Cards.share``; of a device that nobody asks for, all."""
    if isinstance(place, torch.device):
        yield Share(place, SLICES)
        return
    with place.share(peaks, waiting, least=least) as share:
        yield share


def choose_place(name: str, *, warn: Callable[[str], None]) -> torch.device | Cards:
    """As ``choose_device``, with a choice of cards where it comes to these."""
    device = choose_device(name, warn=warn)
    return visible_cards() if device.type == "cuda" else device


def visible_cards() -> Cards:
    """Those of this process; their locks are this user's, on this machine."""
    found = []
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found.append(Card(torch.device("cuda", index), str(about.uuid), about.name, about.total_memory / 2**20))
    return Cards(found, Path(tempfile.gettempdir()) / f"psasc-bench-{os.getuid()}")


def slices(peak_mib: float | None, card_mib: float) -> int:
    """How many a run needs whose like have allocated ``peak_mib`` at most; all if that is not known, or too much."""
    if peak_mib is None:
        return SLICES
    return min(SLICES, max(1, math.ceil((SPARE * peak_mib + CONTEXT_MIB) / (card_mib / SLICES))))


def choose(free: Sequence[int], needed: Sequence[int], *, at: int | None = None) -> int | None:
    """The card to go to, of those with as many ``free`` slices as are ``needed`` there: ``at`` if it is one of them, or
    else the one with most free; None if there is none."""
    room = [index for index, count in enumerate(free) if count >= needed[index]]
    return at if at in room else max(room, key=lambda index: free[index], default=None)


def measured_peaks(spec: RunSpec, runs: Path, *, micro_batch_size: int) -> dict[str, float]:
    """The largest memory, in MiB, that any run of the data set in ``runs`` has allocated with the same model, the same
    micro-batch, and as many views and iterates of each example; by name of the card."""

    def like(one: RunSpec, micro_batch: int | None) -> tuple[object, ...]:
        return one.model, one.augmentations, dict(one.parameters).get("iterates"), micro_batch

    found: dict[str, float] = {}
    for path in (runs / spec.dataset).glob("*/eps-*/seed-*.json"):
        try:
            record = records.read(path)
        except ValueError:
            continue
        how = record.provenance
        peak, name = how.get("peak_memory_mib"), how.get("device")
        if like(record.spec, how.get("micro_batch_size")) != like(spec, micro_batch_size):
            continue
        if isinstance(peak, int | float) and isinstance(name, str):
            found[name] = max(peak, found.get(name, 0.0))
    return found
