"""The one-run audit of a model that was really trained, canaries and all. A bound to report; nothing is decided by
it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from psasc_bench import models
from psasc_bench.data import Dataset
from psasc_bench.engine import point_at
from psasc_bench.evidence.step_audit import one_run
from psasc_bench.privacy import calibrate
from psasc_bench.study import RunSpec
from psasc_bench.training import Examples, train

CLASSES_APART = 1  # a canary's label is moved on by this much: wrong, and learnt only from the canary itself


@dataclass(frozen=True)
class OneRunAudit:
    """With probability ``confidence`` the run is not (epsilon, delta)-DP for any epsilon below ``epsilon_lower``."""

    epsilon_claimed: float
    epsilon_lower: float
    delta: float
    canaries: int
    guesses: int
    confidence: float
    test_accuracy: float


def audit_run(
    spec: RunSpec,
    dataset: Dataset,
    *,
    canaries: int,
    guesses: int,
    confidence: float = 0.95,
    micro_batch_size: int,
    device: torch.device,
) -> OneRunAudit:
    """Train ``spec`` once with ``canaries`` mislabelled training examples, each left in or out by the toss of a coin,
    and guess from the trained model's losses on them which were in (Steinke et al. 2023, arXiv 2305.08846): the
    ``guesses`` / 2 lowest losses in, as many of the highest out.

    The sampling rate and the noise are those for the examples that the coins leave, a number taken to be public. Raises
    ``ValueError`` for fewer examples than canaries.
    """
    examples = len(dataset.y_train)
    if not 2 <= guesses <= canaries <= examples:
        raise ValueError(f"{guesses} guesses about {canaries} canaries among {examples} examples: each must be fewer")
    random = np.random.default_rng(spec.stream("canaries"))
    chosen = random.choice(examples, canaries, replace=False)
    included = random.random(canaries) < 0.5
    labels = dataset.y_train.copy()
    labels[chosen] = (labels[chosen] + CLASSES_APART) % (int(labels.max()) + 1)
    kept = np.setdiff1d(np.arange(examples), chosen[~included])
    trained_on = replace(dataset, x_train=dataset.x_train[kept], y_train=labels[kept])
    budget = calibrate(
        epsilon=spec.epsilon,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(len(kept)),
        steps=spec.epoch_ends(len(kept))[-1],
        accountant=spec.accountant,
    )
    outcome = train(spec, trained_on, budget, micro_batch_size=micro_batch_size, device=device)
    suspects = replace(dataset, x_test=dataset.x_train[chosen], y_test=labels[chosen])
    return OneRunAudit(
        epsilon_claimed=budget.epsilon_pld,
        epsilon_lower=one_run(
            -_losses(models.create(spec.model, trained_on, seed=0).to(device), outcome.parameters, suspects, device),
            included,
            guesses_in=guesses // 2,
            guesses_out=guesses - guesses // 2,
            delta=spec.delta,
            confidence=confidence,
        ),
        delta=spec.delta,
        canaries=canaries,
        guesses=guesses,
        confidence=confidence,
        test_accuracy=outcome.curve[-1]["test_accuracy"],
    )


@torch.no_grad()
def _losses(
    model: nn.Module, parameters: torch.Tensor, dataset: Dataset, device: torch.device
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    point_at(model.parameters(), parameters)
    images, labels = Examples(dataset, "test", device)[slice(None)]
    return F.cross_entropy(model(images), labels, reduction="none").double().cpu().numpy()
