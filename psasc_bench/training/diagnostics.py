"""What training looks like from inside. **Not private**: all of it reads gradients and losses without accounting, which
is why a curve's columns are named ``nonprivate_``. None of it steers training or draws from its random streams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from psasc_bench.methods import Method, create
from psasc_bench.training.step import GradientSum, Objective

QUANTILES = (0.1, 0.5, 0.9)


@dataclass
class Diagnostics:
    """What one epoch's batches looked like: of each batch ``norms [n]`` and ``losses [n]``, and of its weighted sum the
    root mean square over coordinates, ``signals []``."""

    norms: list[Tensor] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    signals: list[Tensor] = field(default_factory=list)

    def add(self, gradient_sum: GradientSum) -> None:
        self.norms.append(gradient_sum.norms)
        self.losses.append(gradient_sum.losses)
        self.signals.append(gradient_sum.total.norm() / math.sqrt(len(gradient_sum.total)))

    def row(self, method: Method, *, noise_multiplier: float) -> dict[str, float]:
        """Over the epoch's examples, ``x`` being a norm as ``method`` saw it: the mean loss, quantiles of ``x`` and of
        ``w(x) / sensitivity``, and the share of ``x`` below the norm where ``w`` peaks; over its steps, the mean of
        ``||sum|| / (sigma sensitivity sqrt(P))``, the norm of the weighted sum over the (root mean square) norm of the
        noise. Without a finite sensitivity, or without noise, there are no columns in units of it. An example that was
        not finite counts as of norm 0; what has nothing to be computed from is NaN."""
        norms, losses = torch.cat(self.norms or [torch.zeros(0)]), torch.cat(self.losses or [torch.zeros(0)])
        row = {"nonprivate_train_loss": losses.mean().item(), **_quantiles("norm", norms)}
        sensitivity = method.sensitivity()
        if math.isfinite(sensitivity):
            row |= _quantiles("weight", method.weight(norms) / sensitivity)
            if noise_multiplier:
                signal = torch.stack(self.signals).mean().item()
                row["nonprivate_signal_to_noise"] = signal / (noise_multiplier * sensitivity)
        return row | {"nonprivate_below_peak": _share_below(norms, method.peak())}


@dataclass(frozen=True)
class Deviation:
    """How far a method's scaled mean gradient is from the true mean gradient over the same n examples. ``g_i`` is
    example i's gradient, ``v_i`` what the method weighs (``g_i``, or its inner momentum).

    ``cosine``: of the angle between ``sum_i w(||v_i||) v_i`` and ``sum_i g_i``.

    ``relative_error``: ``||m - g|| / ||g||`` with ``m = sum_i w(||v_i||) v_i / sum_i w(||v_i||)`` and ``g = sum_i g_i /
    n``. The scaled mean comes in units of the threshold, and the learning rate makes up for any factor, so that its own
    distance from ``g`` would be a matter of units. Divided by the mean weight, it is the mean gradient under the
    probabilities ``w_i / sum_j w_j`` in place of ``1/n``: the error is what the *inequality* of weights does, in
    direction and in length, 0 if all examples weigh the same and close to 1 where weight goes to vanishing gradients.
    The multiple of the scaled mean that is nearest to ``g`` would leave the sine of the angle, which the cosine says.

    ``below_peak``: the share of ``||v_i||`` below the norm where the weight peaks. What has no value is NaN.
    """

    cosine: float
    relative_error: float
    below_peak: float


def deviations(
    objective: Objective,
    methods: Sequence[Method],
    batch: Tensor,
    *,
    iterates: Sequence[Tensor],
    micro_batch_size: int,
) -> list[Deviation]:
    """Of each of ``methods`` over the examples ``batch [n]`` at the newest of ``iterates`` (each ``[P]``, oldest
    first). A method with inner momentum averages over as many of them as it would, or as there are."""

    def gradient_sum(method: Method) -> GradientSum:
        seen = iterates[-int(method.iterates) :]
        return objective.gradient_sum(method, batch, iterates=seen, micro_batch_size=micro_batch_size)

    true_mean = gradient_sum(create("nonprivate", {})).total.double() / len(batch)
    return [_deviation(method, gradient_sum(method), true_mean) for method in methods]


def _deviation(method: Method, scaled: GradientSum, true_mean: Tensor) -> Deviation:
    total, length = scaled.total.double(), true_mean.norm()
    mean = total / method.weight(scaled.norms).double().sum()
    return Deviation(
        cosine=float(total @ true_mean / (total.norm() * length)),
        relative_error=float((mean - true_mean).norm() / length),
        below_peak=_share_below(scaled.norms, method.peak()),
    )


def _quantiles(name: str, values: Tensor) -> dict[str, float]:
    """By nearest rank."""
    ranked = values.sort().values if len(values) else values.new_full([1], math.nan)
    return {f"nonprivate_{name}_q{round(100 * q)}": ranked[round(q * (len(ranked) - 1))].item() for q in QUANTILES}


def _share_below(norms: Tensor, bound: float) -> float:
    return (norms < bound).double().mean().item()
