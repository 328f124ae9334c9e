"""Making a model, and refusing one that cannot be trained privately on the data at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from psasc_bench import plugins
from psasc_bench.data import Dataset, count_classes, holds_tokens
from psasc_bench.models import catalogue, layers
from psasc_bench.models.families import FAMILIES
from psasc_bench.models.networks import MODELS


def create(name: str, dataset: Dataset | None = None, *, seed: int) -> nn.Module:
    """The model called ``name``, or the one that a reference leads to (see ``plugins``), with torch's default
    initialisation from ``seed``; all but those of ``MODELS`` are built for the ``dataset``: called with the shape of an
    example and the number of classes. Raises ``ValueError`` if there is none, or it cannot be built."""
    with torch.random.fork_rng(devices=[]):  # torch initialises from its global generator: leave that as it was
        torch.manual_seed(seed)
        if name in MODELS:
            return MODELS[name]()
        return _built(name, dataset)


def _built(name: str, dataset: Dataset | None) -> nn.Module:
    if name in FAMILIES:
        place, build = f"model {name}", FAMILIES[name]
    elif plugin := plugins.find(name, catalogue.KIND):
        place, build = str(plugin), plugin.load()
    else:
        raise ValueError(catalogue.unknown(name))
    if dataset is None:
        raise ValueError(f"{place}: is built for a data set")
    model = plugins.call(place, build, tuple(dataset.x_train.shape[1:]), count_classes(dataset))
    if not isinstance(model, nn.Module):
        raise ValueError(f"{place}: must give a torch.nn.Module, gives {type(model).__name__}")
    return model


def inputs_like(dataset: Dataset, count: int) -> Tensor:
    """``count`` random examples of the shape that the data set's have, the same at every call: standard normal, or
    token ids up to its highest."""
    shape, generator = (count, *dataset.x_train.shape[1:]), torch.Generator().manual_seed(0)
    if holds_tokens(dataset):
        return torch.randint(_highest(dataset) + 1, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def _highest(dataset: Dataset) -> int:
    return int(max(dataset.x_train.max(), dataset.x_test.max()))


def check_fit(name: str, dataset: Dataset) -> None:
    """Raises ``ValueError`` if the model has nothing to train, cannot take the data set's examples, has no output for
    one of its labels, or has a layer that draws at random, mixes examples or keeps a state."""
    model, shape = create(name, dataset, seed=0), tuple(dataset.x_train.shape[1:])
    if why := layers.refused_class(model):
        raise ValueError(f"model {name}: {why}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"model {name}: has no parameter to train")
    tokens = holds_tokens(dataset)
    probe = torch.full((layers.EXAMPLES, *shape), _highest(dataset)) if tokens else torch.zeros(layers.EXAMPLES, *shape)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            outputs = model(probe)
    except plugins.FAULTS as error:  # whatever somebody's network does
        kind = f"images of shape {shape}" if len(shape) == 3 else f"examples of shape {shape}"
        what = f"token ids up to {_highest(dataset)}, {shape[0]} a row" if tokens else kind
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"model {name} does not take {what} ({why}); choose another model") from None
    if not isinstance(outputs, Tensor) or outputs.shape[:-1] != probe.shape[:1]:
        gives = f"outputs {list(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ValueError(f"model {name} gives {gives} for {len(probe)} examples; it must give [{len(probe)}, classes]")
    for part, labels in (("y_train", dataset.y_train), ("y_test", dataset.y_test)):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= outputs.shape[1]:
            raise ValueError(
                f"{part} has labels from {low} to {high}, but model {name} has the classes 0 to {outputs.shape[1] - 1}"
            )
    if why := layers.misbehaviour(model, inputs_like(dataset, layers.MORE)):
        raise ValueError(f"model {name}: {why}")
