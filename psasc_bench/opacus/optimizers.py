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
from psasc_bench.opacus.modules import EngineModule, GhostModule, HooksModule

STATE = "psasc_bench"  # in an optimiser's state: what Opacus' checkpoints lack


class _Weighted(DPOptimizer):
    """The noise is Opacus', of standard deviation ``noise_multiplier * max_grad_norm``, and ``max_grad_norm`` is the
    sensitivity of the ``method`` as it stands. Who sets it, such as Opacus' schedulers of gradient clipping, sets the
    method's threshold ``C`` to what has that sensitivity. Its state has the generators of noise and batches."""

    def __init__(
        self,
        *args: Any,
        method: Method,
        module: HooksModule | GhostModule | EngineModule,
        generators: Mapping[str, torch.Generator],
        **kwargs: Any,
    ) -> None:
        self.method, self._module, self._generators = method, module, dict(generators)
        super().__init__(*args, max_grad_norm=method.sensitivity(), **kwargs)

    @property
    def max_grad_norm(self) -> float:
        return self.method.sensitivity()

    @max_grad_norm.setter
    def max_grad_norm(self, sensitivity: float) -> None:
        self.method = of_sensitivity(self.method, sensitivity)

    def drop_batch(self) -> None:
        """Forget the parts of a batch that was left before its last: a release of them with others would hold more
        than one batch. What passes have left goes with them."""
        self._step_skip_queue.clear()
        self._is_last_step_skipped = False
        self._module.drop_passes()
        self.zero_grad()

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
        norms = torch.stack([sample.unsqueeze(-1).flatten(1).norm(dim=1) for sample in samples]).norm(dim=0)
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

    _module: GhostModule

    def __init__(self, *args: Any, module: GhostModule, **kwargs: Any) -> None:
        super().__init__(*args, module=module, **kwargs)
        module.weight = lambda norms: self.method.weight(norms)

    def accumulate(self) -> None:
        for parameter in self.params if self._module.empty else ():
            parameter.grad = torch.zeros_like(parameter)
        super().accumulate()


class EngineOptimizer(_Weighted, DPOptimizerFastGradientClipping):
    """Of our engine."""

    _module: EngineModule

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
    """The method, which has passed the battery, with its threshold ``C`` such that it has this sensitivity. Raises
    ``ValueError`` if it has none that does, or fails the battery there."""
    if sensitivity == method.sensitivity():
        return method
    if not hasattr(method, "C"):
        raise ValueError(f"max_grad_norm: {method.title} has no threshold C that could be moved")
    moved = replace(method, C=method.C * sensitivity / method.sensitivity())  # type: ignore[call-arg]
    if not math.isclose(moved.sensitivity(), sensitivity, rel_tol=1e-6):
        raise ValueError(f"max_grad_norm: the sensitivity of {method.title} does not move with its C")
    if not _scaled(method, moved, sensitivity / method.sensitivity()):
        require_sound_instance(moved)
    return moved


def _scaled(method: Method, moved: Method, k: float) -> bool:
    """Whether the contributions ``x w(x)`` are those of ``method``, ``k`` times as large: at the same norms,
    ``w_kC(x) = k w_C(x)``, as normalising methods have it, or at norms ``k`` times as large, ``w_kC(k x) = w_C(x)``, as
    clipping has it. Either way their supremum is ``k`` times that of ``method``, as the sensitivity is; the battery,
    which takes seconds, would find at each move of a scheduler what it has found before."""
    norms = torch.cat([torch.zeros(1), torch.logspace(-30, 30, 6001, dtype=torch.float64)])
    weights, before = moved.weight(norms), method.weight(norms)
    laws = ((weights, k * before), (moved.weight(k * norms), before))
    return bool(moved.weight(norms.float()).isfinite().all()) and any(
        torch.allclose(one, two, rtol=1e-9, atol=0) for one, two in laws
    )
