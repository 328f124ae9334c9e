"""Attacks on the mechanism, and the lower bounds on epsilon that they prove: a claim below its bound is false.

The attack is white-box: its canaries are in ``canaries``. It looks for what they add along their gradients and for what
they add against them; and a release that is no finite number refutes any claim, for Gaussian noise never makes one.

The attack's errors, false positives (FP) and false negatives (FN), are bounded from above by Clopper and Pearson's
intervals, as in Nasr et al. 2021, arXiv 2101.04535, on trials other than those that chose the direction and the
threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from psasc_bench.evidence.bounds import (
    Floats,
    epsilon_gaussian,
    epsilon_one_run,
    epsilon_plain,
    error_bounds,
    gaussian_mu,
)
from psasc_bench.evidence.canaries import observe
from psasc_bench.methods import Method
from psasc_bench.privacy import LossDistribution

Score = Callable[[Floats], Floats]

THRESHOLDS = np.linspace(0, 1, 401)[1:-1]  # candidates, as quantiles of the scores


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The guarantee that accounting gives ``steps`` releases at ``noise_multiplier``, for every delta at once."""

    noise_multiplier: float
    sampling_rate: float
    steps: int

    @cached_property
    def _losses(self) -> LossDistribution:
        return LossDistribution(self.noise_multiplier, sampling_rate=self.sampling_rate, steps=self.steps)

    def epsilon(self, delta: float) -> float:
        """Epsilon at ``delta``, by dp-accounting's privacy loss distributions (an upper bound, discretised at 1e-3)."""
        return self._losses.epsilon(delta)

    @cached_property
    def _profile(self) -> tuple[Floats, Floats]:
        epsilons = np.linspace(0, 16, 161)
        return epsilons, self._losses.deltas(epsilons)

    def contradiction(self, false_positives: ArrayLike, false_negatives: ArrayLike) -> Floats:
        """By how much errors ``[n]`` as small as these go beyond the claim, ``[n]``: the maximum over epsilon of ``1 -
        FN - e^epsilon FP - delta(epsilon)``, and of the same with FP and FN exchanged. It is never > 0 for the true
        errors of a sound mechanism."""
        epsilons, deltas = self._profile
        fp, fn = (np.asarray(errors)[..., None] for errors in (false_positives, false_negatives))
        one, other = ((1 - b - np.exp(epsilons) * a - deltas).max(-1) for a, b in ((fp, fn), (fn, fp)))
        return np.asarray(np.maximum(one, other))


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was claimed and what was found. ``epsilon_claimed`` is the accountant's at ``delta``; ``epsilon_lower`` is
    what the attack proves at ``delta``; ``refuted``: the attack contradicts the claim at some delta, this one or
    another. Each of the two findings is right with probability ``confidence`` at least."""

    method: str
    epsilon_claimed: float
    epsilon_lower: float
    delta: float
    sampling_rate: float
    steps: int
    trials: int
    confidence: float
    refuted: bool


def audit(
    method: Method, claim: Claim, *, delta: float, trials: int = 20_000, confidence: float = 0.999, seed: int = 0
) -> Audit:
    """Attack ``method`` on the claimed schedule, with ``trials`` canaries in and as many out.

    ``epsilon_lower`` is that of the Gaussian mechanism without subsampling (tight, and right for Gaussian noise of any
    scale), else :func:`epsilon_plain`, which is right for any mechanism but stays below about ``log(trials / 16)``.
    Raises ``ValueError`` for a method of unbounded sensitivity.
    """
    included = np.arange(2 * trials) < trials
    observed = _observe(method, claim, included, seed=seed)
    refuted, lower = True, math.inf
    if np.isfinite(observed).all():
        refuted, lower = _attack(claim, observed, included, delta=delta, significance=1 - confidence)
    return Audit(
        method=method.title,
        epsilon_claimed=claim.epsilon(delta),
        epsilon_lower=lower,
        delta=delta,
        sampling_rate=claim.sampling_rate,
        steps=claim.steps,
        trials=trials,
        confidence=confidence,
        refuted=refuted,
    )


def _observe(method: Method, claim: Claim, included: NDArray[np.bool_], *, seed: int) -> Floats:
    return observe(
        method,
        included,
        noise_multiplier=claim.noise_multiplier,
        sampling_rate=claim.sampling_rate,
        steps=claim.steps,
        seed=seed,
    )


def _attack(
    claim: Claim, observed: Floats, included: NDArray[np.bool_], *, delta: float, significance: float
) -> tuple[bool, float]:
    """Whether the claim is refuted, and the lower bound on epsilon."""
    inside, outside = observed[included], observed[~included]
    half = len(inside) // 2
    # What a canary adds may be turned against its gradient: the half of the trials that chooses the threshold shows it.
    sign = 1 if inside[:half].mean() >= outside[:half].mean() else -1
    attacks = [(score(sign * inside), score(sign * outside)) for score in _scores(claim)]
    refuted = False
    for scores in attacks:  # Bonferroni: each may err with an equal share of the significance
        errors = _held_out_errors(*scores, claim.contradiction, significance=significance / len(attacks))
        refuted |= bool(claim.contradiction(*errors) > 0)
    if claim.sampling_rate == 1:
        mu = gaussian_mu(*_held_out_errors(*attacks[0], gaussian_mu, significance=significance))
        return refuted, epsilon_gaussian(float(mu), delta=delta)
    plain = partial(epsilon_plain, delta=delta)
    return refuted, float(plain(*_held_out_errors(*attacks[0], plain, significance=significance)))


def _scores(claim: Claim) -> list[Score]:
    """The attacks: the likelihood ratio is the best there is on the mechanism as claimed, the sum (all that the ratio
    looks at without subsampling) finds noise that does not average out."""
    q, variance = claim.sampling_rate, claim.noise_multiplier**2

    def signed_sum(observed: Floats) -> Floats:
        # rounded: noise that cancels leaves float32 dust, of which no threshold can be made
        return np.asarray(observed.sum(1).round(6))

    def likelihood_ratio(observed: Floats) -> Floats:
        return np.asarray(np.logaddexp(np.log1p(-q), np.log(q) + (2 * observed - 1) / (2 * variance)).sum(1))

    return [signed_sum] if q == 1 else [likelihood_ratio, signed_sum]


def _held_out_errors(
    inside: Floats, outside: Floats, worth: Callable[[Floats, Floats], Floats], *, significance: float
) -> tuple[float, float]:
    """Bounds on (FP, FN) from one half of the scores, at the threshold that was worth most on the other half."""
    half = len(inside) // 2
    candidates = np.quantile(np.concatenate([inside[:half], outside[:half]]), THRESHOLDS)
    worths = worth(*error_bounds(inside[:half], outside[:half], candidates, significance=significance))
    best = candidates[[worths.argmax()]]
    false_positives, false_negatives = error_bounds(inside[half:], outside[half:], best, significance=significance)
    return float(false_positives[0]), float(false_negatives[0])


def one_run_audit(
    method: Method,
    claim: Claim,
    *,
    delta: float,
    canaries: int = 1000,
    guesses: int = 100,
    confidence: float = 0.95,
    seed: int = 0,
) -> float:
    """The lower bound on epsilon from one run of the training step with ``canaries`` canaries, each in or out by the
    toss of a coin, when ``guesses`` are made, half of them "in". To be reported; nothing is decided by it."""
    included = np.random.default_rng(seed).random(canaries) < 0.5
    scores = _scores(claim)[0](_observe(method, claim, included, seed=seed))
    return one_run(
        scores,
        included,
        guesses_in=guesses // 2,
        guesses_out=guesses - guesses // 2,
        delta=delta,
        confidence=confidence,
    )


def one_run(
    scores: Floats,
    included: NDArray[np.bool_],
    *,
    guesses_in: int,
    guesses_out: int,
    delta: float,
    confidence: float = 0.95,
) -> float:
    """The lower bound on epsilon from one trained model, of whose canaries those ``included [m]`` by independent fair
    coins were trained on. ``scores [m]`` are higher for canaries that seem to have been (say, minus the loss): the
    ``guesses_in`` highest are guessed in, the ``guesses_out`` lowest out."""
    order = np.argsort(scores)
    correct = int(included[order[len(order) - guesses_in :]].sum() + (~included[order[:guesses_out]]).sum())
    return epsilon_one_run(correct, guesses_in + guesses_out, canaries=len(scores), delta=delta, confidence=confidence)
