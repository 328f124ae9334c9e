"""What training looks like from inside. **Not private**: all of it reads gradients and losses without accounting, which
is why a curve's columns are named ``nonprivate_``. None of it steers training or draws from its random streams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from psasc_bench.methods import Method, PerLayer, create
from psasc_bench.privacy import noise_scale
from psasc_bench.training.step import GradientSum, Objective, averaging, shares

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
        noise, and settings that move being those at the epoch's end. Without a finite sensitivity, or without noise,
        there are no columns in units of it. An example that was not finite counts as of norm 0; what has nothing to be
        computed from, as a weight where layers have weights of their own, is NaN."""
        norms, losses = torch.cat(self.norms or [torch.zeros(0)]), torch.cat(self.losses or [torch.zeros(0)])
        row = {"nonprivate_train_loss": losses.mean().item(), **_quantiles("norm", norms)}
        sensitivity = method.sensitivity()
        if math.isfinite(sensitivity):
            row |= _quantiles("weight", _weights(method, norms) / sensitivity)
            if noise_multiplier:
                signal = torch.stack(self.signals).mean().item()
                row["nonprivate_signal_to_noise"] = signal / (noise_multiplier * sensitivity)
        return row | {"nonprivate_below_peak": _share_below(norms, method.peak())}


@dataclass(frozen=True)
class Deviation:
    """What a method's weights make of the true mean gradient over n examples. ``g_i`` is example i's gradient, ``g =
    sum_i g_i / n``, ``v_i`` what the method weighs (``g_i``, or its inner momentum), ``x_i = ||v_i||``, ``w_i =
    w(x_i)``, and ``s = sum_i w_i v_i / n`` the scaled mean. What has no value is NaN.

    Of the weights:

    ``quarter_weight``: the share of ``sum_i w_i`` that the quarter of the examples with the smallest ``x_i`` has; 1/4
    if all weigh the same.

    ``effective_sample_size``: ``(sum_i w_i)^2 / (n sum_i w_i^2)`` (Kish 1965), from 1/n, one example with all the
    weight, to 1, all weigh the same.

    ``below_peak``: the share of ``x_i`` below the norm where the weight peaks.

    Of the direction:

    ``cosine``: of the angle between ``s`` and ``g``: the bias alone.

    ``relative_error``: ``||m - g|| / ||g||`` with ``m = sum_i w_i v_i / sum_i w_i``. The scaled mean comes in units of
    the threshold, and the learning rate makes up for any factor, so that its own distance from ``g`` would be a matter
    of units. Divided by the mean weight, it is the mean gradient under the probabilities ``w_i / sum_j w_j`` in place
    of ``1/n``: the error is what the *inequality* of weights does, in direction and in length, 0 if all examples weigh
    the same and close to 1 where weight goes to vanishing gradients. The multiple of the scaled mean that is nearest
    to ``g`` would leave the sine of the angle, which the cosine says.

    ``released_cosine``: the cosine to expect between ``g`` and what one step releases, bias and noise in one number.
    The step releases ``s^ = (sum_i b_i w_i v_i + z) / (q n)`` with independent ``b_i ~ Bernoulli(q)`` and, in P
    dimensions, ``z ~ N(0, sigma^2 Delta^2 I)``. So ``E s^ = s``, and ``E ||s^||^2 = ||s||^2 + v`` with the variance

        v = P sigma^2 Delta^2 / (q n)^2 + (1 - q) / (q n^2) sum_i w_i^2 x_i^2,

    because ``Var b_i = q (1 - q)``. In many dimensions the length of ``s^`` hardly varies, so that

        E cos(s^, g) = <s, g> / (||g|| sqrt(||s||^2 + v)),

    with a relative error of the order of ``Var ||s^||^2 / (E ||s^||^2)^2``, to which the noise contributes some 1/P.
    """

    cosine: float
    relative_error: float
    below_peak: float
    quarter_weight: float
    effective_sample_size: float
    released_cosine: float


def deviations(
    objective: Objective,
    methods: Sequence[Method],
    batch: Tensor,
    *,
    iterates: Sequence[Tensor],
    micro_batch_size: int,
    sampling_rate: float = 1.0,
    noise_multiplier: float = 0.0,
) -> list[Deviation]:
    """Of each of ``methods`` over the examples ``batch [n]`` at the newest of ``iterates`` (each ``[P]``, oldest
    first). A method with inner momentum averages over as many of them as it would, or as there are. Methods that
    average alike share a pass. By default a step draws all examples and adds no noise, and ``released_cosine`` is
    ``cosine``.

    Raises ``ValueError`` for noise against an unbounded sensitivity.
    """
    plain = create("nonprivate", {})
    alike: dict[tuple[float, ...], list[Method]] = {}
    for method in dict.fromkeys([plain, *methods]):
        count = min(int(method.iterates), len(iterates))
        alike.setdefault(tuple(averaging(count, method.decay)), []).append(method)
    sums: dict[Method, GradientSum] = {}
    for coefficients, group in alike.items():
        seen = iterates[-len(coefficients) :]
        found = objective.gradient_sums(group, batch, iterates=seen, micro_batch_size=micro_batch_size)
        sums |= zip(group, found, strict=True)
    true_mean = sums[plain].total.double() / len(batch)
    return [
        _deviation(method, sums[method], true_mean, sampling_rate=sampling_rate, noise_multiplier=noise_multiplier)
        for method in methods
    ]


def _deviation(
    method: Method, scaled: GradientSum, true_mean: Tensor, *, sampling_rate: float, noise_multiplier: float
) -> Deviation:
    total, norms, length = scaled.total.double(), scaled.norms.double(), true_mean.norm()
    weights = _weights(method, scaled.norms).double()
    mean = total / weights.sum()
    share = shares(method, noise_multiplier=noise_multiplier, expected_batch_size=sampling_rate * len(scaled.norms))
    noise = noise_scale(sensitivity=method.sensitivity(), noise_multiplier=share.gradient)
    # of n s^, whose mean is the total
    variance = len(total) * (noise / sampling_rate) ** 2
    variance += (1 / sampling_rate - 1) * float((weights * norms).square().sum())
    return Deviation(
        cosine=float(total @ true_mean / (total.norm() * length)),
        relative_error=float((mean - true_mean).norm() / length),
        below_peak=_share_below(scaled.norms, method.peak()),
        quarter_weight=_weight_of_smallest_quarter(norms, weights),
        effective_sample_size=float(weights.sum().square() / (len(weights) * weights.square().sum())),
        released_cosine=float(total @ true_mean / (length * (total.square().sum() + variance).sqrt())),
    )


def _weights(method: Method, norms: Tensor) -> Tensor:
    return torch.full_like(norms, math.nan) if isinstance(method, PerLayer) else method.weight(norms)


def _weight_of_smallest_quarter(norms: Tensor, weights: Tensor) -> float:
    """A quarter that is no whole number of examples has a part of the next one's weight."""
    shares = F.pad((weights / weights.sum())[norms.argsort()].cumsum(0), (1, 0))  # of the 0, 1, ..., n smallest
    whole = len(norms) // 4
    return float(shares[whole].lerp(shares[whole + 1], len(norms) / 4 - whole))


def _quantiles(name: str, values: Tensor) -> dict[str, float]:
    """By nearest rank."""
    ranked = values.sort().values if len(values) else values.new_full([1], math.nan)
    return {f"nonprivate_{name}_q{round(100 * q)}": ranked[round(q * (len(ranked) - 1))].item() for q in QUANTILES}


def _share_below(norms: Tensor, bound: float) -> float:
    return math.nan if math.isnan(bound) else (norms < bound).double().mean().item()
