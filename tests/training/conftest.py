"""A run of the training loop, watched at the end of each epoch, and a long one for processes of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from processes import Run
from small_runs import CPU, MakeSpec, Train, budget_for
from torch import Tensor, nn

from psasc_bench.data import Dataset
from psasc_bench.study import RunSpec
from psasc_bench.training import loop as training
from psasc_bench.training.loop import Outcome


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train, and also give the parameters ``[P]`` at the end of each epoch, in the models' own order and layout."""

    def run(
        spec: RunSpec, dataset: Dataset, *, noise_multiplier: float = 1.0, micro_batch_size: int = 64
    ) -> tuple[Outcome, list[Tensor]]:
        iterates: list[Tensor] = []

        def watched(model: nn.Module, examples: training.Examples) -> tuple[dict[str, float], dict[str, Any]]:
            iterates.append(nn.utils.parameters_to_vector(p.contiguous() for p in model.parameters()).detach())
            return evaluate(model, examples)

        evaluate = training.evaluate
        with monkeypatch.context() as patch:
            patch.setattr(training, "evaluate", watched)
            budget = budget_for(spec, dataset, noise_multiplier=noise_multiplier)
            outcome = training.train(spec, dataset, budget, micro_batch_size=micro_batch_size, device=CPU)
        return outcome, iterates

    return run


@pytest.fixture(scope="session")
def long(digits_spec: MakeSpec, prepared: Path) -> Run:
    spec = digits_spec(method="nonprivate", parameters={}, epsilon=math.inf, epochs=10, learning_rate=0.1)
    return Run(spec, prepared)
