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
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn.utils.rnn import PackedSequence

from psasc_bench.engine import examples
from psasc_bench.engine.calls import Call, Way, per_example_gradients
from psasc_bench.engine.convolution import conv1d_or_3d, conv2d
from psasc_bench.engine.layers import (
    UNCALLED_INSIDE,
    Books,
    LayerGradients,
    Sums,
    embedding,
    embedding_bag,
    explicit,
    group_norm,
    held,
    joined,
    layer_norm,
    linear,
    trained,
)
from psasc_bench.engine.linear_maps import (
    LinearMap,
    Watch,
    by_example,
    disjoint,
    is_made_of_linear_maps,
)

MIXED = "is followed by what mixes the examples of a batch, or moves them: the loss of one depends on another"
Rule = Callable[[Any, Books], LayerGradients]
RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: linear,
    nn.Conv1d: conv1d_or_3d,
    nn.Conv2d: conv2d,
    nn.Conv3d: conv1d_or_3d,
    nn.GroupNorm: group_norm,
    nn.LayerNorm: layer_norm,
    nn.Embedding: embedding,
    nn.EmbeddingBag: embedding_bag,
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
    """One use of a layer, or of a linear map in it, in the forward pass just run."""

    layer: nn.Module
    source: LinearMap | Call | None  # None: the layer itself, whose input it is
    inputs: list[Tensor]
    versions: list[int]
    outputs: list[GradientEdge]
    before: list[GradientEdge]  # where the graph goes on behind the layer


class Hook:
    """A hook in a model that is the method ``name`` of its ``owner``; nothing once the owner is gone, and in a copy of
    the model, or in one that is loaded."""

    def __init__(self, owner: object | None = None, name: str = "") -> None:
        self._owner, self._name = weakref.ref(owner) if owner is not None else None, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        owner = self._owner and self._owner()
        return getattr(owner, self._name)(*args, **kwargs) if owner is not None else None

    def __reduce__(self) -> tuple[type[Hook], tuple[()]]:
        return Hook, ()


class GradientBooks:
    """Keeps the books of every trainable layer of ``model``, which must be in training mode while it is recorded.

    A layer may take and give tensors in any nesting of tuples, lists and dicts, by position or by keyword. In which
    dimension of them the examples lie is found out, and need not be the first. While they are recorded, torch's RNN,
    LSTM and GRU are computed step by step, which may change their outputs' last bits.

    Raises ``TypeError`` for a model whose layers mix the examples of a batch (BatchNorm): it has no per-example
    gradients; and for embeddings that depend on more than an example and their weights.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {module: name or type(module).__name__ for name, module in model.named_modules()}
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._called = {parameter: name for name, parameter in model.named_parameters()}
        self._uses: list[_Use] = []
        self._books: dict[nn.Module, dict[LinearMap | None, Books]] = {}
        self._written: dict[nn.Module, Sums] = {}
        self._drawn = torch.ones(0)
        self._writing = False
        self._checked: set[frozenset[object]] = set()  # what was used in passes that were looked at
        self._dimensions: dict[object, int] = {}  # of the examples, by layer or map and the place of the output
        self._ways: dict[nn.Module, Way] = {}
        self._watched: list[tuple[nn.Module, ExitStack]] = []
        for module in self._names:
            if why := _refused(module):
                raise self._error(module, why)
        outer = [module for module in self._names if isinstance(module, UNCALLED_INSIDE)]
        uncalled = {inner for module in outer for inner in module.modules()}.difference(outer)
        uncalled |= {inner for module in self._names for one in held(module) for inner in one.modules()}
        layers = [module for module in self._names if trained(module) and module not in uncalled]
        owners = Counter(parameter for layer in layers for parameter in trained(layer).values())
        self._owner = {parameter: layer for layer in reversed(layers) for parameter in trained(layer).values()}
        # the gradients of layers that share a parameter add up before the norm is taken: no rule knows that
        self._alone = {layer for layer in layers if all(owners[p] == 1 for p in trained(layer).values())}
        self._rules: dict[nn.Module, Rule] = {}
        for module in self._names:
            if hasattr(module, "batch_first"):
                module.register_forward_pre_hook(Hook(self, "_refuse_packed"), with_kwargs=True)
        for layer in layers:
            if is_made_of_linear_maps(layer):
                layer.register_forward_pre_hook(Hook(self, "_watch"))
                layer.register_forward_hook(Hook(self, "_unwatch"), prepend=True, always_call=True)
                continue
            # before all others, which may change the output
            layer.register_forward_hook(Hook(self, "_record_use"), prepend=True, with_kwargs=True)
            if (rule := _rule_for(layer)) and layer in self._alone:
                self._rules[layer] = rule

    def _error(self, layer: nn.Module, why: str) -> TypeError:
        return TypeError(f"model: layer {self._names[layer]!r} ({type(layer).__name__}) {why}")

    def _is_recorded(self, layer: nn.Module) -> bool:
        return layer.training and torch.is_grad_enabled() and not self._writing

    def _watch(self, layer: nn.Module, *_: object) -> None:
        if self._is_recorded(layer):
            self._watched.append((layer, ExitStack()))
            self._watched[-1][1].enter_context(Watch(layer, partial(self._note, layer)))

    def _unwatch(self, layer: nn.Module, *_: object) -> None:
        if self._watched and self._watched[-1][0] is layer:
            self._watched.pop()[1].close()

    def _refuse_packed(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = (*args, *kwargs.values())
        if self._is_recorded(layer) and any(isinstance(value, PackedSequence) for value in given):
            raise self._error(layer, "has a PackedSequence, whose examples are not told apart; give it a padded one")

    def _record_use(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> Any:
        """Notes the use. Gives what takes the place of the outputs, or None."""
        if not self._is_recorded(layer):
            return None
        given = [*args, *kwargs.values()]
        if layer in self._rules:
            ids = isinstance(layer, nn.EmbeddingBag)
            if len(given) != 1 or not isinstance(given[0], Tensor) or (ids and given[0].dim() != 2):
                raise self._error(layer, f"must be given one tensor{' [B, T]' if ids else ''} and nothing else")
            self._note(layer, None, given[0], outputs)
            return None
        ends = {edge.node for use in self._uses for edge in use.outputs}
        call, tensors, results, replaced = Call.made(layer, args, kwargs, outputs, ends=ends)
        if not results:
            raise self._error(layer, "gives no tensor, in tuples, lists or dicts, that depends on its parameters")
        self._uses.append(_use(layer, call, tensors, results))
        return replaced

    def _note(self, layer: nn.Module, source: LinearMap | None, a: Tensor, output: Tensor) -> None:
        if output.requires_grad:
            self._uses.append(_use(layer, source, [a], [output]))

    def record(self, losses: Tensor, mask: Tensor, *, coefficient: float = 1.0) -> None:
        """Book one parameter point: ``losses [B]`` of the forward pass just run, ``mask [B]`` (1 for an example, 0 for
        padding, which gets a gradient of exactly zero), ``coefficient`` the point's ``c_j``.

        Raises ``RuntimeError`` if a layer's input was changed in place after the layer had read it, or (looked for in
        the first pass, and whenever other layers take part) if a parameter took part outside its layer's own forward
        pass, and if there has been no pass since the last one that was booked; ``TypeError`` if what a layer took or
        gave does not fall into examples.
        """
        uses, self._uses = self._uses, []
        if not losses.numel():
            return
        if self._checked and not uses:
            raise RuntimeError("no forward pass has been run since losses were last added: add those of each pass once")
        if (used := frozenset(_key(use, 0) for use in uses)) not in self._checked:
            self._check_no_way_around(losses, uses)
            self._checked.add(used)
        self._drawn = mask
        weighed = coefficient * mask.to(losses.dtype) * losses
        for use, (gradients, dims) in zip(uses, self._output_gradients(weighed, uses), strict=True):
            if [t._version for t in use.inputs] != use.versions:
                raise RuntimeError(
                    f"model: the input of layer {self._names[use.layer]!r} was changed in place after the layer had "
                    "used it; make the following activation out-of-place"
                )
            if not gradients:
                continue
            dtype = self._parameters[0].dtype  # differs from the books' under autocast
            b = [gradient.to(dtype) for gradient in gradients.values()]
            if isinstance(use.source, Call):
                self._write_down(use.source.cast(dtype, outputs=list(gradients)), b, dims)
            else:
                a = use.inputs[0].to(dtype) if use.inputs[0].is_floating_point() else use.inputs[0]
                self._book(use.layer, use.source, *(_first(t, dims[0]) for t in (a, b[0])))

    def _output_gradients(self, losses: Tensor, uses: list[_Use]) -> list[tuple[dict[int, Tensor], list[int]]]:
        """Of each use: the gradients of those of its outputs that have a part in the losses, by their places, and the
        dimensions of the examples in them. The first passes are made once more for each of ``examples.numberings``."""
        count = len(losses)
        places = [(use, place) for use in uses for place in range(len(use.outputs))]
        known = count == 1 or all(_key(*place) in self._dimensions for place in places)
        edges = [use.outputs[place] for use, place in places]

        def gradients(losses: Tensor) -> list[Tensor | None]:
            # of a number: for `grad_outputs` PyTorch loads its symbolic shapes, as long as a small run takes
            found = torch.autograd.grad(losses.sum(), edges, retain_graph=not known, allow_unused=True)
            return [self._by_example(use, b, count) for (use, _), b in zip(places, found, strict=True)]

        found = gradients(losses)
        fitting = [self._fitting(*place, b, count) for place, b in zip(places, found, strict=True)]
        for numbers in [] if known else examples.numberings(count, losses):
            numbered = gradients(numbers.to(losses) * losses)
            for (use, _), dims, b, n in zip(places, fitting, found, numbered, strict=True):
                if b is not None and n is not None:
                    dims[:] = [dim for dim in dims if examples.carries(dim, numbers, b, n)]
                    if not dims:
                        raise self._error(use.layer, MIXED)
        if not known:
            self._remember(places, fitting, found)
        answers: list[tuple[dict[int, Tensor], list[int]]] = [({}, []) for _ in uses]
        of_use = {id(use): answer for use, answer in zip(uses, answers, strict=True)}
        for (use, place), dims, b in zip(places, fitting, found, strict=True):
            if b is not None:
                of_use[id(use)][0][place] = b
                of_use[id(use)][1].append(dims[0])
        return answers

    def _by_example(self, use: _Use, b: Tensor | None, count: int) -> Tensor | None:
        if b is None or not isinstance(use.source, LinearMap):
            return b
        if b[..., 0].numel() % count:
            raise self._error(use.layer, f"computes {list(b.shape)} inside, which do not fall into {count} examples")
        return by_example(b, count)

    def _fitting(self, use: _Use, place: int, b: Tensor | None, count: int) -> list[int]:
        """Dimensions of an output that may be the examples'."""
        if b is None:
            return []
        possible = _possible(use, b)
        if (dim := self._dimensions.get(_key(use, place))) is not None:
            possible = [dim] if dim in possible else []
        if fitting := [dim for dim in possible if b.shape[dim] == count]:
            return fitting
        raise self._error(
            use.layer,
            f"gives {list(b.shape)}, no dimension of which is as long as the losses, {count}: each example must have "
            "one loss, and what examples share, such as positions, be expanded to all of them",
        )

    def _remember(self, places: list[tuple[_Use, int]], fitting: list[list[int]], found: list[Tensor | None]) -> None:
        for (use, place), dims, b in zip(places, fitting, found, strict=True):
            if b is None or len(dims) != 1 or not examples.says_something(b):
                continue  # it may be told from a later batch
            if self._dimensions.setdefault(_key(use, place), dims[0]) != dims[0]:
                raise self._error(use.layer, "has its examples now in one dimension and now in another")

    def _book(self, layer: nn.Module, source: LinearMap | None, a: Tensor, b: Tensor) -> None:
        if source is not None:
            a = by_example(a, len(b))
            if layer not in self._alone:
                self._add(source.per_example_gradients(a, b))
                return
        _enter(self._books.setdefault(layer, {}).setdefault(source, []), a, b)

    def _check_no_way_around(self, losses: Tensor, uses: list[_Use]) -> None:
        """Every way from the losses to a trainable parameter must lead through the output of a layer that owns it."""
        stops = {edge.node for use in uses for edge in use.outputs}
        begun = {edge.node for use in uses for edge in use.before}
        of_calls = {p for use in uses if isinstance(use.source, Call) for p in trained(use.layer).values()}
        self._check_ways([get_gradient_edge(losses).node], stops, allowed=set())
        # what goes into a layer may have been made by one around it
        self._check_ways(list(begun), stops, allowed=of_calls)
        for use in uses:
            inside = [parent for edge in use.outputs for parent, _ in edge.node.next_functions if parent]
            own = set(trained(use.layer).values())
            self._check_ways(inside, stops | begun, allowed=own)

    def _check_ways(self, ways: list[Node], stops: set[Node], *, allowed: set[nn.Parameter]) -> None:
        """Raises ``RuntimeError`` if a way through the graph leads to a trained parameter that is not allowed before it
        leads to a stop."""
        forbidden, seen = {p for p in self._parameters if p not in allowed}, set()
        while ways:
            node = ways.pop()
            if node in seen or node in stops:
                continue
            seen.add(node)
            leaf: Any = getattr(node, "variable", None)
            if leaf is not None and leaf in forbidden:
                raise RuntimeError(
                    f"model: parameter {self._called[leaf]!r} took part outside its layer's own forward pass, so its "
                    "per-example gradients are unknown; freeze it or call its layer"
                )
            ways += [parent for parent, _ in node.next_functions if parent]

    def _write_down(self, call: Call, gradients: list[Tensor], dims: list[int]) -> None:
        """Per-example gradients at once: of layers that may not be linear in their parameters, so that those are needed
        as they are now, and of layers that share a parameter."""
        self._writing = True  # it runs forward passes of its own
        try:
            sums, way = per_example_gradients(call, gradients, dims, known=self._ways.get(call.layer))
        except TypeError as error:
            raise self._error(call.layer, str(error)) from None
        finally:
            self._writing = False
        self._ways[call.layer] = way
        self._add(sums)

    def _add(self, sums: Sums) -> None:
        for parameter, gradients in sums.items():
            written = self._written.setdefault(self._owner[parameter], {})
            written[parameter] = written[parameter] + gradients if parameter in written else gradients

    def forget(self) -> None:
        """Forget passes that have been run, and what has been recorded and not summed."""
        self._uses, self._books, self._written = [], {}, {}

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
            for sources in books.values():
                for source, pairs in sources.items():
                    sources[source] = [(_zeroed(a, bad), _zeroed(b, bad)) for a, b in pairs]
            written = {layer: {p: _zeroed(g, bad) for p, g in sums.items()} for layer, sums in written.items()}
            parts, norms = self._norms(books, written)
        return [WeightedSum(self._sums(parts, _by_part(weight, parts, norms)), norms, zeroed) for weight in weights]

    def _sums(self, parts: list[LayerGradients], weights: Sequence[Tensor]) -> Sums:
        pairs = zip(parts, weights, strict=True)
        sums = {parameter: total for part, w in pairs for parameter, total in part.weighted_sum(w).items()}
        if missing := [p for p in self._parameters if p not in sums]:
            raise RuntimeError(
                f"model: {len(missing)} trainable parameter(s) took no part in the forward pass, the first is "
                f"{self._called[missing[0]]!r}; freeze them"
            )
        return sums

    def _norms(
        self, books: dict[nn.Module, dict[LinearMap | None, Books]], written: dict[nn.Module, Sums]
    ) -> tuple[list[LayerGradients], Tensor]:
        parts = [self._part(layer, sources) for layer, sources in books.items()]
        parts += map(explicit, written.values())
        return parts, reduce(torch.add, (part.squared_norms for part in parts)).sqrt()

    def _part(self, layer: nn.Module, sources: dict[LinearMap | None, Books]) -> LayerGradients:
        if rule := self._rules.get(layer):
            return rule(layer, sources[None])
        maps = {source: pairs for source, pairs in sources.items() if source}
        return joined([source.gradients(pairs) for source, pairs in disjoint(maps).items()])


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
    if not trained(layer).keys() <= {"weight", "bias"}:
        return None  # its weight is made of others
    if isinstance(layer, nn.modules.conv._ConvNd) and (isinstance(layer.padding, str) or layer.padding_mode != "zeros"):
        return None
    if isinstance(layer, nn.EmbeddingBag) and layer.mode == "max":
        return None
    if type(layer).forward is nn.Linear.forward and {"weight", "bias"} <= layer._parameters.keys():
        return linear  # one that derives from it and does the same
    return RULES.get(type(layer))


def _refused(layer: nn.Module) -> str | None:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return "mixes the examples of a batch, so that no example has a gradient of its own; use nn.GroupNorm"
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag) and trained(layer):
        if layer.scale_grad_by_freq:
            return "mixes the examples of a batch with scale_grad_by_freq=True; leave that out"
        if layer.max_norm is not None:
            return "changes its weights by what it sees, without noise, with max_norm; leave that out"
    return None


def _possible(use: _Use, b: Tensor) -> list[int]:
    """Dimensions of an output, like ``b``, that may be the examples' by what the layer does with the others."""
    if isinstance(use.source, Call):
        return list(range(b.dim()))
    if isinstance(use.layer, nn.Linear | nn.Embedding) and use.source is None:
        return list(range(b.dim() - 1))
    if isinstance(use.layer, nn.LayerNorm):
        return list(range(b.dim() - len(use.layer.normalized_shape)))
    return [0]


def _use(layer: nn.Module, source: LinearMap | Call | None, tensors: list[Tensor], outputs: list[Tensor]) -> _Use:
    before = [get_gradient_edge(t) for t in tensors if t.requires_grad]
    # data as it is: the next parameter point may get the same
    inputs = [t.detach() if t.requires_grad else t for t in tensors]
    versions = [t._version for t in inputs]
    return _Use(layer, source, inputs, versions, [get_gradient_edge(output) for output in outputs], before)


def _key(use: _Use, place: int) -> object:
    return (use.source if isinstance(use.source, LinearMap) else use.layer, place)


def _first(t: Tensor, dim: int) -> Tensor:
    return t.movedim(dim, 0) if dim else t
