"""Layers that are made of linear maps inside, which no module shows: attention and recurrences.

torch's own functions for them are replaced, while such a layer runs, by the same written out, so that every linear map
of its parameters, or of rows of them, is noted as the call of an ``nn.Linear`` would be, and its per-example gradients
cost what those of linear layers do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from psasc_bench.engine.layers import Books, LayerGradients, Sums, along_time, explicit, matrix_product

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)


def is_made_of_linear_maps(layer: nn.Module) -> bool:
    """Of exactly these classes: one that derives from them may do anything else with its parameters."""
    if len(list(layer.parameters())) < len(list(layer.named_parameters(remove_duplicate=False))):
        return False  # two maps with one parameter: their gradients add up before the norm is taken
    if type(layer) is nn.MultiheadAttention:
        return layer.bias_k is None and not layer.add_zero_attn
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


Note = Callable[[LinearMap, Tensor, Tensor], None]  # of a use: its input and its output
Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # as F.linear, and noted


class Watch(TorchFunctionMode):
    """Tells ``note`` of every linear map of ``layer`` while it is entered."""

    def __init__(self, layer: Any, note: Note) -> None:
        super().__init__()
        self._layer, self._note = layer, note
        self._parameters: list[nn.Parameter] = list(layer.parameters())

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in CELLS:
            return recurrence(name, self._linear, *args, **(kwargs or {}))
        if func is F.multi_head_attention_forward:
            given = signature(func).bind(*args, **(kwargs or {})).arguments
            asked = {name: given[name] for name in signature(attention).parameters if name in given}
            return attention(self._linear, self._layer, **asked)
        return func(*args, **(kwargs or {}))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        output = F.linear(input, weight, bias)
        seen = LinearMap(self._origin(weight), self._origin(bias))
        if seen.weight or seen.bias:
            self._note(seen, input, output)
        return output

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
    return (torch.lerp(n, h.to(n.dtype), (z + z_h).sigmoid().to(n.dtype)),)  # which differ under autocast


CELLS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "rnn_tanh": _rnn(torch.tanh),
    "rnn_relu": _rnn(torch.relu),
    "lstm": _lstm,
    "gru": _gru,
}


def recurrence(
    name: str,
    linear: Linear,
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
            x_parts, outputs = linear(x, w_x, b_x).unbind(0), [x] * len(x)
            for t in times:
                states = CELLS[name](x_parts[t], *states, lambda h, w_h=w_h, b_h=b_h: linear(h, w_h, b_h))
                if projection is not None:
                    states = (linear(states[0], projection, None), *states[1:])
                outputs[t] = states[0]
            sides.append(torch.stack(outputs))
            ends.append(states)
        x = torch.cat(sides, -1)
    output = x.transpose(0, 1) if batch_first else x
    return output, *(torch.stack(state) for state in zip(*ends, strict=True))


def attention(
    linear: Linear,
    layer: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    attn_mask: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """What ``F.multi_head_attention_forward`` gives the layer: of ``query [T, B, E]``, ``key`` and ``value`` ``[S, B,
    ...]``, and masks that are added."""
    times, examples, width = query.shape
    if layer.in_proj_weight is not None and query is key and key is value:
        parts = list(linear(query, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1))
    else:
        separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        weights = separate if layer.in_proj_weight is None else layer.in_proj_weight.chunk(3)
        biases = (None,) * 3 if layer.in_proj_bias is None else layer.in_proj_bias.chunk(3)
        parts = [linear(*part) for part in zip((query, key, value), weights, biases, strict=True)]
    heads = (layer.num_heads, layer.head_dim)
    q, k, v = (t.reshape(*t.shape[:2], *heads).permute(1, 2, 0, 3) for t in parts)  # [B, heads, T or S, E / heads]
    mask = attn_mask
    if mask is not None and mask.dim() == 3:
        mask = mask.view(examples, layer.num_heads, times, -1)
    if key_padding_mask is not None:
        padding = key_padding_mask[:, None, None]
        mask = padding.expand(-1, -1, times, -1) if mask is None else mask + padding
    dropout = layer.dropout if layer.training else 0.0
    if not need_weights:
        mixed, attended = F.scaled_dot_product_attention(q, k, v, mask, dropout), None
    else:
        scores = q @ k.mT / math.sqrt(layer.head_dim)
        attended = F.dropout((scores if mask is None else scores + mask).softmax(-1), dropout)
        mixed = attended @ v
        attended = attended.mean(1) if average_attn_weights else attended
    mixed = mixed.permute(2, 0, 1, 3).reshape(times, examples, width)
    return linear(mixed, layer.out_proj.weight, layer.out_proj.bias), attended


def by_example(t: Tensor, examples: int) -> Tensor:
    """``[B, T, features]`` of ``[T, B, features]``, or of ``[B, features]``, as go into such a map and come out."""
    return t.reshape(-1, examples, t.shape[-1]).transpose(0, 1)
