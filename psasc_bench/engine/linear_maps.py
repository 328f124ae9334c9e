"""Layers that are made of linear maps inside, which no module shows: attention and recurrences.

While such a layer runs, every ``F.linear`` of its own parameters, or of rows of them, is noted as the call of an
``nn.Linear`` would be, so that its per-example gradients cost what those of linear layers do. torch's recurrent kernels
show none, and are replaced by the same recurrence written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from psasc_bench.engine.layers import Books, LayerGradients, Sums, add_up, along_time, explicit, matrix_product

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


def is_made_of_linear_maps(layer: nn.Module) -> bool:
    """Of exactly these classes: one that derives from them may do anything else with its parameters."""
    if len(list(layer.parameters())) < len(list(layer.named_parameters(remove_duplicate=False))):
        return False  # two maps with one parameter: their gradients add up before the norm is taken
    if type(layer) is nn.MultiheadAttention:
        return layer.bias_k is None  # which no linear map has
    return type(layer) in RECURRENT


@dataclass(frozen=True)
class Rows:
    """``count`` rows of a trained parameter, from ``first`` on."""

    parameter: nn.Parameter
    first: int
    count: int

    def among_zeros(self, rows: Tensor, *, dim: int) -> Tensor:
        """Where the parameter has other rows along ``dim`` of its gradient."""
        if self.count == len(self.parameter):
            return rows
        whole = rows.new_zeros(*rows.shape[:dim], *self.parameter.shape)
        whole.narrow(dim, self.first, self.count).copy_(rows)
        return whole

    def cut(self, start: int, stop: int) -> Rows:
        return Rows(self.parameter, self.first + start, stop - start)


@dataclass(frozen=True)
class LinearMap:
    """``x -> x W^T + c``; None for what is not trained, never for both."""

    weight: Rows | None
    bias: Rows | None

    def gradients(self, books: Books) -> LayerGradients:
        """Of inputs ``[B, T, I]`` and gradients of outputs ``[B, T, O]``, one pair for every use."""
        inputs, outputs = (along_time(side) for side in zip(*books, strict=True))
        bias = self.bias.parameter if self.bias else None
        if self.weight:
            part = matrix_product(inputs, outputs, self.weight.parameter, bias)
        else:
            part = explicit({rows.parameter: outputs.sum(1) for rows in self._trained})

        def weighted_sum(w: Tensor) -> Sums:
            sums = part.weighted_sum(w)
            return {rows.parameter: rows.among_zeros(sums[rows.parameter], dim=0) for rows in self._trained}

        return LayerGradients(part.squared_norms, weighted_sum)

    def per_example_gradients(self, a: Tensor, b: Tensor) -> Sums:
        """``{parameter: gradients [B, *parameter shape]}`` of one such pair."""
        gradients = {} if self.weight is None else {self.weight: b.mT @ a}
        gradients |= {} if self.bias is None else {self.bias: b.sum(1)}
        return {rows.parameter: rows.among_zeros(g, dim=1) for rows, g in gradients.items()}

    @property
    def _trained(self) -> list[Rows]:
        return [rows for rows in (self.weight, self.bias) if rows]

    @property
    def rows(self) -> Rows:
        """That stand for the map."""
        return self._trained[0]

    def cut(self, start: int, stop: int) -> LinearMap:
        """Only these of its outputs."""
        return LinearMap(self.weight and self.weight.cut(start, stop), self.bias and self.bias.cut(start, stop))


def disjoint(books: dict[LinearMap, Books]) -> dict[LinearMap, Books]:
    """The same, cut into maps that share no row: self-attention has rows in one map that other attention has in
    several."""
    ends: dict[nn.Parameter, set[int]] = {}
    for rows in (one.rows for one in books):
        ends.setdefault(rows.parameter, set()).update((rows.first, rows.first + rows.count))
    apart: dict[LinearMap, Books] = {}
    for one, pairs in books.items():
        rows = one.rows
        cuts = sorted(end - rows.first for end in ends[rows.parameter] if 0 <= end - rows.first <= rows.count)
        for start, stop in pairwise(cuts):
            whole = (start, stop) == (0, rows.count)
            part = pairs if whole else [(a, b[..., start:stop]) for a, b in pairs]
            apart.setdefault(one if whole else one.cut(start, stop), []).extend(part)
    return apart


def joined(parts: Sequence[LayerGradients]) -> LayerGradients:
    """Of one layer, from those of its parts, which share no row of a parameter."""

    def weighted_sum(w: Tensor) -> Sums:
        sums: Sums = {}
        for parameter, total in (item for part in parts for item in part.weighted_sum(w).items()):
            sums[parameter] = sums[parameter] + total if parameter in sums else total
        return sums

    return LayerGradients(add_up(part.squared_norms for part in parts), weighted_sum)


Note = Callable[[LinearMap, Tensor, Tensor], None]  # of a use: its input and its output


class Watch(TorchFunctionMode):
    """Tells ``note`` of every linear map of ``layer`` while it is entered."""

    def __init__(self, layer: nn.Module, note: Note) -> None:
        super().__init__()
        self.layer, self._note = layer, note
        self._parameters = list(layer.parameters())

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in CELLS and type(self.layer) in RECURRENT:
            with self:
                return recurrence(name, *args, **(kwargs or {}))
        outputs = func(*args, **(kwargs or {}))
        if func is F.linear:
            self._see(outputs, *args, **(kwargs or {}))
        return outputs

    def _see(self, outputs: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        seen = LinearMap(self._origin(weight), self._origin(bias))
        if seen.weight or seen.bias:
            self._note(seen, input, outputs)

    def _origin(self, rows: Tensor | None) -> Rows | None:
        """What these are, if that is trained."""
        if rows is None:
            return None
        for parameter in self._parameters:
            if rows is parameter or rows._base is parameter:
                first = int(rows.storage_offset() - parameter.storage_offset()) // parameter.stride(0)
                return Rows(parameter, first, len(rows)) if parameter.requires_grad else None
        return None


def _rnn(activation: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Tensor, ...]]:
    return lambda x, h, hidden: (activation(x + hidden(h)),)


def _lstm(x: Tensor, h: Tensor, c: Tensor, hidden: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    i, f, g, o = (x + hidden(h)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(x: Tensor, h: Tensor, hidden: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
    (r, z, n), (r_h, z_h, n_h) = x.chunk(3, -1), hidden(h).chunk(3, -1)
    n = (n + (r + r_h).sigmoid() * n_h).tanh()
    return (torch.lerp(n, h, (z + z_h).sigmoid()),)


CELLS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn_tanh": _rnn(torch.tanh),
    "rnn_relu": _rnn(torch.relu),
    "lstm": _lstm,
    "gru": _gru,
}


def recurrence(
    name: str,
    input: Tensor,
    hx: Tensor | Sequence[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """What ``torch.lstm`` and its like give, of their arguments, one time step after the other: ``input [T, B, I]`` or,
    ``batch_first``, ``[B, T, I]``; ``hx`` the states ``[layers * directions, B, H]``."""
    starts = [hx] if isinstance(hx, Tensor) else list(hx)
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)  # 2, with biases 4, and 1 more with a projection
    x = input.transpose(0, 1) if batch_first else input
    ends: list[tuple[Tensor, ...]] = []
    for depth in range(num_layers):
        if depth and dropout and train:
            x = F.dropout(x, dropout)
        sides = []
        for side in range(directions):
            place = depth * directions + side
            w_x, w_h, *rest = weights[place * count : (place + 1) * count]
            b_x, b_h = rest[:2] if has_biases else (None, None)
            projection = rest[-1] if count % 2 else None
            states = tuple(start[place] for start in starts)
            times = range(len(x))[:: -1 if side else 1]
            x_parts, outputs = F.linear(x, w_x, b_x).unbind(0), [x] * len(x)
            for t in times:
                states = CELLS[name](x_parts[t], *states, lambda h, w_h=w_h, b_h=b_h: F.linear(h, w_h, b_h))
                if projection is not None:
                    states = (F.linear(states[0], projection), *states[1:])
                outputs[t] = states[0]
            sides.append(torch.stack(outputs))
            ends.append(states)
        x = torch.cat(sides, -1)
    output = x.transpose(0, 1) if batch_first else x
    return output, *(torch.stack(state) for state in zip(*ends, strict=True))


def by_example(t: Tensor, examples: int) -> Tensor:
    """``[B, T, features]`` of what goes into such a map, or comes out: ``[T, B, features]``, or without one or both of
    the first dimensions in one. Raises ``RuntimeError`` if it is neither."""
    return t.reshape(-1, examples, t.shape[-1]).transpose(0, 1)
