"""An epoch that a script has left before its end, or in the middle of a batch or a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from opacus.utils.batch_memory_manager import BatchMemoryManager
from scripts import MODES, Script, images, loader
from torch import Tensor, nn

from psasc_bench import method

pytestmark = pytest.mark.filterwarnings("ignore:Secure RNG", "ignore:Full backward hook")

EXAMPLES, C = 32, 0.5


class Counting(Script):
    """Each example contributes exactly ``C``, in one direction: ``releases`` are how many were in each."""

    def __init__(self, mode: str) -> None:
        data = torch.utils.data.TensorDataset(torch.full((EXAMPLES, 1), 100.0), torch.zeros(EXAMPLES).long())
        how: dict[str, Any] = {"method": method("dp-sgd", C=C), "noise_multiplier": 1e-9}
        super().__init__(mode, model=nn.Linear(1, 2, bias=False), data=loader(data, batch_size=EXAMPLES), **how)
        self.releases: list[int] = []

    def step(self, x: Tensor, y: Tensor) -> None:
        nn.init.zeros_(self.model.weight)  # type: ignore[arg-type]
        super().step(x, y)
        if not self.optimizer._is_last_step_skipped:
            (parameter,) = self.model.parameters()
            assert parameter.grad is not None
            self.releases.append(round(float(parameter.grad.norm()) * EXAMPLES / C))

    def in_parts(self, *, leave_at: int | None = None) -> None:
        """An epoch of one batch of all examples, in four parts."""
        manager = BatchMemoryManager(data_loader=self.loader, max_physical_batch_size=8, optimizer=self.optimizer)
        with manager as parts:
            for place, (x, y) in enumerate(parts):
                if place == leave_at:
                    break
                self.step(x, y)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leave_at", [1, 2, 3])
def test_a_batch_left_in_the_middle_is_in_no_release(mode: str, leave_at: int) -> None:
    script = Counting(mode)
    script.in_parts(leave_at=leave_at)
    assert script.releases == []
    script.in_parts()
    script.in_parts()
    assert script.releases == [EXAMPLES, EXAMPLES]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("broken_off", ["forward", "loss", "backward"])
def test_a_script_goes_on_after_an_error_in_a_step(mode: str, broken_off: str) -> None:
    """The epoch after it is that of a script that has had none."""
    scripts = Script(mode), Script(mode)
    wrong, _ = scripts
    x, y, _ = images(3).tensors
    outputs = None if broken_off == "forward" else wrong.module(x)
    if broken_off == "forward":
        with pytest.raises(RuntimeError, match="shapes"):
            wrong.module(torch.zeros(3, 1, 9, 20))
    elif broken_off == "backward":
        wrong.criterion(outputs, y).backward()
    for script in scripts:
        script.epoch()
    assert torch.equal(scripts[0].parameters, scripts[1].parameters)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("frozen_first", [True, False])
def test_parameters_that_train_no_longer_or_newly_are_refused(mode: str, frozen_first: bool) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 4))
    model[1].requires_grad_(not frozen_first)
    script, (x, y, _) = Script(mode, model=model), images(3).tensors
    script.step(x, y)
    model[1].requires_grad_(frozen_first)
    script.module.eval()
    script.module(x)
    script.module.train()
    with pytest.raises(ValueError, match="parameters are trainable"):
        script.step(x, y)
