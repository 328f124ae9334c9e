"""The models that steps are timed on: the protocol's, and three of other shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from psasc_bench.models import MODELS


def _block(channels: int, outputs: int, *, pool: bool = False) -> list[nn.Module]:
    layers = [nn.Conv2d(channels, outputs, 3, padding=1), nn.GroupNorm(32, outputs), nn.Mish()]
    return [*layers, nn.MaxPool2d(2)] if pool else layers


class _Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def resnet9() -> nn.Sequential:
    """32x32 colour images, 10 classes; GroupNorm and Mish, 2.4 million parameters (Klause et al. 2022)."""
    return nn.Sequential(
        *(*_block(3, 64), *_block(64, 128, pool=True), _Residual(*_block(128, 128), *_block(128, 128))),
        *(*_block(128, 256, pool=True), *_block(256, 256, pool=True), _Residual(*_block(256, 256), *_block(256, 256))),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 10)),
    )


def linear() -> nn.Sequential:
    """3969 scattering features of an image, 10 classes (Tramer & Boneh 2021)."""
    return nn.Sequential(nn.Linear(3969, 10))


def mlp() -> nn.Sequential:
    """784 features, two hidden layers of 512, 10 classes."""
    return nn.Sequential(nn.Linear(784, 512), nn.Tanh(), nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 10))


# model: how it is made, the shape of one example
BENCHMARKS: dict[str, tuple[Callable[[], nn.Module], Sequence[int]]] = {
    "digits": (MODELS["digits_cnn"], (1, 8, 8)),
    "mnist": (MODELS["mnist_cnn"], (1, 28, 28)),
    "cifar": (MODELS["cifar_cnn"], (3, 32, 32)),
    "resnet9": (resnet9, (3, 32, 32)),
    "linear": (linear, (3969,)),
    "mlp": (mlp, (784,)),
}


def create(name: str) -> nn.Module:
    """The model called ``name``, the same for every contestant."""
    torch.manual_seed(0)
    return BENCHMARKS[name][0]()
