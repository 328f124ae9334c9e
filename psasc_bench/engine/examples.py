"""Along which dimension of a layer's output the examples of a batch lie.

The gradient of ``sum_i u_i loss_i`` with respect to an output is linear in the numbers ``u``, and what is example i's
in it grows with ``u_i`` alone. So a second backward pass, with other numbers, shows which dimension carries the
examples, or that none does because they are mixed behind the layer. Powers of two scale floating-point numbers exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 16


def numberings(examples: int, like: Tensor) -> list[Tensor]:
    """So few vectors ``[B]`` of powers of two, in ``like``'s type and place, that any two examples differ in one."""
    left = torch.arange(examples, device=like.device)
    vectors: list[Tensor] = []
    while not vectors or bool(left.any()):
        vectors.append(torch.exp2((left % BASE).to(like.dtype)))
        left = left // BASE
    return vectors


def carries(dim: int, numbers: Tensor, b: Tensor, numbered: Tensor) -> bool:
    """Whether ``numbered`` is ``b`` with everything along ``dim`` scaled by ``numbers``, as far as it is finite."""
    expected = (b * numbers.to(b.dtype).view(-1, *[1] * (b.dim() - dim - 1))).movedim(dim, 0).flatten(1)
    scale = torch.linalg.vector_norm(expected, dim=1)
    off = torch.linalg.vector_norm(numbered.movedim(dim, 0).flatten(1) - expected, dim=1)
    precision = torch.finfo(b.dtype)
    within = off <= precision.eps**0.5 * scale + 1e3 * precision.tiny
    return bool((within | ~off.isfinite()).all())


def says_something(b: Tensor) -> bool:
    return bool(b.nan_to_num(0, 0, 0).any())
