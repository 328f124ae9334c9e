"""Models whose outputs are other than one tensor of one row for each example."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scripts import MODES, PSASC, Script
from torch import Tensor, nn

from psasc_bench.models import examples_apart

pytestmark = pytest.mark.filterwarnings("ignore:Secure RNG", "ignore:Full backward hook")


def made_of(forward: Callable[..., Any], **layers: nn.Module) -> nn.Module:
    model: nn.Module = type("Model", (nn.Module,), {"forward": forward})()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def step(script: Script, x: Tensor, loss: Callable[[Any], Tensor]) -> None:
    script.optimizer.zero_grad()
    loss(script.module(x)).backward()
    script.optimizer.step()


def recurrent() -> nn.Module:
    def forward(self: Any, x: Tensor) -> Any:
        outputs, states = self.recurrent(x)
        return self.head(outputs[:, -1]), states

    return made_of(forward, recurrent=nn.LSTM(3, 5, num_layers=2, batch_first=True), head=nn.Linear(5, 4))


def test_states_that_are_not_in_the_loss_are_left_alone() -> None:
    script = Script("psasc", model=recurrent())
    before = script.parameters
    step(script, torch.randn(3, 6, 3), lambda outputs: F.cross_entropy(outputs[0], torch.tensor([0, 1, 2])))
    assert float((script.parameters - before).norm()) > 0


def test_outputs_in_the_loss_have_a_row_for_each_example() -> None:
    script = Script("psasc", model=recurrent())
    with pytest.raises(ValueError, match=r"inputs \[3, 6, 3\] it gives \[2, 3, 5\]") as raised:
        step(script, torch.randn(3, 6, 3), lambda outputs: outputs[0].sum() + outputs[1][0].sum())
    assert "\n" not in str(raised.value)
    flat = Script("psasc", model=made_of(lambda self, x: self.head(x.flatten(0, 1)), head=nn.Linear(3, 4)))
    with pytest.raises(ValueError, match=r"inputs \[3, 6, 3\] it gives \[18, 4\]"):
        step(flat, torch.randn(3, 6, 3), lambda outputs: F.cross_entropy(outputs, torch.zeros(18).long()))
    mean = Script("psasc", model=made_of(lambda self, x: self.head(x).sum(), head=nn.Linear(3, 4)))
    with pytest.raises((ValueError, TypeError), match="model: "):
        step(mean, torch.randn(3, 3), lambda outputs: outputs)


def test_outputs_that_are_found_in_no_tuple_list_or_dict_are_told() -> None:
    @dataclass
    class Outputs:
        logits: Tensor

    script = Script("psasc", model=made_of(lambda self, x: Outputs(self.head(x)), head=nn.Linear(3, 4)))
    with pytest.raises(ValueError, match="gives Outputs, in which there is no tensor"):
        script.module(torch.randn(3, 3))


def test_outputs_may_be_changed_in_place() -> None:
    x, after = torch.randn(5, 3), []
    for change in (torch.relu_, torch.relu):
        torch.manual_seed(1)
        script = Script("psasc", model=nn.Linear(3, 4))
        step(script, x, lambda outputs: change(outputs).square().mean(0).sum())  # noqa: B023
        after.append(script.parameters)
    assert torch.equal(*after)


@pytest.mark.parametrize("mode", MODES[:2])
def test_a_parameter_may_be_a_number(mode: str) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

    model = nn.Sequential(nn.Linear(3, 4), Scale())
    nn.init.constant_(model[0].weight, 0.1)  # type: ignore[arg-type]
    nn.init.zeros_(model[0].bias)  # type: ignore[arg-type]
    script, x = Script(mode, model=model, noise_multiplier=1e-9), torch.ones(5, 3)
    before = script.parameters
    step(script, x, lambda outputs: F.cross_entropy(outputs, torch.zeros(5).long()))
    assert float((script.parameters - before).norm()) > 0


def test_a_copy_has_books_of_its_own() -> None:
    """And trains nothing of the original."""
    x = torch.randn(5, 3)
    script = Script("psasc", model=nn.Linear(3, 4))
    script.step(x, torch.zeros(5).long())
    twin, file = copy.deepcopy(script.module), io.BytesIO()
    torch.save(twin, file)
    file.seek(0)
    for one in (twin, torch.load(file, weights_only=False)):
        assert torch.equal(one(x), script.module(x))
        assert one.state_dict().keys() == script.module.state_dict().keys()
        assert not {*map(id, one.parameters())} & {*map(id, script.module.parameters())}
        one(x).square().sum().backward()
        assert one.weighted_sum(PSASC).norms.shape == (5,)
        one.eval()
    script.optimizer.zero_grad()
    script.step(x, torch.zeros(5).long())
    assert not torch.equal(twin(x), script.module(x))


def standardised(x: Tensor) -> Tensor:
    with torch.no_grad():
        return (x - x.mean(0)) / (x.std(0, correction=0) + 1e-5)


MIXING: dict[str, Callable[[Tensor], Tensor]] = {
    "standardised": standardised,
    "less the first": lambda x: x - x[:1].detach(),
    "less the last": lambda x: x - x[-1:].detach(),
    "rolled": lambda x: x.roll(1, 0),
    "summed up": lambda x: x.cumsum(0),
}


@pytest.mark.parametrize("how", MIXING)
def test_a_model_that_mixes_its_inputs_is_refused(how: str) -> None:
    model = made_of(lambda self, x: self.head(MIXING[how](x)), head=nn.Linear(3, 4))
    script, x = Script("psasc", model=model), torch.randn(5, 3)
    step(script, x[:1], lambda outputs: outputs.square().sum())  # of which nothing can be told
    with pytest.raises(TypeError, match="mixes the examples") as raised:
        step(script, x, lambda outputs: outputs.square().sum())
    assert "\n" not in str(raised.value)


def test_mixing_that_a_first_batch_does_not_show_is_seen_in_a_later_one() -> None:
    """Behind a last layer of zeros, as many networks begin with."""
    model = made_of(lambda self, x: self.head(standardised(x)), head=nn.Linear(3, 4))
    nn.init.zeros_(model.head.weight)  # type: ignore[arg-type, union-attr]
    script, x = Script("psasc", model=model), torch.randn(5, 3)
    step(script, x, lambda outputs: outputs.sum())
    with pytest.raises(TypeError, match="mixes the examples"):
        step(script, x, lambda outputs: outputs.sum())


def test_examples_are_apart_in_whatever_dimension_and_form() -> None:
    x, recurrent = torch.randn(6, 5, 3), nn.Sequential(nn.Dropout(0.5), nn.GRU(3, 4))
    draws = torch.get_rng_state()
    assert examples_apart(recurrent, (x,), {}, batch_dim=1) is True
    assert examples_apart(recurrent, (x,), {}) is False  # dimension 0 is time's
    assert all(module.training for module in recurrent.modules())
    assert torch.equal(torch.get_rng_state(), draws)
    pairs = made_of(lambda self, x, *, of: {"out": self.head(x["x"]) * of, "size": 1}, head=nn.Linear(3, 4))
    assert examples_apart(pairs, ({"x": x[:, 0]},), {"of": torch.randn(6, 1)}) is True
    assert examples_apart(pairs, ({"x": x[:1, 0]},), {"of": torch.randn(1, 1)}) is None
    drawing = made_of(lambda self, x: self.head(x + torch.randn_like(x)), head=nn.Linear(3, 4))
    assert examples_apart(drawing, (x[:, 0],), {}) is True
    together = made_of(lambda self, x: self.head(x.reshape(3, 6)), head=nn.Linear(6, 4))
    assert examples_apart(together, (x[:, 0],), {}) is False
    x = x.relu()
    before = x.clone()
    assert examples_apart(nn.Sequential(nn.ELU(inplace=True), nn.Linear(3, 2)), (x,), {}) is True
    assert torch.equal(x, before)
