"""The weighted sum of per-example gradients, ``sum_i w(||v_i||) v_i``, from one backward pass per parameter point.

``v_i = sum_j c_j grad_i(theta_j)``: one point and ``c_0 = 1`` is the ordinary step, several are inner momentum.

    books = GradientBooks(model)
    books.record(losses, mask)                  # once per parameter point
    result = books.weighted_sum(method.weight)

Forward hooks note each layer's input and the *gradient edge* of its output; one ``autograd.grad`` over those edges
yields every layer's output gradient and computes no weight gradient that would be thrown away. An edge, unlike the
output itself, survives in-place activations and holds no memory. What is then done with a layer's books is the business
of ``layers`` and ``convolution``.
"""

from __future__ import annotations

import math
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from psasc_bench.engine.convolution import conv2d
from psasc_bench.engine.layers import (
    Books,
    LayerGradients,
    Sums,
    embedding,
    explicit,
    group_norm,
    layer_norm,
    linear,
    per_example_gradients,
    trained,
)

Rule = Callable[[Any, Books], LayerGradients]
RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.GroupNorm: group_norm,
    nn.LayerNorm: layer_norm,
    nn.Embedding: embedding,
}


@dataclass(frozen=True)
class WeightedSum:
    """``sums``: for each trainable parameter ``sum_i w_i v_i``, shaped like it. ``norms [B]``: ``||v_i||`` (0 for
    padding). ``zeroed [B]``: which examples had a gradient whose squared norm is NaN or infinite, and so contributed
    exactly zero (their norm is given as 0); ``nonfinite``: how many."""

    sums: Sums
    norms: Tensor
    zeroed: Tensor

    @property
    def nonfinite(self) -> int:
        return int(self.zeroed.sum())


@dataclass(frozen=True)
class ByLayer:
    """A weight for each layer of each example: ``weights`` maps the norms ``[B, L]`` of the layers' per-example
    gradients to finite weights ``[B, L]``."""

    weights: Callable[[Tensor], Tensor]


Weight = Callable[[Tensor], Tensor] | ByLayer  # norms [B] to finite weights [B], or layer by layer


@dataclass
class _Use:
    """One use of a layer in the forward pass just run."""

    layer: nn.Module
    input: Tensor
    version: int
    output: GradientEdge
    before: GradientEdge | None  # where the graph goes on behind the layer


class _Recorder:
    """The forward hook of a layer whose books ``books`` keeps; of nobody's once they are gone, and in a copy of the
    model, or in one that is loaded."""

    def __init__(self, books: GradientBooks | None = None) -> None:
        self._books = weakref.ref(books) if books else None

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._books and (books := self._books()):
            books._record_use(layer, inputs, output)

    def __reduce__(self) -> tuple[type[_Recorder], tuple[()]]:
        return _Recorder, ()


class GradientBooks:
    """Keeps the books of every trainable layer of ``model``, which must be in training mode while it is recorded.

    Raises ``TypeError`` for a model whose layers mix the examples of a batch (BatchNorm): it has no per-example
    gradients.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: name or type(module).__name__ for name, module in model.named_modules()}
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._uses: list[_Use] = []
        self._books: dict[nn.Module, Books] = {}
        self._written: dict[nn.Module, Sums] = {}
        self._drawn = torch.ones(0)
        self._writing = self._checked = False
        for module, name in self._names.items():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise TypeError(
                    f"model: layer {name!r} is a {type(module).__name__}, which mixes the examples of a batch, "
                    "so that no example has a gradient of its own; use nn.GroupNorm"
                )
        layers = [module for module in self._names if trained(module)]
        owners = Counter(parameter for layer in layers for parameter in trained(layer).values())
        self._owner = {parameter: layer for layer in reversed(layers) for parameter in trained(layer).values()}
        self._rules: dict[nn.Module, Rule] = {}
        for layer in layers:
            layer.register_forward_hook(_Recorder(self))
            rule = _rule_for(layer)
            # the gradients of layers that share a parameter add up before the norm is taken: no rule knows that
            if rule and all(owners[parameter] == 1 for parameter in trained(layer).values()):
                self._rules[layer] = rule

    def _record_use(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if self._writing or not (layer.training and torch.is_grad_enabled()):
            return
        if len(inputs) != 1 or not isinstance(output, Tensor):
            raise TypeError(
                f"model: layer {self._names[layer]!r} ({type(layer).__name__}) must take one positional tensor and "
                "give one; split it into layers that do"
            )
        before = get_gradient_edge(inputs[0]) if inputs[0].requires_grad else None
        a = inputs[0].detach() if before else inputs[0]  # data as it is: the next parameter point may get the same
        self._uses.append(_Use(layer, a, a._version, get_gradient_edge(output), before))

    def record(self, losses: Tensor, mask: Tensor, *, coefficient: float = 1.0, keep: bool = False) -> None:
        """Book one parameter point: ``losses [B]`` of the forward pass just run, ``mask [B]`` (1 for an example, 0 for
        padding, which gets a gradient of exactly zero), ``coefficient`` the point's ``c_j``. ``keep`` the pass, to book
        it once more.

        Raises ``RuntimeError`` if a layer's input was changed in place after the layer had read it, or (on the first
        call) if a parameter took part outside its layer's own forward pass.
        """
        uses = self._uses
        if not keep:
            self._uses = []
        if not losses.numel():
            return
        if not self._checked:
            self._check_no_way_around(losses, uses)
            self._checked = True
        self._drawn = mask
        edges = [use.output for use in uses]
        # of a number: for `grad_outputs` PyTorch loads its symbolic shapes, as long as a small run takes
        weighted = (coefficient * mask.to(losses.dtype) * losses).sum()
        output_gradients = torch.autograd.grad(weighted, edges, retain_graph=keep)
        for use, b in zip(uses, output_gradients, strict=True):
            if use.input._version != use.version:
                raise RuntimeError(
                    f"model: the input of layer {self._names[use.layer]!r} was changed in place after the layer had "
                    "used it; make the following activation out-of-place"
                )
            dtype = self._parameters[0].dtype  # differs from the books' under autocast
            a = use.input.to(dtype) if use.input.is_floating_point() else use.input
            if use.layer in self._rules:
                _enter(self._books.setdefault(use.layer, []), a, b.to(dtype))
            else:
                self._write_down(use.layer, a, b.to(dtype))

    def _check_no_way_around(self, losses: Tensor, uses: list[_Use]) -> None:
        """Every way from the losses to a trainable parameter must lead through the output of a layer that owns it."""
        stops = {use.output.node for use in uses}
        ways = [get_gradient_edge(losses).node, *(use.before.node for use in uses if use.before)]
        seen = set()
        while ways:
            node = ways.pop()
            if node in seen or node in stops:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if (parameter := next((p for p in self._parameters if p is leaf), None)) is not None:
                raise RuntimeError(
                    f"model: a parameter of shape {tuple(parameter.shape)} took part outside its layer's own forward "
                    "pass, so its per-example gradients are unknown; freeze it or call its layer"
                )
            ways += [parent for parent, _ in node.next_functions if parent]

    def _write_down(self, layer: nn.Module, a: Tensor, b: Tensor) -> None:
        """Per-example gradients at once: of layers that may not be linear in their parameters, so that those are needed
        as they are now, and of layers that share a parameter."""
        self._writing = True  # vmap runs forward passes of its own
        try:
            for parameter, gradients in per_example_gradients(layer, a, b).items():
                written = self._written.setdefault(self._owner[parameter], {})
                written[parameter] = written[parameter] + gradients if parameter in written else gradients
        finally:
            self._writing = False

    def weighted_sum(self, weight: Weight) -> WeightedSum:
        """Close the books: ``sum_i w(||v_i||) v_i`` over the recorded examples, for a ``weight`` that maps norms
        ``[B]`` to finite weights ``[B]``, or the norms of each layer to its weights. Examples that are not finite are
        replaced by zeros and counted.

        Raises ``RuntimeError`` if a trainable parameter took no part.
        """
        return self.weighted_sums([weight])[0]

    @torch.no_grad()
    def weighted_sums(self, weights: Sequence[Weight]) -> list[WeightedSum]:
        """Close the books as ``weighted_sum`` does, for each of ``weights``: each costs a sum and no pass."""
        books, self._books = self._books, {}
        written, self._written = self._written, {}
        if not (books or written):
            nothing, none = torch.zeros(0), torch.zeros(0, dtype=torch.bool)
            return [WeightedSum({p: torch.zeros_like(p) for p in self._parameters}, nothing, none) for _ in weights]
        parts, norms = self._norms(books, written)
        zeroed = torch.zeros_like(norms, dtype=torch.bool)
        if not math.isfinite(norms.max()):  # which is NaN if any is
            bad = ~norms.isfinite()
            zeroed = bad & self._drawn.bool()
            books = {layer: [(_zeroed(a, bad), _zeroed(b, bad)) for a, b in pairs] for layer, pairs in books.items()}
            written = {layer: {p: _zeroed(g, bad) for p, g in sums.items()} for layer, sums in written.items()}
            parts, norms = self._norms(books, written)
        return [WeightedSum(self._sums(parts, _by_part(weight, parts, norms)), norms, zeroed) for weight in weights]

    def _sums(self, parts: list[LayerGradients], weights: Sequence[Tensor]) -> Sums:
        pairs = zip(parts, weights, strict=True)
        sums = {parameter: total for part, w in pairs for parameter, total in part.weighted_sum(w).items()}
        if missing := [p for p in self._parameters if p not in sums]:
            raise RuntimeError(
                f"model: {len(missing)} trainable parameter(s), the first of shape {tuple(missing[0].shape)}, took no "
                "part in the forward pass; freeze them"
            )
        return sums

    def _norms(
        self, books: dict[nn.Module, Books], written: dict[nn.Module, Sums]
    ) -> tuple[list[LayerGradients], Tensor]:
        parts = [self._rules[layer](layer, pairs) for layer, pairs in books.items()]
        parts += map(explicit, written.values())
        return parts, reduce(torch.add, (part.squared_norms for part in parts)).sqrt()


def _by_part(weight: Weight, parts: list[LayerGradients], norms: Tensor) -> Sequence[Tensor]:
    """The weights ``[B]`` of each layer."""
    if isinstance(weight, ByLayer):
        return weight.weights(torch.stack([part.squared_norms for part in parts], 1).sqrt()).unbind(1)
    return [weight(norms)] * len(parts)


def _enter(books: Books, a: Tensor, b: Tensor) -> None:
    """One pair for all parameter points that saw one input: per-example gradients are linear in the output's."""
    if books and books[-1][0] is a:
        b = books.pop()[1] + b
    books.append((a, b))


def _zeroed(t: Tensor, rows: Tensor) -> Tensor:
    return t.masked_fill(rows.view(-1, *[1] * (t.dim() - 1)), 0)


def _rule_for(layer: nn.Module) -> Rule | None:
    """``None`` if the layer's per-example gradients have to be written down."""
    if isinstance(layer, nn.Conv2d) and (isinstance(layer.padding, str) or layer.padding_mode != "zeros"):
        return None
    return RULES.get(type(layer))
