"""Networks that are built for the data at hand: callables of the shape of an example, without the batch, and of the
number of classes. All are free of layers that mix examples, draw at random or keep a state."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor, nn

HIDDEN = 128
WORDS, WIDTH = 10_000, 64  # of the vocabulary, padding included, and of a word's vector
GROUPS = 32


def logistic(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Multinomial logistic regression: a convex loss."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), classes))


def mlp(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two hidden layers of 128 tanh units, whose activations are bounded, as private training likes them (Papernot et
    al., AAAI 2021, arXiv 2007.14191)."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(math.prod(input_shape), HIDDEN), nn.Tanh()),
        *(nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, classes)),
    )


class EmbeddingBag(nn.Module):
    """The mean of the words' vectors, and a linear layer (fastText: Joulin et al., EACL 2017, arXiv 1607.01759). Token
    ids ``[B, T]`` are from 0, padding, to 9,999."""

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"takes rows of token ids [T], not examples of shape {input_shape}")
        self.words = nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        count = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        logits: Tensor = self.head(self.words(tokens).sum(1) / count)
        return logits


class _Residual(nn.Module):
    """``x + f(x)``."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.layers(x)
        return total


def _convolution(inputs: int, outputs: int, *, pool: bool = False) -> list[nn.Module]:
    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, outputs), nn.Mish()]
    return [*layers, nn.MaxPool2d(2)] if pool else layers


def resnet9(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """ResNet-9 with GroupNorm of 32 groups and Mish; 2,447,946 parameters for ten classes of colour images, of any size
    from 8x8 (Klause et al., arXiv 2203.00324, without their normalisation behind the residual blocks)."""
    channels, *sides = input_shape
    if len(sides) != 2 or min(sides) < 8:
        raise ValueError(f"takes images [channels, height, width] of 8x8 pixels at least, not of shape {input_shape}")
    return nn.Sequential(
        *_convolution(channels, 64),
        *_convolution(64, 128, pool=True),
        _Residual(*_convolution(128, 128), *_convolution(128, 128)),
        *_convolution(128, 256, pool=True),
        *_convolution(256, 256, pool=True),
        _Residual(*_convolution(256, 256), *_convolution(256, 256)),
        *(nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(4 * 256, classes)),
    )


# Written out, name by name: studies are checked against it without loading torch.
FAMILIES: dict[str, Callable[[tuple[int, ...], int], nn.Module]] = {
    "logistic": logistic,
    "mlp": mlp,
    "resnet9": resnet9,
    "embedding_bag": EmbeddingBag,
}
