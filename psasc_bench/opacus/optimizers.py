"""Opacus' optimisers with our weights: one for each way to per-example gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.optimizers.optimizer import _check_processed_flag, _mark_as_processed
from torch import Tensor

from psasc_bench.evidence import require_sound_instance
from psasc_bench.methods import Method
from psasc_bench.opacus.modules import EngineModule, GhostModule

STATE = "psasc_bench"  # in an optimiser's state: what Opacus' checkpoints lack


class _Weighted(DPOptimizer):
    """The noise is Opacus', of standard deviation ``noise_multiplier * max_grad_norm``, and ``max_grad_norm`` is the
    sensitivity of the ``method`` as it stands. Who sets it, such as Opacus' schedulers of gradient clipping, sets the
    method's threshold ``C`` to what has that sensitivity. Its state has the generators of noise and batches."""

    def __init__(self, *args: Any, method: Method, generators: Mapping[str, torch.Generator], **kwargs: Any) -> None:
        self.method, self._generators = method, dict(generators)
        super().__init__(*args, max_grad_norm=method.sensitivity(), **kwargs)

    @property
    def max_grad_norm(self) -> float:
        return self.method.sensitivity()

    @max_grad_norm.setter
    def max_grad_norm(self, sensitivity: float) -> None:
        self.method = of_sensitivity(self.method, sensitivity)

    def state_dict(self) -> dict[str, Any]:
        if self._is_last_step_skipped:
            raise RuntimeError("state_dict() in the middle of a batch, whose sum is a secret: finish it first")
        states = {name: generator.get_state() for name, generator in self._generators.items()}
        ours = {"sensitivity": self.max_grad_norm, "noise_multiplier": self.noise_multiplier, "generators": states}
        return {**super().state_dict(), STATE: ours}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        theirs = dict(state_dict)
        if ours := theirs.pop(STATE, None):
            self.max_grad_norm, self.noise_multiplier = ours["sensitivity"], ours["noise_multiplier"]
            for name, state in ours["generators"].items():
                self._generators[name].set_state(state)
        super().load_state_dict(theirs)


class HooksOptimizer(_Weighted):
    """Of ``p.grad_sample``. An example whose gradient is not finite contributes exactly zero."""

    def clip_and_accumulate(self) -> None:
        samples = self.grad_samples
        norms = torch.stack([sample.flatten(1).norm(dim=1) for sample in samples]).norm(dim=0)
        bad = ~norms.isfinite()
        weights = self.method.weight(norms.masked_fill(bad, 0)).masked_fill(bad, 0)
        for parameter, sample in zip(self.params, samples, strict=True):
            _check_processed_flag(parameter.grad_sample)
            rows = sample.masked_fill(bad.view(-1, *[1] * (sample.dim() - 1)), 0) if bad.any() else sample
            total = torch.einsum("i,i...", weights.to(parameter.dtype), rows.to(parameter.dtype))
            parameter.summed_grad = total if parameter.summed_grad is None else parameter.summed_grad + total
            _mark_as_processed(parameter.grad_sample)


class GhostOptimizer(_Weighted, DPOptimizerFastGradientClipping):
    """Of what the criterion's second backward pass leaves in ``p.grad``."""

    def __init__(self, *args: Any, module: GhostModule, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._module = module
        module.weight = lambda norms: self.method.weight(norms)

    def accumulate(self) -> None:
        for parameter in self.params if self._module.empty else ():
            parameter.grad = torch.zeros_like(parameter)
        super().accumulate()


class EngineOptimizer(_Weighted, DPOptimizerFastGradientClipping):
    """Of our engine."""

    def __init__(self, *args: Any, module: EngineModule, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._module = module

    def accumulate(self) -> None:
        found = self._module.weighted_sum(self.method)
        for parameter in self.params:
            total: Tensor = found.sums[parameter] if found else torch.zeros_like(parameter)
            if parameter.summed_grad is not None:
                total = parameter.summed_grad.add_(total)
            parameter.summed_grad = total

    def zero_grad(self, set_to_none: bool = False) -> None:
        super().zero_grad(set_to_none)
        self._module.drop_gradients()


def of_sensitivity(method: Method, sensitivity: float) -> Method:
    """The method with its threshold ``C`` such that it has this sensitivity. Raises ``ValueError`` if it has none that
    does, or fails the battery there."""
    if sensitivity == method.sensitivity():
        return method
    if not hasattr(method, "C"):
        raise ValueError(f"max_grad_norm: {method.title} has no threshold C that could be moved")
    moved = replace(method, C=method.C * sensitivity / method.sensitivity())  # type: ignore[call-arg]
    if not math.isclose(moved.sensitivity(), sensitivity, rel_tol=1e-6):
        raise ValueError(f"max_grad_norm: the sensitivity of {method.title} does not move with its C")
    require_sound_instance(moved)
    return moved
