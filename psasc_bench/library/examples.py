"""The weighted sum of per-example gradients of a model that is not ours: the engine's books, with a look at what a
model, or the script around it, may do that leaves no example a gradient of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from psasc_bench.engine import GradientBooks, Hook, WeightedSum
from psasc_bench.methods import Method
from psasc_bench.models import examples_apart
from psasc_bench.training import weight_of


class PerExample:
    """Books of ``model``: ``record`` the losses of each parameter point, then close them by ``weighted_sum``.

    Among the tensors that the model is given, its examples lie along ``batch_dim`` of one at least.

    Raises ``TypeError`` for a model that mixes the examples of a batch or keeps running statistics of them, and
    ``ValueError`` for one without trainable parameters, or whose parameters differ in type or device.
    """

    def __init__(self, model: nn.Module, *, batch_dim: int = 0) -> None:
        if lazy := [name for name, parameter in model.named_parameters() if is_lazy(parameter)]:
            raise ValueError(f"model: parameter {lazy[0]!r} has no shape yet: run the model once before")
        self._model, self._batch_dim = model, batch_dim
        self._books = GradientBooks(model)
        self._recorded = 0
        self._apart = False  # not yet known to be
        self._given: list[torch.Size] = []  # to the model, in the pass just run, if it was called itself
        model.register_forward_pre_hook(Hook(self, "_note_given"), with_kwargs=True)
        for name, module in model.named_modules():
            if getattr(module, "running_mean", None) is not None:
                raise TypeError(
                    f"model: layer {name!r} ({type(module).__name__}) keeps running statistics of its inputs, which no "
                    "noise protects; build it with track_running_stats=False"
                )
        self.parameters = _trainable(model)
        kinds = {(parameter.dtype, parameter.device) for parameter in self.parameters}
        if not kinds:
            raise ValueError("model: has no trainable parameter")
        if len(kinds) > 1 or not {dtype for dtype, _ in kinds} <= {torch.float32, torch.float64}:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise ValueError(
                f"model: trainable parameters must all be float32 or all float64, on one device; found {found}"
            )

    def _note_given(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if model.training and torch.is_grad_enabled():
            apart = self._apart or examples_apart(model, args, kwargs, batch_dim=self._batch_dim)
            if apart is False:
                raise TypeError(
                    "model: mixes the examples of a batch: an example alone has other outputs, or none; compute what "
                    f"belongs to one example from it alone, and let examples lie along dimension {self._batch_dim} of "
                    "what the model is given (batch_dim)"
                )
            self._apart = apart is True  # None: this batch could not tell
            self._given = [value.shape for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]

    def record(self, losses: Tensor, *, coefficient: float = 1.0) -> None:
        """Book ``losses [B]``, one for each example of the forward pass just run, at the parameters as they are.

        The engine looks at the first two or more examples together: ``TypeError`` if the loss of one depends on
        another. Passes that the losses do not come from add nothing. Raises ``ValueError`` for losses of another form
        or number than the examples that the model was given, and if other parameters than at first are trainable;
        ``RuntimeError`` if the model is in evaluation mode, or no pass has been run.
        """
        given, self._given = self._given, []
        if not isinstance(losses, Tensor) or losses.dim() != 1 or not losses.is_floating_point():
            raise ValueError(
                f"losses must be one number for each example, [B], got {_described(losses)}; compute them with "
                "reduction='none' and take the mean of what belongs to one example"
            )
        if not len(losses):
            return self.forget()
        if not self._model.training:
            raise RuntimeError("the model is in evaluation mode: call model.train() before the forward pass")
        if not losses.requires_grad:
            raise RuntimeError("the losses have no gradient: run the forward pass without torch.no_grad()")
        along = [shape[self._batch_dim] for shape in given if len(shape) > self._batch_dim]
        if along and len(losses) not in along:
            shapes = ", ".join(str(list(shape)) for shape in given)
            raise ValueError(
                f"there are {len(losses)} losses, and the model was given {shapes}: each example must have one "
                f"loss, and examples must lie along dimension {self._batch_dim} of a tensor given (batch_dim)"
            )
        if list(map(id, _trainable(self._model))) != list(map(id, self.parameters)):
            raise ValueError("model: other parameters are trainable than at first; make it private anew")
        self._books.record(losses, torch.ones_like(losses), coefficient=coefficient)
        self._recorded = len(losses)
        return None

    def weighted_sum(self, method: Method) -> WeightedSum:
        """Close the books: ``sum_i w(||v_i||) v_i`` for every trainable parameter, and norms ``[B]``.

        Raises ``ValueError`` if the layers have seen another number of examples than there were losses.
        """
        found = self._books.weighted_sum(weight_of(method))
        self._check_count(found)
        return found

    def forget(self) -> None:
        """Forget forward passes that were not booked, and what was booked and not summed."""
        self._books.forget()
        self._recorded, self._given = 0, []

    def _check_count(self, found: WeightedSum) -> None:
        if len(found.norms) != self._recorded:
            raise ValueError(
                f"the layers have seen {len(found.norms)} examples, and there are {self._recorded} losses; both must "
                "be one for each example"
            )


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _described(value: object) -> str:
    return f"{list(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
