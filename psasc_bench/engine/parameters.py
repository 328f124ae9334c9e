"""A model's trainable parameters as one buffer: what the engine's sums, the noise and the step work on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn


def flatten(model: nn.Module) -> Tensor:
    """Copy all trainable parameters into one buffer ``[P]`` and let them be views of it, see ``point_at``.

    One buffer makes noise, momentum and the step one operation each.
    """
    buffer = gather(model.parameters(), {p: p.detach() for p in model.parameters()})
    point_at(model.parameters(), buffer)
    return buffer


def gather(parameters: Iterable[nn.Parameter], tensors: Mapping[nn.Parameter, Tensor]) -> Tensor:
    """One tensor per parameter, as one ``[P]`` in the buffer's order: kernels channels-last, which CPUs convolve
    fastest."""
    listed = (tensors[p] for p in parameters)
    return torch.cat([(t.permute(0, 2, 3, 1) if t.dim() == 4 else t).flatten() for t in listed])


def point_at(parameters: Iterable[nn.Parameter], buffer: Tensor) -> None:
    """Let a model's parameters be views of ``buffer [P]``: it is then at that point of the parameter space."""
    parameters = list(parameters)
    for parameter, part in zip(parameters, parts(parameters, buffer), strict=True):
        parameter.data = part


def parts(parameters: Sequence[nn.Parameter], buffer: Tensor) -> list[Tensor]:
    """The inverse of ``gather``: for each parameter the view of ``buffer [P]`` that has its shape."""
    shapes = [parameter.shape for parameter in parameters]
    pieces = torch.split(buffer, [shape.numel() for shape in shapes])
    return [
        piece.view(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2) if len(shape) == 4 else piece.view(shape)
        for shape, piece in zip(shapes, pieces, strict=True)
    ]
