"""Runs whose settings move with what is released: quantile clipping against a plain loop, and the other rules by
hand."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from small_runs import CPU, MakeSpec, budget_for, first, initial, pixels

from psasc_bench import methods
from psasc_bench.data import Dataset
from psasc_bench.engine import flatten, gather, point_at
from psasc_bench.methods import Adaptive
from psasc_bench.privacy import poisson_batch
from psasc_bench.training.loop import train

NOISE = 1.5
NEW = ("adasig", "auto-v", "bounded-quantile", "dc-sgd-p", "per-layer", "quantile", "sigmoid")


def advanced(name: str, released: list[float], **given: float) -> float:
    """The state after one release."""
    method = methods.create(name, given)
    assert isinstance(method, Adaptive)
    (found,) = methods.state_of(method.advance(torch.tensor(released))).values()
    return found


def test_quantile_clipping_is_a_plain_loop_with_the_same_noise(digits: Dataset, digits_spec: MakeSpec) -> None:
    """Of Andrew et al. 2021, algorithm 1, one example after the other."""
    eta, gamma, batch_size, examples = 0.2, 0.5, 40, 120
    spec = digits_spec(
        method="quantile", parameters={"C": 0.3}, expected_batch_size=batch_size, epochs=6, learning_rate=0.2
    )
    dataset = first(digits, examples)
    images, labels = pixels(dataset)
    model = initial(spec)
    theta = flatten(model)
    velocity, parameters = torch.zeros_like(theta), list(model.parameters())
    sampling, noise, count_noise = (
        torch.Generator().manual_seed(spec.stream(axis)) for axis in ("sampling", "noise", "statistic")
    )
    sigma_b = batch_size / 20
    sigma = (NOISE**-2 - (2 * sigma_b) ** -2) ** -0.5
    C, path = 0.3, []
    for step in range(1, 19):
        total, below = torch.zeros_like(theta), 0.0
        for i in poisson_batch(examples, batch_size / examples, sampling).tolist():
            point_at(parameters, theta)
            loss = F.cross_entropy(model(images[[i]]), labels[[i]])
            gradients = dict(zip(parameters, torch.autograd.grad(loss, parameters), strict=True))
            g = gather(parameters, gradients)
            below += (1.0 if g.norm() <= C else 0.0) - 0.5
            total += min(1.0, C / float(g.norm())) * g
        gradient = (total + sigma * C * torch.randn(total.shape, generator=noise)) / batch_size
        velocity = 0.9 * velocity + gradient
        theta = theta - 0.2 * velocity
        share = (below + sigma_b * float(torch.randn(1, generator=count_noise))) / batch_size + 0.5
        C *= math.exp(-eta * (share - gamma))
        if step % 3 == 0:
            path.append(C)
    budget = budget_for(spec, dataset, noise_multiplier=NOISE)
    for size in (7, 120):
        outcome = train(spec, dataset, budget, micro_batch_size=size, device=CPU)
        assert [row["state_C"] for row in outcome.curve] == pytest.approx(path, rel=1e-6)
        torch.testing.assert_close(outcome.parameters, theta, rtol=1e-3, atol=1e-4)


def test_noise_of_the_gradient_is_that_of_other_methods(digits: Dataset, digits_spec: MakeSpec) -> None:
    """A statistic that is released draws nothing of theirs: at a threshold that stays, and is never reached, quantile
    clipping moves as DP-SGD does, but for noise that is larger by the share of the statistic."""
    runs = []
    for name, given, noise in (("dp-sgd", {}, 1.0), ("quantile", {"eta": 1e-30}, (1 + 25.6**-2) ** -0.5)):
        spec = digits_spec(method=name, parameters={"C": 1e3, **given}, learning_rate=1e-4)
        budget = budget_for(spec, digits, noise_multiplier=noise)
        runs.append(train(spec, digits, budget, micro_batch_size=320, device=CPU).parameters)
    torch.testing.assert_close(runs[0], runs[1], rtol=1e-5, atol=1e-6)


LATE = """
from dataclasses import dataclass, replace
from psasc_bench.methods.base import Tensor
from psasc_bench.methods.quantile import Quantile

@dataclass(frozen=True, kw_only=True)
class Late(Quantile):
    title = "late"
    state = ("C", "age")
    age: float = 1.0

    def weight(self, norm: Tensor) -> Tensor:
        return {weight}super().weight(norm)

    def statistic(self, norms: Tensor) -> Tensor:
        return {statistic}super().statistic(norms)

    def advance(self, released: Tensor):
        return replace(super().advance(released), age=self.age + 1)
"""


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ({"weight": "(2 if self.age > 3 else 1) * ", "statistic": ""}, "weighted gradient"),
        ({"weight": "", "statistic": "(5 if self.age > 3 else 1) * "}, "statistic"),
    ],
)
def test_run_ends_where_its_settings_come_to_break_their_claim(
    planted: dict[str, str], what: str, digits: Dataset, digits_spec: MakeSpec, tmp_path: Path
) -> None:
    """The bug planted shows only after three steps, and after forty it might be any other."""
    path = tmp_path / "late.py"
    path.write_text(LATE.format(**planted), encoding="utf-8")
    spec = digits_spec(method=str(path), parameters={"C": 1e-3})
    outcome = train(spec, digits, budget_for(spec, digits), micro_batch_size=320, device=CPU)
    assert outcome.status == "failed"
    told = f"ValueError after step 3: late: at the settings it has come to, an example's {what} is "
    assert str(outcome.reason).startswith(told)


def test_bounded_quantile_clipping_stops_at_its_bound() -> None:
    assert advanced("bounded-quantile", [0.5], C=1.0, lowest=0.5) == pytest.approx(math.exp(-0.1))
    assert advanced("bounded-quantile", [0.5], C=0.51, lowest=0.5) == 0.5


def test_adasig_steepens_where_the_gain_is_above_its_threshold() -> None:
    assert advanced("adasig", [0.41], C=0.1) == pytest.approx(math.exp(0.01))
    assert advanced("adasig", [0.39], C=0.1) == pytest.approx(math.exp(-0.01))


def test_adasigs_statistic_is_the_derivative_of_its_weight() -> None:
    norms, step = torch.logspace(-3, 2, 50, dtype=torch.float64), 1e-6
    low, high = (methods.create("sigmoid", {"C": 1.0, "alpha": 2 + d}).weight(norms) * norms for d in (-step, step))
    method = methods.create("adasig", {"C": 1.0, "alpha": 2.0})
    assert isinstance(method, Adaptive)
    torch.testing.assert_close(method.statistic(norms)[:, 0], (high - low) / (2 * step), rtol=1e-6, atol=1e-9)


def test_dc_sgd_p_clips_at_the_percentile_of_its_histogram() -> None:
    method = methods.create("dc-sgd-p", {"C": 0.1, "percentile": 0.7})
    assert isinstance(method, Adaptive)
    norms = torch.tensor([0.0, 0.5, 0.51, 3.2, 9.9, 1e6])
    assert method.statistic(norms).argmax(1).tolist() == [0, 0, 1, 6, 19, 19]
    assert method.statistic(norms).sum(1).tolist() == [1] * 6
    released = method.statistic(norms).sum(0) / 6
    assert methods.state_of(method.advance(released)) == {"C": 10.0}  # 4 of 6, less than .7, are in the bins up to 3.5
    assert methods.state_of(replace(method, percentile=0.6).advance(released)) == {"C": 3.5}


def test_histogram_of_nothing_but_negative_noise_is_survived() -> None:
    assert advanced("dc-sgd-p", [-0.1] * 20, C=0.1) == 0.5


def test_batch_too_small_for_the_statistic_is_refused_before_a_step(digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec(method="quantile", parameters={"C": 0.3}, expected_batch_size=10)
    with pytest.raises(ValueError, match="quantile clipping: the statistic's noise multiplier is 1; it must be above"):
        train(spec, digits, budget_for(spec, digits, noise_multiplier=NOISE), micro_batch_size=64, device=CPU)


@pytest.mark.parametrize("name", NEW)
def test_method_is_a_file_of_forty_lines_of_code_at_most(name: str) -> None:
    path = Path(methods.__file__).with_name(f"{name.replace('-', '_')}.py")
    code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
    assert len([line for line in code.splitlines() if line.strip()]) <= 40


@pytest.mark.parametrize("name", NEW)
def test_docstring_has_formula_supremum_and_source(name: str) -> None:
    text = methods.load(name).__doc__ or ""
    assert all(said in text for said in ("w(x)", "supremum", "arXiv"))
