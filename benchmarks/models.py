"""The models that steps are timed on: the protocol's, and five of other kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from psasc_bench.models import MODELS

WORDS, TIMES = 1000, 64  # of the models of token ids


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


class Transformer(nn.Module):
    """64 of 1000 token ids; two encoder layers of width 64, 4 heads and 128 hidden units, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, 64), nn.Embedding(TIMES, 64)
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(64, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(TIMES, device=tokens.device).expand(len(tokens), -1)
        return self.head(self.encoder(self.words(tokens) + self.places(places)).mean(1))


class LSTM(nn.Module):
    """64 of 1000 token ids; an LSTM of width 64, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm, self.head = nn.Embedding(WORDS, 64), nn.LSTM(64, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(tokens))[0][:, -1])


# model: how it is made, the shape of one example
BENCHMARKS: dict[str, tuple[Callable[[], nn.Module], Sequence[int]]] = {
    "digits": (MODELS["digits_cnn"], (1, 8, 8)),
    "mnist": (MODELS["mnist_cnn"], (1, 28, 28)),
    "cifar": (MODELS["cifar_cnn"], (3, 32, 32)),
    "resnet9": (resnet9, (3, 32, 32)),
    "linear": (linear, (3969,)),
    "mlp": (mlp, (784,)),
    "transformer": (Transformer, (TIMES,)),
    "lstm": (LSTM, (TIMES,)),
}
TOKENS = ("transformer", "lstm")


def create(name: str) -> nn.Module:
    """The model called ``name``, the same for every contestant."""
    torch.manual_seed(0)
    return BENCHMARKS[name][0]()


def examples(name: str, count: int) -> tuple[Tensor, Tensor]:
    """Random ones, and their classes."""
    generator, shape = torch.Generator().manual_seed(0), (count, *BENCHMARKS[name][1])
    tokens = name in TOKENS
    x = torch.randint(WORDS, shape, generator=generator) if tokens else torch.randn(*shape, generator=generator)
    return x, torch.randint(0, 10, (count,), generator=generator)
