"""Opacus' training scripts with our methods: the same steps as the suite's, in every mode, and paid for."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from opacus import PrivacyEngine
from opacus.schedulers import ExponentialGradClip, ExponentialNoise
from opacus.utils.batch_memory_manager import BatchMemoryManager
from scripts import BATCH, EXAMPLES, MODES, NOISE, PSASC, Script, by_the_suite, images, loader, network
from torch import nn
from torch.optim import LBFGS, SGD
from torch.utils.data import DataLoader, RandomSampler, SubsetRandomSampler

from psasc_bench import Method, calibrate, method
from psasc_bench.opacus import make_private, optimizers
from psasc_bench.privacy import poisson_batch

pytestmark = pytest.mark.filterwarnings("ignore:Secure RNG", "ignore:Full backward hook")


@pytest.mark.parametrize("mode", MODES)
def test_every_step_is_the_suites(mode: str) -> None:
    script, after = Script(mode), []
    for x, y, places in script.loader:
        script.step(x, y)
        script.batches.append(places)
        after.append(script.parameters)
    assert len(after) == EXAMPLES // BATCH
    for ours, suites in zip(after, by_the_suite(script.batches), strict=True):
        torch.testing.assert_close(ours, suites, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_batches_in_parts_are_the_same_steps(mode: str) -> None:
    whole, divided = Script(mode), Script(mode)
    whole.epoch()
    with BatchMemoryManager(
        data_loader=divided.loader, max_physical_batch_size=3, optimizer=divided.optimizer
    ) as in_parts:
        divided.epoch(in_parts)
    assert len(divided.batches) > len(whole.batches)
    torch.testing.assert_close(divided.parameters, whole.parameters, rtol=1e-5, atol=1e-5)
    assert divided.optimizer.privacy_engine.accountant.history == whole.optimizer.privacy_engine.accountant.history


@pytest.mark.parametrize("mode", MODES)
def test_budget_is_that_of_the_suites_calibration(mode: str) -> None:
    script = Script(mode, noise_multiplier=None, epsilon=3.0, delta=1e-5, epochs=2)
    for _ in range(2):
        script.epoch()
    rate, steps = BATCH / EXAMPLES, 2 * EXAMPLES // BATCH
    budget = calibrate(epsilon=3.0, delta=1e-5, sampling_rate=rate, steps=steps)
    accountant = script.optimizer.privacy_engine.accountant
    assert accountant.history == [(budget.noise_multiplier, rate, steps)]
    assert math.isclose(accountant.get_epsilon(1e-5), budget.epsilon_rdp, rel_tol=1e-12)
    assert budget.epsilon_rdp <= 3.0


def test_an_engine_of_ones_own_counts_the_steps() -> None:
    engine = PrivacyEngine(accountant="prv")
    script = Script(
        "psasc", noise_multiplier=None, epsilon=3.0, delta=1e-5, epochs=1, accountant="pld", privacy_engine=engine
    )
    assert script.optimizer.privacy_engine is engine
    assert engine.accountant.history == []
    script.epoch()
    assert engine.get_epsilon(1e-5) == pytest.approx(3, rel=0.01)


# Of all numbers of batches up to 300, those for which Opacus draws at one rate and accounts for another.
WRONG_IN_OPACUS = [count for count in range(1, 301) if int(1 / (1 / count)) != count]


def test_opacus_accounts_for_another_rate_than_it_draws_at() -> None:
    """If this fails, Opacus has mended it: say so in docs/opacus.md."""
    assert WRONG_IN_OPACUS[:3] == [93, 99, 105]
    model, data = network(), loader(images(93 * 2), batch_size=2)
    engine = PrivacyEngine(accountant="rdp")
    made = engine.make_private(
        module=model,
        optimizer=SGD(model.parameters(), lr=0.1),
        data_loader=data,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    _, optimizer, drawn = made
    optimizer.step_hook(type("Step", (), {"noise_multiplier": 1.0, "accumulated_iterations": 1}))
    assert drawn.batch_sampler.sample_rate == 1 / 93
    assert engine.accountant.history == [(1.0, 1 / 92, 1)]


@pytest.mark.parametrize("count", [1, 2, *WRONG_IN_OPACUS[::4]])
@pytest.mark.parametrize("more", [0, 1])
def test_the_rate_drawn_is_the_rate_accounted_for(count: int, more: int) -> None:
    """Also where the last of the loader's batches is smaller than the others."""
    examples = 2 * count + more
    data = loader(images(examples), batch_size=2)
    script = Script("psasc", data=data)
    x, y, _ = images(examples)[:2]
    script.step(x, y)
    ((_, accounted, _),) = script.optimizer.privacy_engine.accountant.history
    sampler = script.loader.batch_sampler
    assert sampler.sample_rate == accounted == 2 / examples
    assert script.optimizer.expected_batch_size == 2
    assert len(script.loader) == len(data) == sum(1 for _ in sampler)


@pytest.mark.parametrize("mode", MODES)
def test_empty_batches_are_noised_and_counted(mode: str) -> None:
    few = images(6)
    seed = next(s for s in range(99) if not len(poisson_batch(6, 1 / 6, torch.Generator().manual_seed(s))))
    script = Script(mode, data=loader(few, batch_size=1, seed=seed))
    with pytest.raises(RuntimeError, match="cannot reshape"):
        network()(few.tensors[0][:0])
    before = script.parameters
    moved = []
    for _ in range(4):
        for x, y, places in script.loader:
            script.step(x, y)
            script.batches.append(places)
            moved.append(float((script.parameters - before).norm()))
            before = script.parameters
    assert len(script.batches[0]) == 0
    assert sum(len(batch) == 0 for batch in script.batches) > 3
    assert min(moved) > 0
    assert script.optimizer.privacy_engine.accountant.history == [(NOISE, 1 / 6, 24)]


def noise_ratio(mode: str) -> float:
    """The standard deviation of the noise of an empty batch, to what is due."""
    model = nn.Linear(400, 250)
    script = Script(mode, model=model)
    script.step(torch.zeros(0, 400), torch.zeros(0, dtype=torch.long))
    found = torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
    return float(found.std()) * BATCH / (NOISE * PSASC.sensitivity())


@pytest.mark.parametrize("mode", MODES)
def test_noise_is_that_of_the_sensitivity(mode: str) -> None:
    assert noise_ratio(mode) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("mode", MODES)
def test_noise_against_the_threshold_is_seen(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: as if ``C`` were what ``max_grad_norm`` is."""
    by_threshold = property(lambda self: self.method.C, lambda *_: None)
    monkeypatch.setattr(optimizers._Weighted, "max_grad_norm", by_threshold)
    assert noise_ratio(mode) == pytest.approx(PSASC.C / PSASC.sensitivity(), abs=0.02)  # type: ignore[attr-defined]
    script = Script(mode)
    script.epoch()
    *_, suites = by_the_suite(script.batches)
    assert not torch.allclose(script.parameters, suites, atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_threshold_and_noise_follow_opacus_schedulers(mode: str) -> None:
    script = Script(mode)
    clip, noise = (
        ExponentialGradClip(script.optimizer, gamma=0.5),
        ExponentialNoise(script.optimizer, gamma=0.9),
    )
    script.epoch()
    first = script.batches
    clip.step()
    noise.step()
    assert script.optimizer.method == method("dp-psasc", C=0.25, s=2.0, r=0.1)
    assert script.optimizer.max_grad_norm == 0.125
    steps = EXAMPLES // BATCH
    x, y, _ = images().tensors
    script.optimizer.noise_multiplier = 0.0  # to see the weights alone
    script.step(x, y)
    total = torch.cat([p.grad.flatten() for p in script.model.parameters() if p.grad is not None]) * BATCH
    assert 0 < float(total.norm()) < EXAMPLES * 0.125
    assert len(first) == steps
    rate = BATCH / EXAMPLES
    assert script.optimizer.privacy_engine.accountant.history == [(NOISE, rate, steps), (0.0, rate, 1)]


@dataclass(frozen=True, kw_only=True)
class Rooted(Method):
    """``w(x) = C/(x + sqrt(C))``, of sensitivity ``C``, which at another ``C`` is another curve; and none at all from
    ``C`` = 8 on: a planted bug."""

    title = "rooted"
    C: float

    def weight(self, norm: torch.Tensor) -> torch.Tensor:
        return self.C / (norm + self.C**0.5) if self.C < 8 else torch.ones_like(norm)

    def sensitivity(self) -> float:
        return self.C


def test_a_scheduler_of_clipping_costs_no_battery_where_contributions_are_scaled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Method] = []
    monkeypatch.setattr(optimizers, "require_sound_instance", asked.append)
    for one in (
        PSASC,
        method("dp-sgd", C=0.5),
        method("auto-s", C=0.5),
        method("auto-v", C=0.5),
        method("sigmoid", C=0.5),
        method("dp-psac", C=0.5, r=0.1),
        method("nsgd", C=0.5, r=0.1),
    ):
        moved = one
        for factor in (0.9, 0.99, 1.5, 1e3):
            moved = optimizers.of_sensitivity(moved, factor * moved.sensitivity())
            assert moved.sensitivity() == pytest.approx(moved.C * one.sensitivity() / 0.5)  # type: ignore[attr-defined]
    assert not asked
    optimizers.of_sensitivity(Rooted(C=1.0), 2.0)
    assert asked == [Rooted(C=2.0)]


def test_a_method_that_is_unsound_where_a_scheduler_moves_it_is_refused() -> None:
    assert optimizers.of_sensitivity(Rooted(C=1.0), 2.0) == Rooted(C=2.0)
    with pytest.raises(ValueError, match="fails the battery"):
        optimizers.of_sensitivity(Rooted(C=2.0), 9.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_checkpoint_goes_on_with_the_same_bits(mode: str) -> None:
    def made() -> tuple[Script, Any, Any]:
        script = Script(mode)
        return script, ExponentialGradClip(script.optimizer, gamma=0.5), ExponentialNoise(script.optimizer, gamma=0.9)

    def epoch(script: Script, clip: Any, noise: Any) -> None:
        script.epoch()
        clip.step()
        noise.step()

    whole, file = made(), io.BytesIO()
    epoch(*whole)
    script, clip, noise = whole
    saved = {"optimizer": script.optimizer, "noise_scheduler": noise, "grad_clip_scheduler": clip}
    script.optimizer.privacy_engine.save_checkpoint(path=file, module=script.module, **saved)
    epoch(*whole)
    file.seek(0)
    script, clip, noise = resumed = made()
    with torch.no_grad():
        for parameter in script.model.parameters():
            parameter.zero_()
    saved = {"optimizer": script.optimizer, "noise_scheduler": noise, "grad_clip_scheduler": clip}
    script.optimizer.privacy_engine.load_checkpoint(path=file, module=script.module, **saved)
    epoch(*resumed)
    assert torch.equal(script.parameters, whole[0].parameters)
    history = [one.optimizer.privacy_engine.accountant.history for one in (script, whole[0])]
    assert history[0] == history[1]
    assert script.optimizer.method == whole[0].optimizer.method


@pytest.mark.parametrize("mode", ["psasc", "hooks"])
def test_a_gradient_that_is_not_finite_contributes_nothing(mode: str) -> None:
    x, y, _ = images(4).tensors
    bad = torch.cat([x, torch.full_like(x[:1], math.nan)])
    with_it, without = (Script(mode, noise_multiplier=1e-9) for _ in range(2))
    with_it.step(bad, torch.cat([y, y[:1]]))
    without.step(x, y)
    torch.testing.assert_close(with_it.parameters, without.parameters)


def test_a_model_that_gives_several_outputs_and_takes_keywords() -> None:
    """Of two heads, one of them unused in the loss, as the engine sees it and as Opacus does."""

    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(5)
            self.body, self.one, self.two = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(5, 4)

        def forward(self, *, x: torch.Tensor) -> dict[str, Any]:
            hidden = torch.tanh(self.body(x))
            return {"heads": (self.one(hidden), self.two(hidden)), "size": len(x)}

    found = []
    for mode in ("psasc", "hooks"):
        script = Script(mode, model=TwoHeads())
        x = torch.randn(5, 6, generator=torch.Generator().manual_seed(6))
        one, two = script.module(x=x)["heads"]
        nn.functional.cross_entropy(one + 2 * two, torch.arange(5) % 4).backward()
        script.optimizer.step()
        found.append(script.parameters)
    torch.testing.assert_close(*found)


def refused(error: type[Exception], match: str, **changed: Any) -> None:
    model = network()
    how: dict[str, Any] = {
        "module": model,
        "optimizer": SGD(model.parameters(), lr=0.1),
        "data_loader": loader(),
        "method": PSASC,
        "noise_multiplier": 1.0,
    }
    with pytest.raises(error, match=match) as raised:
        make_private(**how | changed)
    assert "\n" not in str(raised.value)


def test_methods_that_have_no_place_in_opacus_step() -> None:
    for one, why in (
        (method("quantile", C=0.5), "moves its settings"),
        (method("per-layer", C=0.5), "weighs layers apart"),
        (method("dp-psasc-inner", C=0.5, s=2.0, r=0.1), "averages gradients"),
        (method("nonprivate"), "no bound"),
    ):
        refused(ValueError, why, method=one)


def test_words_and_kinds_that_are_none() -> None:
    refused(TypeError, r"method: must be one with its settings.* got 'dp-sgd'", method="dp-sgd")
    refused(TypeError, "method: must be one with its settings", method=type(PSASC))
    refused(
        ValueError,
        "grad_sample_mode: must be one of psasc, hooks, ghost, got 'functorch'",
        grad_sample_mode="functorch",
    )
    refused(ValueError, "accountant: must be one of rdp, pld, got 'gdp'", accountant="gdp")
    refused(ValueError, "loss_reduction: must be one of mean, sum, got 'none'", loss_reduction="none")
    model = network()
    refused(ValueError, "LBFGS computes the loss several times", module=model, optimizer=LBFGS(model.parameters()))


@pytest.mark.filterwarnings("ignore:GDP accounting")
def test_an_accountant_whose_epsilon_is_no_bound() -> None:
    refused(ValueError, "gdp, gives no upper bound", privacy_engine=PrivacyEngine(accountant="gdp"))


def test_loaders_that_poisson_sampling_cannot_replace() -> None:
    half = SubsetRandomSampler(range(20))
    refused(ValueError, "SubsetRandomSampler", data_loader=DataLoader(images(), batch_size=4, sampler=half))
    refused(ValueError, "no batch_size", data_loader=DataLoader(images(), batch_size=None))
    refused(ValueError, "0 batches of 8 from 0 examples", data_loader=DataLoader(images(0), batch_size=8))
    refused(ValueError, "0 batches of 8 from 5", data_loader=DataLoader(images(5), batch_size=8, drop_last=True))
    for how in ({"num_samples": 100}, {"replacement": True}):
        sampler = RandomSampler(images(), **how)
        refused(ValueError, "its RandomSampler takes", data_loader=DataLoader(images(), batch_size=4, sampler=sampler))


def test_budgets_and_parameters_that_do_not_fit() -> None:
    refused(ValueError, "either noise_multiplier, or epsilon", epsilon=3.0)
    refused(ValueError, "either noise_multiplier, or epsilon", noise_multiplier=None, epsilon=3.0, delta=1e-5)
    refused(ValueError, "trainable parameters", optimizer=SGD(network().parameters(), lr=0.1))
    refused(ValueError, "ghost mode", grad_sample_mode="ghost")
    refused(TypeError, "mixes the examples", module=(norm := nn.BatchNorm1d(3)), optimizer=SGD(norm.parameters()))
    spent = PrivacyEngine(accountant="rdp")
    spent.accountant.step(noise_multiplier=1.0, sample_rate=0.1)
    of_budget = {"noise_multiplier": None, "epsilon": 3.0, "delta": 1e-5, "epochs": 1}
    refused(ValueError, "steps on its books", privacy_engine=spent, **of_budget)


def test_slips_of_a_script_are_told() -> None:
    script, (x, y, _) = Script("psasc"), images(4).tensors
    with pytest.raises(ValueError, match=r"call loss.backward\(\)"):
        script.optimizer.step()
    script.module(x)
    with pytest.raises(ValueError, match=r"call loss.backward\(\)"):
        script.optimizer.step()
    script.criterion(script.module(x), y).backward()
    with pytest.raises(ValueError, match="do not add up"):
        script.module(x)
    script.optimizer.step()
    script.criterion(script.module(x), y).backward()
    with pytest.raises(ValueError, match="zero_grad"):  # Opacus' own
        script.optimizer.step()
    script.optimizer.zero_grad()
    script.step(x, y)
    script.module.eval()
    script.module(x)
    script.module.train()
    script.step(x, y)


def test_a_loss_that_mixes_examples_is_refused() -> None:
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.linear(x)
            return out - out.mean(0)

    script = Script("psasc", model=Mixing())
    with pytest.raises(TypeError, match="mixes the examples of a batch"):
        script.step(torch.randn(4, 3), torch.tensor([0, 1, 0, 1]))
