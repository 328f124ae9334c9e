"""The protocol's models, by name. All are free of layers that mix examples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from psasc_bench.data import Dataset


def digits_cnn() -> nn.Sequential:
    """8x8 grey images, 10 classes; 9,370 parameters. Strides instead of pooling: a run should take seconds."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.Tanh()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.Tanh()),
        *(nn.Flatten(), nn.Linear(128, 32), nn.Tanh(), nn.Linear(32, 10)),
    )


def mnist_cnn() -> nn.Sequential:
    """28x28 grey images, 10 classes; 26,010 parameters (Papernot et al. 2021; Tramer & Boneh 2021, table 8)."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 8, stride=2, padding=2), nn.Tanh(), nn.MaxPool2d(2, 1)),
        *(nn.Conv2d(16, 32, 4, stride=2), nn.Tanh(), nn.MaxPool2d(2, 1)),
        *(nn.Flatten(), nn.Linear(512, 32), nn.Tanh(), nn.Linear(32, 10)),
    )


def cifar_cnn() -> nn.Sequential:
    """32x32 colour images, 10 classes; 550,570 parameters (Papernot et al. 2021; Tramer & Boneh 2021, table 9)."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.Tanh()]
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 128), nn.Tanh(), nn.Linear(128, 10))


def scatter_linear() -> nn.Sequential:
    """ScatterNet features of 32x32 colour images (see ``data.scattering``), 10 classes; 155,530 parameters (Tramer &
    Boneh 2021, section 3)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(243 * 8 * 8, 10))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "digits_cnn": digits_cnn,
    "mnist_cnn": mnist_cnn,
    "cifar_cnn": cifar_cnn,
    "scatter_linear": scatter_linear,
}


def create(name: str, *, seed: int) -> nn.Module:
    """The model called ``name`` with torch's default initialisation from ``seed``. Raises ``ValueError``."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):  # torch initialises from its global generator: leave that as it was
        torch.manual_seed(seed)
        return MODELS[name]()


def check_fit(name: str, dataset: Dataset) -> None:
    """Raises ``ValueError`` if the model cannot take the data set's images, or has no output for one of its labels."""
    shape = tuple(dataset.x_train.shape[1:])
    try:
        with torch.no_grad():
            outputs = create(name, seed=0)(torch.zeros(1, *shape)).shape[1:]
    except RuntimeError:
        raise ValueError(f"model {name} does not take images of shape {shape}; choose another model") from None
    for part, labels in (("y_train", dataset.y_train), ("y_test", dataset.y_test)):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= outputs.numel():
            raise ValueError(
                f"{part} has labels from {low} to {high}, but model {name} has the classes 0 to {outputs.numel() - 1}"
            )
