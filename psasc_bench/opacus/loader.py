"""Poisson batches from a data loader, at exactly the rate that the accountant is told.

Opacus' ``DPDataLoader`` draws at ``1 / len(loader)`` for ``int(1 / (1 / len(loader)))`` steps an epoch, which floating
point makes one too few for 93 batches, and for 14 more numbers up to 300; its engine then accounts for a rate of
``1 / (len(loader) - 1)``. It divides by the expected batch size rounded down to an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from opacus.data_loader import wrap_collate_with_empty
from opacus.utils.uniform_sampler import UniformWithReplacementSampler
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from psasc_bench.privacy import poisson_batch


@dataclass(frozen=True)
class Draws:
    """How a loader's examples are drawn: each with probability ``rate = expected_batch_size / examples``, in ``steps``
    batches an epoch."""

    examples: int
    expected_batch_size: int
    steps: int

    @property
    def rate(self) -> float:
        return self.expected_batch_size / self.examples


class PoissonSampler(UniformWithReplacementSampler):
    """Lists of indices. Of Opacus' sampler, so that its ``BatchMemoryManager`` knows it; but the coins are float64, so
    that the rate drawn is the rate asked for to 2^-53 instead of 2^-24. ``on_start`` is called before the first draw of
    each epoch: the one before may have been left in the middle of a batch."""

    def __init__(self, draws: Draws, *, generator: torch.Generator, on_start: Callable[[], None]) -> None:
        super().__init__(num_samples=draws.examples, sample_rate=draws.rate, steps=draws.steps, generator=generator)
        self._on_start = on_start

    def __iter__(self) -> Iterator[list[int]]:
        self._on_start()
        for _ in range(self.steps):
            yield poisson_batch(self.num_samples, self.sample_rate, self.generator).tolist()


def draws_of(data_loader: DataLoader[Any]) -> Draws:
    """The draws that take the place of the loader's batches: as many, and of its size on average. Raises
    ``ValueError`` for a loader whose batches Poisson sampling cannot take the place of."""
    if isinstance(data_loader.dataset, IterableDataset):
        raise ValueError("data_loader: the examples of an IterableDataset cannot be drawn; load them into a Dataset")
    if data_loader.batch_size is None:
        raise ValueError("data_loader: has no batch_size; give an ordinary DataLoader with one, and no batch_sampler")
    if type(data_loader.sampler) not in (RandomSampler, SequentialSampler):
        raise ValueError(
            f"data_loader: its {type(data_loader.sampler).__name__} would be replaced by Poisson sampling of the whole "
            "data set; select examples by torch.utils.data.Subset"
        )
    examples = len(data_loader.dataset)  # type: ignore[arg-type]  # which torch does not demand
    if not examples or not len(data_loader):
        raise ValueError(
            f"data_loader: has {len(data_loader)} batches of {data_loader.batch_size} from {examples} examples; there "
            "must be one at least: give more examples, or a smaller batch_size"
        )
    sampler = data_loader.sampler
    if isinstance(sampler, RandomSampler) and (sampler.replacement or sampler.num_samples != examples):
        raise ValueError(
            f"data_loader: its RandomSampler takes {sampler.num_samples} of {examples} examples, replacement="
            f"{sampler.replacement}, which Poisson sampling would not; give shuffle=True, and choose how many epochs"
        )
    return Draws(examples, min(data_loader.batch_size, examples), len(data_loader))


def poisson_loader(
    data_loader: DataLoader[Any], draws: Draws, generator: torch.Generator, on_start: Callable[[], None]
) -> DataLoader[Any]:
    """The loader with its batches drawn by ``generator``; each epoch begins with ``on_start()``. An empty batch has the
    form of the others, with no examples, even if it is the first."""
    collate = wrap_collate_with_empty(collate_fn=data_loader.collate_fn)
    collate([data_loader.dataset[0]])  # which learns the form from the first batch that it sees
    return DataLoader(
        data_loader.dataset,
        batch_sampler=PoissonSampler(draws, generator=generator, on_start=on_start),
        collate_fn=collate,
        num_workers=data_loader.num_workers,
        pin_memory=data_loader.pin_memory,
        timeout=data_loader.timeout,
        worker_init_fn=data_loader.worker_init_fn,
        multiprocessing_context=data_loader.multiprocessing_context,
        prefetch_factor=data_loader.prefetch_factor,
        persistent_workers=data_loader.persistent_workers,
    )
