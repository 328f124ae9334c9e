"""Whether a model can be trained privately on a data set, found out before anything is spent on it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from psasc_bench import models, plugins
from psasc_bench.data import Dataset
from psasc_bench.engine import GradientBooks

EXAMPLES = 2


def check_fit(model: str, dataset: Dataset, *, name: str) -> None:
    """Raises ``ValueError``, naming the key of the data set called ``name``, if the model does not fit its images or
    labels, has a layer that private training cannot have, or one whose per-example gradients the engine cannot know."""
    try:
        models.check_fit(model, dataset)
        _check_gradients(model, dataset)
    except ValueError as error:
        raise ValueError(f"datasets.{name}.model: {error}") from None


def _check_gradients(model: str, dataset: Dataset) -> None:
    """By a step on random examples."""
    network = models.create(model, dataset, seed=0)
    images = models.inputs_like(dataset, EXAMPLES)
    try:
        books = GradientBooks(network)
        with torch.random.fork_rng(devices=[]):
            outputs = network(images)
        if not outputs.requires_grad:
            raise ValueError(f"model {model}: its outputs depend on no parameter that is trained")
        losses = F.cross_entropy(outputs, torch.zeros(EXAMPLES, dtype=torch.int64), reduction="none")
        books.record(losses, torch.ones(EXAMPLES))
        books.weighted_sum(torch.ones_like)
    except plugins.FAULTS as error:  # whatever somebody's network does
        first, *_ = str(error).removeprefix("model: ").splitlines() or [type(error).__name__]
        raise ValueError(f"model {model}: {first}") from None
