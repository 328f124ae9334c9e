"""The protocol's models, by name. All are free of layers that mix examples, draw at random or keep a state."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


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


# Written out, name by name: studies are checked against it without loading torch.
MODELS: dict[str, Callable[[], nn.Module]] = {
    "digits_cnn": digits_cnn,
    "mnist_cnn": mnist_cnn,
    "cifar_cnn": cifar_cnn,
    "scatter_linear": scatter_linear,
}
