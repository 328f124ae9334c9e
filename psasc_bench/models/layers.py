"""Layers that private training cannot have: found by their class, and by what they do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from psasc_bench.models.apart import NEAR, same_example
from psasc_bench.models.catalogue import MIXING, RANDOM, STATE

CLASSES: dict[type[nn.Module], str] = {
    **dict.fromkeys((nn.modules.dropout._DropoutNd, nn.RReLU, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d), RANDOM),
    nn.modules.batchnorm._BatchNorm: MIXING,
}
EXAMPLES, MORE = 4, 7
ROUNDING = 1e-6  # of all gradients: what is left of one that cancels to nothing, as of a bias before a normalisation


def refused_class(model: nn.Module) -> str | None:
    """Which layer of ``model`` is of a class, or derives from one, that private training cannot have, and why."""
    for name, module in model.named_modules():
        for cls, why in CLASSES.items():
            if isinstance(module, cls) and not _never_draws(module):
                return _say(name, module, why)
        if isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout:
            return _say(name, module, RANDOM)
        if isinstance(module, nn.modules.instancenorm._InstanceNorm) and module.track_running_stats:
            return _say(name, module, STATE)
    return None


def _never_draws(module: nn.Module) -> bool:
    """A dropout of nothing, as a transformer's layers have where they have none."""
    return isinstance(module, nn.modules.dropout._DropoutNd) and not module.p


def misbehaviour(model: nn.Module, many: Tensor) -> str | None:
    """Which layer of ``model``, fed with ``many`` random examples (``MORE``), changes a buffer, draws at random or
    mixes examples while it is in training mode, and why that will not do.

    Two passes of one batch must agree to the last bit, and the first example alone must come out as it does in company.
    A layer that disagrees although what went into it agrees is the one. And the gradients of a batch must be the sum of
    those of its examples alone. The model is left in training mode, and in double precision.
    """
    images = many[:EXAMPLES]
    fresh = _in_evaluation(model, images)
    model.train()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        once = _Pass(model, images)
        for name, buffer in model.named_buffers():
            if name not in before or not _same(before[name], buffer):
                owner = name.rpartition(".")[0]
                return _say(owner, model.get_submodule(owner), STATE)
        if differing := once.differing(_Pass(model, images), _same):
            return _say(*differing, RANDOM)
        try:
            alone, more = _Pass(model, images[:1]), _Pass(model, many)
        except (RuntimeError, ValueError):  # as batch normalisation says of a single value
            return _say("", model, MIXING)
    used = _in_evaluation(model, images)
    model.train()
    if differing := fresh.differing(used, _same):
        return _say(*differing, STATE)
    if differing := once.differing(alone, same_example) or more.differing(alone, same_example):
        return _say(*differing, MIXING)
    return _say("", model, MIXING) if _mixes_gradients(model, many) else None


def _in_evaluation(model: nn.Module, images: Tensor) -> _Pass:
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return _Pass(model, images)


def _mixes_gradients(model: nn.Module, images: Tensor) -> bool:
    """In double precision, where no maximum is decided by rounding; or, if the model insists, in its own."""
    for dtype in (torch.float64, torch.float32):
        try:
            with torch.random.fork_rng(devices=[]):
                as_seen = images.to(dtype) if images.is_floating_point() else images
                return _gradients_differ(model.to(dtype), as_seen)
        except (RuntimeError, TypeError):
            continue
    return False  # it has none, as will be said where they are needed


def _gradients_differ(model: nn.Module, images: Tensor) -> bool:
    """Whether those of the first examples, or of all, are other than the sum of theirs alone."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradients(first: int, last: int) -> list[Tensor]:
        outputs = model(images[first:last].clone()).flatten(1)
        slopes = torch.randn(len(images), outputs.shape[1], generator=torch.Generator().manual_seed(1))[first:last]
        losses = (outputs * slopes.to(outputs)).sum()  # each example's has a slope of its own: mixing cannot cancel
        return list(torch.autograd.grad(losses, parameters, allow_unused=True, materialize_grads=True))

    total = [torch.zeros_like(parameter) for parameter in parameters]
    size = torch.zeros(len(parameters), dtype=torch.float64)
    for i in range(len(images)):
        alone = gradients(i, i + 1)
        total = [before + one for before, one in zip(total, alone, strict=True)]
        size += torch.stack([one.norm().to(size) for one in alone])
        if i + 1 in (EXAMPLES, MORE):
            company = gradients(0, i + 1)
            off = torch.stack([(one - two).norm().to(size) for one, two in zip(company, total, strict=True)])
            if bool((off > NEAR * size + ROUNDING * size.sum()).any()):
                return True
    return False


class _Pass:
    """A forward pass, watched: each call of a module with what went in and what came out, in the order of ending."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._calls: list[tuple[str, nn.Module, list[Tensor], list[Tensor]]] = []
        self._begun: list[list[Tensor]] = []
        hooks = [module.register_forward_pre_hook(self._begin, with_kwargs=True) for module in model.modules()]
        hooks += [module.register_forward_hook(self._end(name)) for name, module in model.named_modules()]
        try:
            model(images.clone())
        finally:
            for hook in hooks:
                hook.remove()

    def _begin(self, _: nn.Module, inputs: tuple[object, ...], keywords: dict[str, object]) -> None:
        self._begun.append(_tensors((inputs, keywords)))

    def _end(self, name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def end(module: nn.Module, _: tuple[object, ...], outputs: object) -> None:
            self._calls.append((name, module, self._begun.pop(), _tensors(outputs)))

        return end

    def differing(self, other: _Pass, same: Callable[[Tensor, Tensor], bool]) -> tuple[str, nn.Module] | None:
        """The first module whose outputs differ in the two passes, and not its inputs; or the whole model, if the
        passes differ in what they call."""
        if [call[0] for call in self._calls] != [call[0] for call in other._calls]:
            return self._calls[-1][:2]
        for (name, module, inputs, outputs), (_, _, other_inputs, other_outputs) in zip(
            self._calls, other._calls, strict=True
        ):
            if _all(same, inputs, other_inputs) and not _all(same, outputs, other_outputs):
                return name, module
        return None


def _all(same: Callable[[Tensor, Tensor], bool], some: list[Tensor], others: list[Tensor]) -> bool:
    return len(some) == len(others) and all(same(one, two) for one, two in zip(some, others, strict=True))


def _tensors(values: object) -> list[Tensor]:
    """Copies, for what comes behind may change them in place."""
    return [leaf.detach().clone() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _same(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and bool(((one == two) | ((one != one) & (two != two))).all())


def _say(name: str, module: nn.Module, why: str) -> str:
    layer = f"layer {name!r} ({type(module).__name__})" if name else type(module).__name__
    return f"{layer} {why}"
