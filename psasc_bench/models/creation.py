"""Making a model by its name, and refusing one that cannot be trained privately on the data at hand."""

from __future__ import annotations

import torch
from torch import nn

from psasc_bench.data import Dataset
from psasc_bench.models import catalogue, layers
from psasc_bench.models.networks import MODELS


def create(name: str, *, seed: int) -> nn.Module:
    """The model called ``name`` with torch's default initialisation from ``seed``. Raises ``ValueError``."""
    if name not in MODELS:
        raise ValueError(catalogue.unknown(name))
    with torch.random.fork_rng(devices=[]):  # torch initialises from its global generator: leave that as it was
        torch.manual_seed(seed)
        return MODELS[name]()


def check_fit(name: str, dataset: Dataset) -> None:
    """Raises ``ValueError`` if the model cannot take the data set's images, has no output for one of its labels, or
    has a layer that draws at random, mixes examples or keeps a state."""
    model, shape = create(name, seed=0), tuple(dataset.x_train.shape[1:])
    if why := layers.refused_class(model):
        raise ValueError(f"model {name}: {why}")
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            outputs = model(torch.zeros(layers.EXAMPLES, *shape)).shape[1:]
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError):
        raise ValueError(f"model {name} does not take images of shape {shape}; choose another model") from None
    for part, labels in (("y_train", dataset.y_train), ("y_test", dataset.y_test)):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= outputs.numel():
            raise ValueError(
                f"{part} has labels from {low} to {high}, but model {name} has the classes 0 to {outputs.numel() - 1}"
            )
    if why := layers.misbehaviour(model, shape):
        raise ValueError(f"model {name}: {why}")
