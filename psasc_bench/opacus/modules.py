"""What a model is wrapped in: Opacus' two ways to per-example gradients with our weights, and our engine.

None of them runs the model on an empty batch, which many models and some of Opacus' modes do not survive: it has no
gradient, and its outputs are those of one example of zeros, cut to none. That is run in training mode, too, in which
the outputs of some models have another form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from opacus.grad_sample import AbstractGradSampleModule, GradSampleModule, GradSampleModuleFastGradientClipping
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from psasc_bench.engine import WeightedSum
from psasc_bench.library import PerExample
from psasc_bench.methods import Method


class _Wrapper(AbstractGradSampleModule):
    """What all of them have in common."""

    def __init__(self, m: nn.Module, **how: Any) -> None:
        super().__init__(m, **how)
        self._trained = self._which_train()

    def _which_train(self) -> list[bool]:
        return [parameter.requires_grad for parameter in self._module.parameters()]

    def _is_recorded(self) -> bool:
        """Whether a pass is one to train by. Raises ``ValueError`` if other parameters are trainable than at first."""
        if not (self.training and torch.is_grad_enabled()):
            return False
        if (now := self._which_train()) != self._trained:
            raise ValueError(
                f"model: {sum(now)} parameters are trainable, of which make_private was given {sum(self._trained)}, or "
                "others; freeze and unfreeze before it"
            )
        return True


class _Hooked(_Wrapper):
    """What Opacus' two ways have in common."""

    def drop_passes(self) -> None:
        """Forget all that forward and backward passes have left, wherever they were broken off."""
        self.enable_hooks()
        for module in self._module.modules():
            for name in ("activations", "max_batch_len"):
                module.__dict__.pop(name, None)
        for parameter in self._module.parameters():
            parameter.grad_sample, parameter._forward_counter = None, 0
            for name in ("_current_grad_sample", "_norm_sample"):
                parameter.__dict__.pop(name, None)


class HooksModule(_Hooked, GradSampleModule):
    """Per-example gradients in memory, in ``p.grad_sample``."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not (self._is_recorded() and _are_empty(args, kwargs)):
            return super().forward(*args, **kwargs)
        for parameter in self._module.parameters():
            if parameter.requires_grad and parameter.grad_sample is None:
                parameter.grad_sample = parameter.detach().new_zeros(0, *parameter.shape)
        return _outputs_of_nothing(self._module, args, kwargs)


class GhostModule(_Hooked, GradSampleModuleFastGradientClipping):
    """Norms first, then the weighted sum by a second backward pass. ``weight`` maps norms ``[B]`` to weights."""

    weight: Callable[[Tensor], Tensor]
    empty = False  # the pass just run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.empty = self._is_recorded() and _are_empty(args, kwargs)
        return _outputs_of_nothing(self._module, args, kwargs) if self.empty else super().forward(*args, **kwargs)

    def get_clipping_coef(self) -> Tensor:
        return torch.zeros(0) if self.empty else self.weight(self.get_norm_sample())


@dataclass(frozen=True)
class _Pass:
    """A forward pass: the form of its first input, its outputs, and the leaves that stand for them in the script's
    loss. Without outputs, that of an empty batch."""

    inputs: list[int]
    outputs: list[Tensor]
    leaves: list[Tensor]

    @property
    def differentiated(self) -> bool:
        return any(leaf.grad is not None for leaf in self.leaves)

    def surrogate(self, loss_reduction: str) -> Tensor:
        """Losses ``[B]`` whose gradients with respect to the outputs are those of the script's loss. Raises
        ``ValueError`` if an output in the loss has not one row for each example."""
        total, count = torch.zeros(()), self.inputs[0]
        for output, leaf in zip(self.outputs, self.leaves, strict=True):
            if leaf.grad is None:
                continue
            if list(output.shape[:1]) != [count]:
                raise ValueError(
                    f"model: of inputs {self.inputs} it gives {list(output.shape)}, which is in the loss; the first "
                    f"dimension must be that of the {count} examples: turn it there, or unflatten it, in the model"
                )
            gradient = leaf.grad * count if loss_reduction == "mean" else leaf.grad
            total = total.to(output) + (output * gradient).reshape(count, -1).sum(1)
        return total


class EngineModule(_Wrapper):
    """Our engine behind Opacus' interface. The script sees the model's outputs cut off from the model, so that its
    ``loss.backward()`` ends there; the engine goes on from their gradients when the optimiser takes its step, in one
    backward pass that computes no weight's gradient. A copy has books of its own."""

    def __init__(self, module: nn.Module, *, loss_reduction: str) -> None:
        super().__init__(module, batch_first=True, loss_reduction=loss_reduction)
        self._examples = PerExample(module)
        self._passes: list[_Pass] = []

    def __reduce__(self) -> tuple[Callable[..., EngineModule], tuple[object, ...]]:
        return _copied, (self._module, self.loss_reduction, self.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not self._is_recorded():
            return self._module(*args, **kwargs)
        if any(one.differentiated for one in self._passes):
            raise ValueError(
                "gradients of two batches do not add up under Poisson sampling: call optimizer.step() after every "
                "backward pass, and divide batches by Opacus' BatchMemoryManager"
            )
        if _are_empty(args, kwargs):
            outputs = _outputs_of_nothing(self._module, args, kwargs)
            leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
            self._passes.append(_Pass([0], [], leaves))
            return outputs
        one = _Pass(next((list(t.shape) for t in _batched(args, kwargs)), []), [], [])

        def cut(output: Tensor) -> Tensor:
            if not output.requires_grad:
                return output
            one.outputs.append(output)
            one.leaves.append(output.detach().requires_grad_())
            return one.leaves[-1].clone()  # which the script may change in place

        outputs = tree_map_only(Tensor, cut, self._module(*args, **kwargs))
        try:
            self._check_pass(one, outputs)
        except BaseException:
            self._examples.forget()
            raise
        self._passes.append(one)
        return outputs

    def _check_pass(self, one: _Pass, outputs: Any) -> None:
        if not one.inputs:
            raise ValueError("model: is given no tensor whose first dimension could be the batch's")
        if not one.outputs:
            raise ValueError(
                f"model: gives {type(outputs).__name__}, in which there is no tensor that depends on its parameters; "
                "it must give tensors, in tuples, lists or dicts"
            )

    def weighted_sum(self, method: Method) -> WeightedSum | None:
        """That of the batch whose loss was differentiated; None of an empty one. Raises ``ValueError`` if there is
        none, or more than one size of batches, or outputs that are not one row for each example."""
        passes, self._passes = [one for one in self._passes if one.differentiated], []
        try:
            if not passes:
                raise ValueError("there is no gradient: call loss.backward() before each step, of an empty batch too")
            surrogates = [one.surrogate(self.loss_reduction) for one in passes if one.outputs]
            if not surrogates:
                return None
            if len(sizes := {len(losses) for losses in surrogates}) > 1:
                raise ValueError(f"forward passes of {sorted(sizes)} examples before one step; take a step after each")
        except ValueError:
            self._examples.forget()
            raise
        try:
            self._examples.record(torch.stack(surrogates).sum(0))
            return self._examples.weighted_sum(method)
        except BaseException:
            self._examples = PerExample(self._module)
            raise

    def drop_gradients(self) -> None:
        """Forget a batch whose loss was differentiated, as ``zero_grad`` is to; not one that has only been run."""
        if any(one.differentiated for one in self._passes):
            self.drop_passes()

    def drop_passes(self) -> None:
        """Forget all that has been run."""
        self._passes = []
        self._examples.forget()

    def remove_hooks(self) -> None:
        self._passes = []
        del self._examples


def _copied(module: nn.Module, loss_reduction: str, training: bool) -> EngineModule:
    copy = EngineModule(module, loss_reduction=loss_reduction)
    copy.training = training
    return copy


def _batched(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    return [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor) and value.dim()]


def _are_empty(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    return 0 in map(len, _batched(args, kwargs))


def _outputs_of_nothing(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    def padded(value: Tensor) -> Tensor:
        return value.new_zeros(1, *value.shape[1:]) if value.dim() and not len(value) else value

    def cut(output: Tensor) -> Tensor:
        nothing = output[:0].detach()
        return nothing.requires_grad_() if nothing.is_floating_point() else nothing

    args, kwargs = tree_map_only(Tensor, padded, (args, dict(kwargs)))
    with torch.no_grad():
        return tree_map_only(Tensor, cut, module(*args, **kwargs))
