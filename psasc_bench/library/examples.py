"""The weighted sum of per-example gradients of a model that is not ours: the engine's books, with a look at what a
model, or the script around it, may do that leaves no example a gradient of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks, WeightedSum
from psasc_bench.methods import Method
from psasc_bench.training import weight_of


class PerExample:
    """Books of ``model``: ``record`` the losses of each parameter point, then close them by ``weighted_sum``.

    Raises ``TypeError`` for a model that mixes the examples of a batch or keeps running statistics of them, and
    ``ValueError`` for one without trainable parameters, or whose parameters differ in type or device.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._books = GradientBooks(model)
        self._recorded = 0
        for name, module in model.named_modules():
            if getattr(module, "running_mean", None) is not None:
                raise TypeError(
                    f"model: layer {name!r} ({type(module).__name__}) keeps running statistics of its inputs, which no "
                    "noise protects; build it with track_running_stats=False"
                )
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        kinds = {(parameter.dtype, parameter.device) for parameter in self.parameters}
        if len(kinds) != 1 or not {dtype for dtype, _ in kinds} <= {torch.float32, torch.float64}:
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds)) or "none"
            raise ValueError(
                f"model: trainable parameters must all be float32 or all float64, on one device; found {found}"
            )

    def record(self, losses: Tensor, *, coefficient: float = 1.0) -> None:
        """Book ``losses [B]``, one for each example of the forward pass just run, at the parameters as they are.

        The engine looks at the first two or more examples together: ``TypeError`` if the loss of one depends on
        another. Passes that the losses do not come from add nothing. Raises ``ValueError`` for losses of another form,
        ``RuntimeError`` if the model is in evaluation mode, or no pass has been run.
        """
        if losses.dim() != 1 or not losses.is_floating_point():
            raise ValueError(
                f"losses must be one number for each example, [B], got {list(losses.shape)} of {losses.dtype}; compute "
                "them with reduction='none' and take the mean of what belongs to one example"
            )
        if not len(losses):
            return self.forget()
        if not (self._model.training and losses.requires_grad):
            raise RuntimeError("the forward pass must run with gradients, and in training mode: call model.train()")
        try:
            self._books.record(losses, torch.ones_like(losses), coefficient=coefficient)
        except RuntimeError as error:
            if "cannot be empty" not in str(error):  # as torch says where there is no output
                raise
            raise RuntimeError(
                "no forward pass has been run since losses were last added: add those of each pass once"
            ) from None
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
        """Forget forward passes that were not booked."""
        none = torch.zeros(0)
        self._books.record(none, none)

    def _check_count(self, found: WeightedSum) -> None:
        if len(found.norms) != self._recorded:
            raise ValueError(
                f"the layers have seen {len(found.norms)} examples, and there are {self._recorded} losses; both must "
                "be one for each example"
            )
