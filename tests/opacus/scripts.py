"""A training script as Opacus' users have them, and the same steps by the suite's own functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from psasc_bench import Method, method
from psasc_bench.engine import parts
from psasc_bench.opacus import make_private
from psasc_bench.training import Objective

MODES = ("psasc", "hooks", "ghost")
PSASC = method("dp-psasc", C=0.5, s=2.0, r=0.1)  # whose sensitivity, 0.25, is not its C
EXAMPLES, BATCH, NOISE = 40, 8, 0.7


class Reshaping(nn.Module):
    """A network that cannot be run on an empty batch, as many cannot: the reshaping is then ambiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 3, 3, stride=2)
        self.linear = nn.Linear(27, 4)

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.tanh(self.convolution(images))
        return self.linear(hidden.reshape(len(hidden), -1))


def network() -> nn.Module:
    torch.manual_seed(1)
    return Reshaping()


def images(examples: int = EXAMPLES) -> TensorDataset:
    """Images, labels and the place of each."""
    draws = torch.Generator().manual_seed(2)
    labels = torch.randint(4, (examples,), generator=draws)
    return TensorDataset(torch.randn(examples, 1, 8, 8, generator=draws), labels, torch.arange(examples))


def loader(dataset: TensorDataset | None = None, *, batch_size: int = BATCH, seed: int = 3) -> DataLoader[Any]:
    return DataLoader(dataset or images(), batch_size=batch_size, generator=torch.Generator().manual_seed(seed))


class Script:
    """Trains privately, in whatever mode; ``batches`` are the places of the examples of each batch so far."""

    def __init__(self, mode: str, *, model: nn.Module | None = None, data: DataLoader[Any] | None = None, **how: Any):
        model = model or network()
        optimizer: Optimizer = SGD(model.parameters(), lr=0.3, momentum=0.9)
        how = {"method": PSASC, "noise_multiplier": NOISE, "noise_generator": torch.Generator().manual_seed(4)} | how
        criterion = nn.CrossEntropyLoss()
        made = make_private(
            model, optimizer, data or loader(), grad_sample_mode=mode, criterion=nn.CrossEntropyLoss(), **how
        )
        self.module, self.optimizer, self.loader = made[0], made[1], made[-1]
        self.criterion = made[2] if mode == "ghost" else criterion
        self.model, self.batches = model, list[Tensor]()

    def epoch(self, data: DataLoader[Any] | None = None) -> None:
        for x, y, places in data or self.loader:
            self.step(x, y)
            self.batches.append(places)

    def step(self, x: Tensor, y: Tensor) -> None:
        self.optimizer.zero_grad()
        self.criterion(self.module(x), y).backward()
        self.optimizer.step()

    @property
    def parameters(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


def by_the_suite(batches: list[Tensor], how: Method = PSASC, noise_multiplier: float = NOISE) -> Iterator[Tensor]:
    """The parameters after each step, by ``Objective``; the noise is drawn as Opacus draws it."""
    model, (x, y, _) = network(), images().tensors
    start = [parameter.detach().clone() for parameter in model.parameters()]
    objective = Objective(
        model, lambda places: [lambda: F.cross_entropy(model(x[places]), y[places], reduction="none")]
    )
    trained = [nn.Parameter(parameter) for parameter in start]
    optimizer, noise = SGD(trained, lr=0.3, momentum=0.9), torch.Generator().manual_seed(4)
    for batch in batches:
        point = objective.parameters.clone()
        for part, parameter in zip(parts(list(model.parameters()), point), trained, strict=True):
            part.copy_(parameter.detach())
        found = objective.gradient_sum(how, batch, micro_batch_size=16, iterates=[point])
        deviation = noise_multiplier * how.sensitivity()
        for part, parameter in zip(parts(list(model.parameters()), found.total), trained, strict=True):
            drawn = torch.normal(0.0, deviation, parameter.shape, generator=noise)
            parameter.grad = (part + drawn) / BATCH
        optimizer.step()
        yield torch.cat([parameter.detach().flatten() for parameter in trained])


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """The model as it is, once this is over."""
    state = deepcopy(model.state_dict())
    yield
    model.load_state_dict(state)
