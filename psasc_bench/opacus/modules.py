"""What a model is wrapped in: Opacus' two ways to per-example gradients with our weights, and our engine.

None of them runs the model on an empty batch, which many models and some of Opacus' modes do not survive: it has no
gradient, and its outputs are those of one example of zeros, cut to none.
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


class HooksModule(GradSampleModule):
    """Per-example gradients in memory, in ``p.grad_sample``."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not _trains_on_nothing(self, args, kwargs):
            return super().forward(*args, **kwargs)
        for parameter in self._module.parameters():
            if parameter.requires_grad and parameter.grad_sample is None:
                parameter.grad_sample = parameter.detach().new_zeros(0, *parameter.shape)
        return _outputs_of_nothing(self._module, args, kwargs)


class GhostModule(GradSampleModuleFastGradientClipping):
    """Norms first, then the weighted sum by a second backward pass. ``weight`` maps norms ``[B]`` to weights."""

    weight: Callable[[Tensor], Tensor]
    empty = False  # the pass just run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.empty = _trains_on_nothing(self, args, kwargs)
        return _outputs_of_nothing(self._module, args, kwargs) if self.empty else super().forward(*args, **kwargs)

    def get_clipping_coef(self) -> Tensor:
        return torch.zeros(0) if self.empty else self.weight(self.get_norm_sample())


@dataclass(frozen=True)
class _Pass:
    """A forward pass of ``examples``: its outputs, and the leaves that stand for them in the script's loss."""

    outputs: list[Tensor]
    leaves: list[Tensor]

    @property
    def differentiated(self) -> bool:
        return any(leaf.grad is not None for leaf in self.leaves)

    def surrogate(self, loss_reduction: str) -> Tensor:
        """Losses ``[B]`` whose gradients with respect to the outputs are those of the script's loss."""
        total = self.outputs[0].new_zeros(len(self.outputs[0]))
        for output, leaf in zip(self.outputs, self.leaves, strict=True):
            gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            gradient = gradient * len(output) if loss_reduction == "mean" else gradient
            total = total + (output * gradient).reshape(len(output), -1).sum(1)
        return total


class EngineModule(AbstractGradSampleModule):
    """Our engine behind Opacus' interface. The script sees the model's outputs cut off from the model, so that its
    ``loss.backward()`` ends there; the engine goes on from their gradients when the optimiser takes its step, in one
    backward pass that computes no weight's gradient."""

    def __init__(self, module: nn.Module, *, loss_reduction: str) -> None:
        super().__init__(module, batch_first=True, loss_reduction=loss_reduction)
        self._examples = PerExample(module)
        self._passes: list[_Pass] = []

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not (self.training and torch.is_grad_enabled()):
            return self._module(*args, **kwargs)
        if any(one.differentiated for one in self._passes):
            raise ValueError(
                "gradients of two batches do not add up under Poisson sampling: call optimizer.step() after every "
                "backward pass, and divide batches by Opacus' BatchMemoryManager"
            )
        if _trains_on_nothing(self, args, kwargs):
            outputs = _outputs_of_nothing(self._module, args, kwargs)
            leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.requires_grad]
            self._passes.append(_Pass([], leaves))
            return outputs
        one = _Pass([], [])

        def cut(output: Tensor) -> Tensor:
            if not output.requires_grad:
                return output
            if not output.dim():
                raise ValueError("model: gave a number; it must give outputs whose first dimension is the batch's")
            one.outputs.append(output)
            one.leaves.append(output.detach().requires_grad_())
            return one.leaves[-1]

        outputs = tree_map_only(Tensor, cut, self._module(*args, **kwargs))
        self._passes.append(one)
        return outputs

    def weighted_sum(self, method: Method) -> WeightedSum | None:
        """That of the batch whose loss was differentiated; None of an empty one. Raises ``ValueError`` if there is
        none, or more than one size of batches."""
        passes, self._passes = self._passes, []
        if not any(one.differentiated for one in passes):
            self._examples.forget()
            raise ValueError("there is no gradient: call loss.backward() before each step, of an empty batch too")
        passes = [one for one in passes if one.outputs]
        if not passes:
            return None
        surrogates = [one.surrogate(self.loss_reduction) for one in passes]
        if len(sizes := {len(losses) for losses in surrogates}) > 1:
            raise ValueError(
                f"forward passes of {sorted(sizes)} examples before one step: run those that train nothing in "
                "evaluation mode or under torch.no_grad()"
            )
        try:
            self._examples.record(torch.stack(surrogates).sum(0))
            return self._examples.weighted_sum(method)
        except BaseException:
            self._examples = PerExample(self._module)
            raise

    def drop_gradients(self) -> None:
        """Forget a batch whose loss was differentiated, as ``zero_grad`` is to; not one that has only been run."""
        if any(one.differentiated for one in self._passes):
            self._passes = []
            self._examples.forget()

    def remove_hooks(self) -> None:
        self._passes = []
        del self._examples


def _trains_on_nothing(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    sizes = [len(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor) and value.dim()]
    return module.training and torch.is_grad_enabled() and 0 in sizes


def _outputs_of_nothing(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    def padded(value: Tensor) -> Tensor:
        return value.new_zeros(1, *value.shape[1:]) if value.dim() and not len(value) else value

    def cut(output: Tensor) -> Tensor:
        nothing = output[:0].detach()
        return nothing.requires_grad_() if nothing.is_floating_point() else nothing

    args, kwargs = tree_map_only(Tensor, padded, (args, dict(kwargs)))
    with torch.no_grad():
        return tree_map_only(Tensor, cut, module(*args, **kwargs))
