"""Private gradients of a model of somebody's own: the suite's releases, wherever the model stands, and no traps."""

from __future__ import annotations

import copy
import gc
import math
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import Method, PrivateGradient, method, poisson_batches
from psasc_bench.engine import gather
from psasc_bench.evidence import require_sound_instance
from psasc_bench.privacy import poisson_batch, privatise
from psasc_bench.training import Objective, advanced, release, step

PSASC = method("dp-psasc", C=0.5, s=2.0, r=0.1)  # whose sensitivity, 0.25, is not its C
INNER = method("dp-psasc-inner", C=0.5, s=2.0, r=0.1)
EXPECTED, NOISE, EXAMPLES = 8.0, 1.3, 24
DRAWS = torch.Generator().manual_seed(1)
X, Y = torch.randn(EXAMPLES, 1, 6, 6, generator=DRAWS), torch.randint(3, (EXAMPLES,), generator=DRAWS)
BATCHES = list(poisson_batches(EXAMPLES, EXPECTED / EXAMPLES, 4, torch.Generator().manual_seed(2)))


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3))


def private(model: nn.Module, how: Method = PSASC, noise_multiplier: float = NOISE) -> PrivateGradient:
    generator = torch.Generator().manual_seed(4)
    return PrivateGradient(
        model, how, noise_multiplier=noise_multiplier, expected_batch_size=EXPECTED, generator=generator
    )


def losses(model: nn.Module, batch: Tensor) -> Tensor:
    return F.cross_entropy(model(X[batch]), Y[batch], reduction="none")


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=0.05)


def flat(model: nn.Module) -> Tensor:
    return gather(model.parameters(), {p: p.detach() for p in model.parameters()})


def gradient(model: nn.Module) -> Tensor:
    return gather(model.parameters(), {p: p.grad for p in model.parameters() if p.grad is not None})


def trained(how: Method, *, size: int = 3) -> tuple[list[Tensor], PrivateGradient]:
    """What was released at each of four steps of Adam, in micro-batches."""
    model = network()
    gradients, optimiser, found = private(model, how), adam(model), []
    for batch in BATCHES:
        for part in batch.split(size):
            gradients.add(lambda part=part: losses(model, part)) if how.iterates > 1 else gradients.add(
                losses(model, part)
            )
        gradients.release()
        found.append(gradient(model))
        optimiser.step()
    return found, gradients


def by_the_suite(how: Method) -> tuple[list[Tensor], Method]:
    """The same by what training is made of."""
    model, noise, iterates, found = network(), torch.Generator().manual_seed(4), list[Tensor](), []
    objective = Objective(model, lambda batch: [lambda: losses(model, batch)])
    point = nn.Parameter(objective.parameters.clone())
    optimiser = torch.optim.Adam([point], lr=0.05)
    for batch in BATCHES:
        iterates = [*iterates, point.detach().clone()][-int(how.iterates) :]
        total = objective.gradient_sum(how, batch, micro_batch_size=EXAMPLES, iterates=iterates)
        released = release(
            total,
            how,
            noise_multiplier=NOISE,
            expected_batch_size=EXPECTED,
            generator=noise,
            statistic_generator=noise,
        )
        how, point.grad = advanced(how, released), released.gradient
        found.append(released.gradient)
        optimiser.step()
    return found, how


@pytest.mark.parametrize("how", [PSASC, INNER, method("per-layer", C=0.5), method("adasig", C=0.5)], ids=str)
def test_every_release_is_the_suites(how: Method) -> None:
    found, gradients = trained(how)
    expected, last = by_the_suite(how)
    for ours, suites in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, suites, rtol=1e-5, atol=1e-6)
    assert gradients.steps == len(BATCHES)
    assert type(gradients.method) is type(last)
    if how.title == "AdaSig":
        assert gradients.method != how


def test_micro_batches_make_no_difference() -> None:
    for one, other in zip(trained(PSASC)[0], trained(PSASC, size=EXAMPLES)[0], strict=True):
        torch.testing.assert_close(one, other)


def test_it_differentiates_where_the_model_stands() -> None:
    """Against plain autograd, before and after somebody has moved the parameters."""
    model = network()
    gradients = private(model, method("nonprivate"), noise_multiplier=0.0)
    batch = torch.arange(5)
    for _ in range(2):
        gradients.add(losses(model, batch))
        gradients.release()
        ours = gradient(model) * EXPECTED
        wanted = torch.autograd.grad(losses(model.eval(), batch).sum(), list(model.parameters()))
        torch.testing.assert_close(ours, gather(model.parameters(), dict(zip(model.parameters(), wanted, strict=True))))
        model.train()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.5)


def test_an_objective_without_iterates_differentiates_where_the_model_stands() -> None:
    model = network()
    objective = Objective(model, lambda batch: [lambda: losses(model, batch)])
    batch, moved = torch.arange(5), objective.parameters * 1.5
    at_start = objective.gradient_sum(PSASC, batch, micro_batch_size=5).total
    there = objective.gradient_sum(PSASC, batch, micro_batch_size=5, iterates=[moved]).total
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()  # no view of any buffer, as after a script's own step
    again = objective.gradient_sum(PSASC, batch, micro_batch_size=5).total
    assert torch.equal(again, there)
    assert not torch.allclose(at_start, there)


def test_frozen_parameters_have_no_part() -> None:
    model = network()
    model[0].requires_grad_(False)  # type: ignore[index]
    before = model[0].weight.clone()  # type: ignore[index]
    gradients = private(model)
    gradients.add(losses(model, torch.arange(5)))
    gradients.release()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    assert [p.grad is not None for p in model.parameters()] == [False, False, True, True, True, True]
    assert torch.equal(model[0].weight, before)  # type: ignore[index]


def noise_ratio(how: Method) -> float:
    """The standard deviation of the noise of an empty batch, to what is due."""
    model = nn.Linear(400, 250)
    gradients = private(model, how)
    gradients.release()
    assert gradients.steps == 1
    return float(gradient(model).std()) * EXPECTED / (NOISE * how.sensitivity())


def test_an_empty_batch_is_noise_of_the_sensitivity() -> None:
    assert noise_ratio(PSASC) == pytest.approx(1, abs=0.01)


def test_noise_against_the_threshold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "privatise", lambda total, **how: privatise(total, **how | {"sensitivity": PSASC.C}))  # type: ignore[attr-defined]
    assert noise_ratio(PSASC) == pytest.approx(2, abs=0.02)


def test_an_example_that_is_not_finite_contributes_nothing() -> None:
    found = []
    for bad in (False, True):
        model = network()
        gradients = private(model)
        x = torch.cat([X[:4], torch.full_like(X[:1], math.nan)]) if bad else X[:4]
        gradients.add(F.cross_entropy(model(x), Y[: len(x)], reduction="none"))
        gradients.release()
        found.append(gradient(model))
        assert gradients.nonprivate
        assert gradients.nonprivate.nonfinite == bad
    torch.testing.assert_close(*found)


def test_noise_cannot_be_foretold() -> None:
    """Without a generator, not even by who knows torch's seed."""
    found = []
    for _ in range(2):
        model = network()
        torch.manual_seed(0)
        PrivateGradient(model, PSASC, noise_multiplier=1.0, expected_batch_size=1).release()
        found.append(gradient(model))
    assert not torch.equal(*found)
    torch.manual_seed(0)
    one = torch.cat(list(poisson_batches(50, 0.5, 3)))
    torch.manual_seed(0)
    assert one.tolist() != torch.cat(list(poisson_batches(50, 0.5, 3))).tolist()


def test_the_scripts_own_generator_is_left_alone() -> None:
    model = network()
    torch.manual_seed(7)
    due = torch.rand(3)
    torch.manual_seed(7)
    require_sound_instance.cache_clear()
    gradients = PrivateGradient(model, PSASC, noise_multiplier=1.0, expected_batch_size=1)
    gradients.add(losses(model, torch.arange(3)))
    gradients.release()
    assert torch.equal(torch.rand(3), due)


def test_batches_are_those_of_the_accounted_rate() -> None:
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    drawn = list(poisson_batches(30, 0.1, 40, generators[0]))
    assert all(torch.equal(batch, poisson_batch(30, 0.1, generators[1])) for batch in drawn)
    assert len(drawn) == 40
    for examples, rate, steps in ((0, 0.1, 1), (9, 0.0, 1), (9, 1.1, 1), (9, 0.1, 0)):
        with pytest.raises(ValueError, match="must be at least 1"):
            poisson_batches(examples, rate, steps)


@pytest.mark.parametrize("how", [INNER, method("adasig", C=0.5)], ids=str)
def test_a_resumed_run_ends_with_the_same_bits(how: Method) -> None:
    def steps(model: nn.Module, gradients: PrivateGradient, batches: list[Tensor]) -> None:
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        for batch in batches:
            gradients.add(lambda batch=batch: losses(model, batch))
            gradients.release()
            optimiser.step()

    whole, halted = network(), network()
    steps(whole, private(whole, how), BATCHES)
    gradients = private(halted, how)
    steps(halted, gradients, BATCHES[:2])
    kept = copy.deepcopy((gradients.state_dict(), halted.state_dict()))
    resumed = network()
    gradients = private(resumed, how)
    gradients.release()
    gradients.load_state_dict(kept[0])
    resumed.load_state_dict(kept[1])
    steps(resumed, gradients, BATCHES[2:])
    assert torch.equal(flat(resumed), flat(whole))
    assert gradients.steps == len(BATCHES)
    gradients.add(lambda: losses(resumed, BATCHES[0]))
    with pytest.raises(RuntimeError, match="in the middle of a step"):
        gradients.state_dict()


def test_a_method_that_fails_the_battery_releases_nothing() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Understated(Method):
        title = "Understated"
        C: float = 1.0

        def weight(self, norm: Tensor) -> Tensor:
            return self.C / (norm + 0.01)

        def sensitivity(self) -> float:
            return 0.5 * self.C

    with pytest.raises(ValueError, match="fails the battery and is not trained: supremum is") as raised:
        private(network(), Understated())
    assert "\n" not in str(raised.value)


class Mixing(nn.Module):
    """Gives each example something of another."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        others = {"mean": out.mean(0), "before": out.roll(1, 0), "behind": out.roll(-1, 0)}
        return out + others[self.kind]


@pytest.mark.parametrize("kind", ["mean", "before", "behind"])
def test_a_model_that_mixes_examples_is_refused(kind: str) -> None:
    model = Mixing(kind)
    gradients = private(model)
    with pytest.raises(TypeError, match="mixes the examples of a batch"):
        gradients.add(losses(model, torch.arange(5)))
    assert not gradients.steps


def test_a_loss_that_mixes_examples_is_refused() -> None:
    model = network()
    gradients = private(model)
    each = losses(model, torch.arange(5))
    with pytest.raises(TypeError, match="mixes the examples of a batch"):
        gradients.add(each / each.sum())


def test_models_without_gradients_of_single_examples_are_refused() -> None:
    with pytest.raises(TypeError, match="mixes the examples"):
        private(nn.Sequential(nn.Linear(36, 3), nn.BatchNorm1d(3)))
    with pytest.raises(TypeError, match="running statistics"):
        private(nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2, track_running_stats=True)))
    with pytest.raises(ValueError, match=r"found torch\.float32 on cpu, torch\.float64 on cpu"):
        private(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).double()))
    with pytest.raises(ValueError, match="has no trainable parameter"):
        private(nn.Flatten())


def test_slips_of_a_script_are_told_and_add_nothing() -> None:
    model = network()
    gradients = private(model)
    batch = torch.arange(5)
    with pytest.raises(ValueError, match="reduction='none'"):
        gradients.add(losses(model, batch).mean())
    with pytest.raises(RuntimeError, match=r"call model.train\(\)"):
        gradients.add(losses(model.eval(), batch))
    with torch.no_grad(), pytest.raises(RuntimeError, match="have no gradient"):
        gradients.add(losses(model.train(), batch))
    with pytest.raises(ValueError, match="there are 1 losses, and the model was given"):
        gradients.add(losses(model, batch).mean()[None])
    each = losses(model, batch)
    gradients.add(each)
    with pytest.raises(RuntimeError, match="add those of each pass once"):
        gradients.add(each)
    gradients.add(losses(model, batch[:0]))
    gradients.release()
    assert gradients.nonprivate
    assert len(gradients.nonprivate.norms) == 5
    with pytest.raises(ValueError, match="give add\\(\\) a function"):
        private(model, INNER).add(losses(model, batch))
    for noise, size in ((-1.0, 1.0), (1.0, 0.0)):
        with pytest.raises(ValueError, match=r"must be (a finite number, 0 or )?above"):
            PrivateGradient(model, PSASC, noise_multiplier=noise, expected_batch_size=size)
    with pytest.raises(ValueError, match="no noise gives privacy"):
        private(model, method("nonprivate"))


def test_a_pass_whose_losses_are_not_added_adds_nothing() -> None:
    found = []
    for look in (False, True):
        model = network()
        gradients = private(model)
        if look:
            losses(model, torch.arange(3))
        gradients.add(losses(model, torch.arange(5)))
        gradients.release()
        assert gradients.nonprivate
        found.append(gradients.nonprivate.total)
    assert torch.equal(*found)


def test_a_copy_of_the_model_and_a_second_gradient_are_no_burden() -> None:
    """Such as an average of the weights, and a cell of a notebook that is run again."""
    model = network()
    first = private(model)
    losses(copy.deepcopy(model), torch.arange(5))
    first.add(losses(model, torch.arange(5)))
    del first
    gc.collect()
    second = private(model)
    second.add(losses(model, torch.arange(5)))
    second.release()
    assert second.steps == 1


def test_parameters_stay_where_they_are() -> None:
    model = network()
    where = [p.data_ptr() for p in model.parameters()]
    before = flat(model)
    gradients = private(model, INNER)
    for _ in range(3):
        gradients.add(lambda: losses(model, torch.arange(5)))
        gradients.release()
    with pytest.raises(ZeroDivisionError):
        gradients.add(lambda: losses(model, torch.arange(1 // 0)))
    assert [p.data_ptr() for p in model.parameters()] == where
    assert torch.equal(flat(model), before)


def test_losses_of_tokens_are_not_taken_for_those_of_examples() -> None:
    """One example would move the sum by many times the sensitivity."""
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(4, 7, 6)
    gradients = private(model)
    with pytest.raises(ValueError, match=r"there are 7 losses, and the model was given \[4, 7, 6\]: each example must"):
        gradients.add(model(x).square().sum(2).mean(0))
    gradients.add(model(x).square().sum(2).mean(1))
    with pytest.raises(ValueError, match=r"dimension 1 of a tensor given \(batch_dim\)"):
        PrivateGradient(model, PSASC, noise_multiplier=NOISE, expected_batch_size=EXPECTED, batch_dim=1).add(
            model(x).square().sum(2).mean(1)
        )
    by_time = PrivateGradient(model, PSASC, noise_multiplier=NOISE, expected_batch_size=EXPECTED, batch_dim=1)
    by_time.add(model(x).square().sum(2).mean(0))


def test_a_state_of_another_run_is_refused() -> None:
    """Its steps would be on the books at another price."""
    first = private(network())
    first.release()
    state = first.state_dict()
    others = {
        "noise_multiplier": private(network(), noise_multiplier=5.0),
        "method": private(network(), method("dp-sgd", C=0.25)),
        "expected_batch_size": PrivateGradient(network(), PSASC, noise_multiplier=NOISE, expected_batch_size=9),
        "shapes": private(nn.Linear(3, 3)),
    }
    for what, other in others.items():
        with pytest.raises(ValueError, match=f"the state is of a run with another {what}: "):
            other.load_state_dict(state)
    again = private(network())
    again.load_state_dict(state)
    assert again.steps == 1


def test_a_private_gradient_is_not_copied() -> None:
    """Two would draw the same noise, whose difference is none."""
    with pytest.raises(TypeError, match="its copy would draw the same noise"):
        copy.deepcopy(private(network()))


def test_points_of_inner_momentum_are_of_the_same_examples() -> None:
    model = network()
    gradients = private(model, INNER)
    gradients.release()
    for sizes in ((3, 0), (3, 2)):
        sides = iter(sizes)
        with pytest.raises(ValueError, match=r"losses: they must be of the same examples"):
            gradients.add(lambda sides=sides: losses(model, torch.arange(next(sides))))
    gradients.add(lambda: losses(model, torch.arange(2)))
    gradients.release()
    assert gradients.nonprivate
    alone = private(model)
    alone.add(losses(model, torch.arange(2)))
    alone.release()
    assert alone.nonprivate
    torch.testing.assert_close(gradients.nonprivate.norms, alone.nonprivate.norms)


def test_a_forgotten_release_is_told() -> None:
    model = network()
    gradients = private(model)
    for _ in range(7):
        gradients.add(losses(model, torch.arange(8)))
    with pytest.raises(ValueError, match=r"64 examples have been added since the last release, where 8 are expected"):
        gradients.add(losses(model, torch.arange(8)))
    gradients.release()
    gradients.add(losses(model, torch.arange(24)))


def test_parameters_that_are_unfrozen_later_are_told() -> None:
    model = network()
    model[0].requires_grad_(requires_grad=False)  # type: ignore[index]
    gradients = private(model)
    gradients.add(losses(model, torch.arange(3)))
    model[0].requires_grad_(requires_grad=True)  # type: ignore[index]
    with pytest.raises(ValueError, match="other parameters are trainable than at first"):
        gradients.add(losses(model, torch.arange(3)))


def test_slips_of_construction_are_told_in_a_line() -> None:
    model = network()
    settings = {"noise_multiplier": NOISE, "expected_batch_size": EXPECTED}
    for wrong in ("dp-sgd", type(PSASC)):
        with pytest.raises(TypeError, match="must be a method with its settings"):
            PrivateGradient(model, wrong, **settings)  # type: ignore[arg-type]
    for name, value in (("noise_multiplier", "1"), ("expected_batch_size", math.inf), ("noise_multiplier", math.nan)):
        with pytest.raises(ValueError, match=f"{name} must be a finite number"):
            PrivateGradient(model, PSASC, **{**settings, name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no shape yet: run the model once before"):
        private(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ValueError, match="got list"):
        private(model).add([1.0, 2.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got NoneType"):
        private(model).add(lambda: None)  # type: ignore[arg-type,return-value]


def test_the_battery_leaves_the_threads_of_the_script_as_they_were() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        require_sound_instance(method("dp-psasc", C=0.3, s=2.0, r=0.1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_model_that_standardises_over_its_batch_is_refused() -> None:
    """No gradient goes from one example to another, and yet one moves what the others contribute."""

    class Standardised(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward((x - x.mean(0)) / (x.std(0, correction=0) + 1))

    model = Standardised(6, 3)
    gradients = private(model)
    with pytest.raises(TypeError, match="mixes the examples of a batch: an example alone has other outputs"):
        gradients.add(model(torch.randn(8, 6)).square().sum(1))


def test_sequences_may_lie_behind_time() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0)
    x = torch.randn(7, 4, 6)
    with pytest.raises(TypeError, match=r"examples lie along dimension 0 of what the model is given \(batch_dim\)"):
        private(model).add(model(x).square().sum((0, 2)))
    gradients = PrivateGradient(model, PSASC, noise_multiplier=NOISE, expected_batch_size=EXPECTED, batch_dim=1)
    gradients.add(model(x).square().sum((0, 2)))
    gradients.release()
    assert gradients.nonprivate
    assert len(gradients.nonprivate.norms) == 4
