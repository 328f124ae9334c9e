"""What is measured while a run goes on: closed forms on chosen gradients."""

from __future__ import annotations

import dataclasses
import functools
import math

import pytest
import torch
from small_runs import CLIP, PLAIN, PSASC
from torch import Tensor

from psasc_bench import methods
from psasc_bench.evidence.worst_cases import networks, vectors
from psasc_bench.methods import Method
from psasc_bench.methods.dp_sgd import DPSGD
from psasc_bench.privacy import poisson_batch, privatise
from psasc_bench.training.diagnostics import Deviation, Diagnostics, deviations
from psasc_bench.training.step import GradientSum, Objective, release

NOISE_ONLY = methods.create("noise-only", {"C": 0.1})


def deviation_of(method: Method, gradients: list[list[float]], *, micro_batch_size: int = 8) -> Deviation:
    objective = vectors(torch.tensor(gradients, dtype=torch.float64))
    batch = torch.arange(len(gradients))
    at = [objective.parameters]
    return deviations(objective, [method], batch, iterates=at, micro_batch_size=micro_batch_size)[0]


def quadratic() -> Objective:
    """Of two examples, ``loss_i = theta_i^2 / 2``."""
    objective = vectors(torch.eye(2, dtype=torch.float64))
    linear = objective.losses
    objective.losses = lambda indices: [lambda: linear(indices)[0]().square() / 2]
    return objective


# ------------------------------------------------------------------------------------------------ deviations


@pytest.mark.parametrize("micro_batch_size", [1, 2, 8])
def test_clipping_one_of_two_orthogonal_gradients_turns_the_mean(micro_batch_size: int) -> None:
    """(3, 0) is clipped to (1, 0), (0, 1) is left: cosine (3 + 1)/sqrt(20); weights 1/3 and 1 have mean 2/3, so that
    the normalised mean is (3/4, 3/4) against (3/2, 1/2)."""
    found = deviation_of(CLIP, [[3.0, 0.0], [0.0, 1.0]], micro_batch_size=micro_batch_size)
    assert found.cosine == pytest.approx(4 / math.sqrt(20))
    assert found.relative_error == pytest.approx(math.hypot(3 / 4, -1 / 4) / math.hypot(3 / 2, 1 / 2))


def test_relative_error_sees_what_the_cosine_does_not() -> None:
    """Parallel gradients of lengths 3 and 1: the direction is right, the long one counts for a quarter of its due."""
    found = deviation_of(CLIP, [[3.0, 0.0], [1.0, 0.0]])
    assert found.cosine == pytest.approx(1)
    assert found.relative_error == pytest.approx(1 - (3 * 1 / 3 + 1) / (4 / 3) / 2)


def test_equal_weights_deviate_by_nothing() -> None:
    below_the_threshold = [[0.5, 0.0], [0.0, 0.25], [-0.125, 0.5]]
    for method, gradients in ((CLIP, below_the_threshold), (PLAIN, [[3.0, 1.0], [0.0, 7.0]])):
        found = deviation_of(method, gradients)
        assert found.cosine == pytest.approx(1)
        assert found.relative_error == pytest.approx(0, abs=1e-15)


def test_threshold_is_a_matter_of_units() -> None:
    gradients = [[3.0, 0.0], [0.0, 0.01], [0.2, 0.2]]
    one, other = (deviation_of(methods.create("auto-s", {"C": C}), gradients) for C in (0.1, 7.0))
    assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(other))


def test_weight_gone_to_vanishing_gradients_is_an_error_of_nearly_one() -> None:
    """One gradient that matters and nine that do not: Auto-S gives these a hundred times the weight."""
    found = deviation_of(methods.create("auto-s", {"C": 1.0}), [[1.0, 0.0], *[[0.0, 1e-6]] * 9])
    assert found.relative_error > 0.98


def test_opposite_mean_has_cosine_minus_one() -> None:
    """Clipping 3 to 1 lets the other two of -1 win."""
    assert deviation_of(CLIP, [[3.0], [-1.0], [-1.0]]).cosine == pytest.approx(-1)


def test_no_weight_and_no_gradient_have_no_deviation() -> None:
    for found in (deviation_of(NOISE_ONLY, [[1.0, 2.0]]), deviation_of(CLIP, [[0.0, 0.0]])):
        assert math.isnan(found.cosine)
        assert math.isnan(found.relative_error)
        assert math.isnan(found.released_cosine)
    nothing = deviation_of(NOISE_ONLY, [[1.0, 2.0]])
    assert math.isnan(nothing.quarter_weight)
    assert math.isnan(nothing.effective_sample_size)


def test_share_below_the_peak_counts_norms_below_it() -> None:
    """The peak is at .124."""
    assert deviation_of(PSASC, [[0.1], [0.12], [0.13], [5.0]]).below_peak == 0.5
    assert deviation_of(CLIP, [[0.1], [0.12], [0.13], [5.0]]).below_peak == 0.0


def test_inner_momentum_is_measured_against_the_gradient_at_the_newest_iterate() -> None:
    """``loss_i = theta_i^2 / 2`` has gradient ``theta_i``: at 3 after 1, an equal average is 2, in length and sign."""
    objective = quadratic()
    method = methods.create("dp-psasc", {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 2, "decay": 1.0})
    iterates = [torch.tensor(point, dtype=torch.float64) for point in ([9.0, 9.0], [1.0, 3.0], [3.0, 3.0])]
    (found,) = deviations(objective, [method], torch.arange(2), iterates=iterates, micro_batch_size=4)
    weights = method.weight(torch.tensor([2.0, 3.0], dtype=torch.float64))
    mean = weights * torch.tensor([2.0, 3.0]) / weights.sum()
    assert found.relative_error == pytest.approx(float((mean - 1.5).norm() / math.hypot(1.5, 1.5)))
    assert found.cosine == pytest.approx(float(mean.sum() / (mean.norm() * math.sqrt(2))))


# ------------------------------------------------------------------------------------------------ weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixedUp(DPSGD):
    """Gives the first example the weight of the last, and so on."""

    def weight(self, norm: Tensor) -> Tensor:
        return super().weight(norm).flip(0)


def test_weights_of_clipped_gradients_by_hand() -> None:
    """Norms 4, 1/2, 2, 1 have weights 1/4, 1, 1/2, 1, of sum 11/4 and sum of squares 37/16."""
    gradients = [[4.0], [0.5], [2.0], [1.0]]
    found = deviation_of(CLIP, gradients)
    assert found.quarter_weight == pytest.approx(4 / 11)
    assert found.effective_sample_size == pytest.approx((11 / 4) ** 2 / (4 * 37 / 16))
    assert deviation_of(MixedUp(C=1.0), gradients).quarter_weight == pytest.approx(2 / 11)


def test_smallest_quarter_is_by_norm_and_not_by_weight() -> None:
    """The weight of DP-PSASC rises from 0.2 to its peak of 0.29 at .124, and falls to 0.02 at 5."""
    norms = [0.124, 5.0, 0.0, 6.0]
    weights = PSASC.weight(torch.tensor(norms, dtype=torch.float64))
    found = deviation_of(PSASC, [[norm] for norm in norms])
    assert found.quarter_weight == pytest.approx(float(0.2 / weights.sum()))


def test_quarter_between_two_examples_has_a_part_of_the_next() -> None:
    """Of six one and a half: weights 1, 1/2, ..., 1/6 for norms of 1 to 6."""
    found = deviation_of(CLIP, [[norm] for norm in (6.0, 5, 4, 3, 2, 1)])
    assert found.quarter_weight == pytest.approx((1 + 1 / 2 / 2) / sum(1 / k for k in range(1, 7)))


@pytest.mark.parametrize("examples", [1, 2, 3, 4, 5, 9])
def test_equal_weights_are_worth_all_examples(examples: int) -> None:
    found = deviation_of(PLAIN, [[float(norm)] for norm in range(examples)])
    assert found.quarter_weight == pytest.approx(1 / 4)
    assert found.effective_sample_size == pytest.approx(1)


def test_weight_on_one_example_alone_is_worth_one() -> None:
    vanishing = methods.create("auto-s", {"C": 1.0, "gamma": 1e-9})
    found = deviation_of(vanishing, [[0.0], [1.0], [2.0], [3.0], [4.0]])
    assert found.effective_sample_size == pytest.approx(1 / 5)
    assert found.quarter_weight == pytest.approx(1)


def test_inner_momentum_is_ranked_by_the_norm_that_enters_the_weight() -> None:
    """Gradients (1, 3), then (3, 2): averaged to (2, 2.5), whose smaller one is the larger of the newest."""
    objective = quadratic()
    method = methods.create("dp-psasc", {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 2, "decay": 1.0})
    iterates = [torch.tensor(point, dtype=torch.float64) for point in ([1.0, 3.0], [3.0, 2.0])]
    (found,) = deviations(objective, [method], torch.arange(2), iterates=iterates, micro_batch_size=4)
    first, second = method.weight(torch.tensor([2.0, 2.5], dtype=torch.float64)).tolist()
    assert found.quarter_weight == pytest.approx(first / 2 / (first + second))


def test_methods_measured_together_are_measured_as_each_alone() -> None:
    """Bit for bit, whether they share a pass or average differently."""
    inner = [
        methods.create("dp-psasc-inner", {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": k, "decay": decay})
        for k, decay in ((2, 0.1), (2, 0.9), (7, 0.5))
    ]
    compared = [CLIP, inner[0], PSASC, inner[1], inner[2], PLAIN]
    objective = networks(torch.ones(8), generator=torch.Generator().manual_seed(0))["convolutions"]
    how = {"iterates": [0.5 * objective.parameters, objective.parameters], "micro_batch_size": 3}
    together = deviations(objective, compared, torch.arange(8), **how)
    assert together == [deviations(objective, [method], torch.arange(8), **how)[0] for method in compared]


# ------------------------------------------------------------------------------------------------ what a step releases

EXAMPLES, SAMPLING_RATE, NOISE_MULTIPLIER, STEPS = 64, 0.25, 0.15, 300


def trained_sequences() -> tuple[Objective, list[Tensor]]:
    """A small network on examples whose gradients differ in length by up to a factor of 300, and two iterates."""
    generator = torch.Generator().manual_seed(1)
    scales = torch.logspace(-2, 0.5, EXAMPLES, dtype=torch.float64)
    objective = networks(scales, generator=generator)["sequence"]
    aside = 0.1 * torch.randn(len(objective.parameters), dtype=torch.float64, generator=generator)
    return objective, [objective.parameters + aside, objective.parameters]


@functools.cache
def cosines_of_steps(method: Method) -> Tensor:
    """Between the true mean gradient and what real steps of training release, ``[STEPS]``."""
    objective, iterates = trained_sequences()
    everyone, generator = torch.arange(EXAMPLES), torch.Generator().manual_seed(0)
    true = objective.gradient_sum(PLAIN, everyone, micro_batch_size=64, iterates=iterates[-1:]).total
    found = []
    for _ in range(STEPS):
        batch = poisson_batch(EXAMPLES, SAMPLING_RATE, generator)
        seen = iterates[-int(method.iterates) :]
        released = release(
            objective.gradient_sum(method, batch, micro_batch_size=64, iterates=seen),
            method,
            noise_multiplier=NOISE_MULTIPLIER,
            expected_batch_size=SAMPLING_RATE * EXAMPLES,
            generator=generator,
            statistic_generator=generator,
        )
        found.append(torch.nn.functional.cosine_similarity(released.gradient, true, dim=0))
    return torch.stack(found)


def expected_cosine(method: Method, *, sampling_rate: float, noise_multiplier: float) -> float:
    objective, iterates = trained_sequences()
    (found,) = deviations(
        objective,
        [method],
        torch.arange(EXAMPLES),
        iterates=iterates,
        micro_batch_size=64,
        sampling_rate=sampling_rate,
        noise_multiplier=noise_multiplier,
    )
    return found.released_cosine


STEP = {"sampling_rate": SAMPLING_RATE, "noise_multiplier": NOISE_MULTIPLIER}
CLIPPING = methods.create("dp-sgd", {"C": 0.3})
AVERAGING = methods.create("dp-psasc-inner", {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 2, "decay": 0.5})


def standard_error(cosines: Tensor) -> float:
    return float(cosines.std()) / math.sqrt(STEPS)


@pytest.mark.parametrize("method", [CLIPPING, AVERAGING], ids=lambda method: method.title)
def test_released_cosine_is_that_of_real_steps(method: Method) -> None:
    cosines = cosines_of_steps(method)
    expected = expected_cosine(method, **STEP)
    assert expected == pytest.approx(float(cosines.mean()), abs=4 * standard_error(cosines))


@pytest.mark.parametrize(
    ("method", "step"),
    [
        (CLIPPING, STEP | {"noise_multiplier": 0.0}),
        (CLIPPING, {"sampling_rate": 1.0, "noise_multiplier": NOISE_MULTIPLIER / SAMPLING_RATE}),
        (MixedUp(C=0.3), STEP),
    ],
    ids=["without noise", "without sampling", "weights mixed up among examples"],
)
def test_what_forgets_a_part_of_the_step_is_seen(method: Method, step: dict[str, float]) -> None:
    cosines = cosines_of_steps(CLIPPING)
    assert abs(expected_cosine(method, **step) - float(cosines.mean())) > 5 * standard_error(cosines)


def test_released_cosine_without_sampling_and_noise_is_the_cosine() -> None:
    found = deviation_of(CLIP, [[3.0, 0.0], [0.0, 1.0]])
    assert found.released_cosine == pytest.approx(found.cosine)


def test_released_cosine_by_hand() -> None:
    """(1, 0) and (0, 1) after clipping, against (3, 1)/2: <s, g> = 1, |s|^2 = 1/2. At a rate of 1/2 two dimensions of
    noise of 3 have a variance of 2 (3/1)^2 = 18, and sampling has (1/2)/(1/2 x 4) x 2 = 1/2."""
    objective = vectors(torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=torch.float64))
    (found,) = deviations(
        objective,
        [CLIP],
        torch.arange(2),
        iterates=[objective.parameters],
        micro_batch_size=2,
        sampling_rate=0.5,
        noise_multiplier=3.0,
    )
    assert found.released_cosine == pytest.approx(1 / (math.sqrt(10) / 2 * math.sqrt(1 / 2 + 18 + 1 / 2)))


# ------------------------------------------------------------------------------------------------ an epoch's batches


def seen(*batches: tuple[list[float], list[float]]) -> Diagnostics:
    """Of batches given by their weighted sum and their norms."""
    diagnostics = Diagnostics()
    for total, norms in batches:
        diagnostics.add(GradientSum(torch.tensor(total), torch.tensor(norms), torch.ones(len(norms)), 0))
    return diagnostics


def test_row_is_of_all_batches_of_the_epoch() -> None:
    """Norms 1 to 11 by nearest rank; sums of norms 5 and 13 in two dimensions over noise of 2 x 1 x sqrt(2)."""
    diagnostics = seen(([3.0, 4.0], [11.0, 1, 2, 3, 4, 5]), ([5.0, 12.0], [6.0, 7, 8, 9, 10]))
    row = diagnostics.row(CLIP, noise_multiplier=2.0)
    assert [row[f"nonprivate_norm_q{q}"] for q in (10, 50, 90)] == [2, 6, 10]
    assert [row[f"nonprivate_weight_q{q}"] for q in (10, 50, 90)] == pytest.approx([1 / 10, 1 / 6, 1 / 2])
    assert row["nonprivate_signal_to_noise"] == pytest.approx((5 + 13) / 2 / (2 * math.sqrt(2)))
    assert row["nonprivate_below_peak"] == 0
    assert row["nonprivate_train_loss"] == 1


def test_weights_are_in_units_of_the_sensitivity() -> None:
    """C drops out, and what is left is s for a vanishing gradient: sensitivity C/s."""
    row = seen(([1.0], [0.0, 0.0])).row(PSASC, noise_multiplier=1.0)
    assert row["nonprivate_weight_q50"] == pytest.approx(2.0)
    assert row["nonprivate_below_peak"] == 1


def test_scaling_threshold_and_sum_alike_leaves_the_signal_to_noise() -> None:
    one, other = (
        seen(([3.0 * C, 4.0 * C], [1.0])).row(methods.create("dp-sgd", {"C": C}), noise_multiplier=1.0)
        for C in (0.1, 10.0)
    )
    assert one["nonprivate_signal_to_noise"] == pytest.approx(other["nonprivate_signal_to_noise"])


def test_expected_norm_of_the_noise_is_that_of_the_mechanism() -> None:
    """A sum that is itself noise of the mechanism's has a ratio of one: a hundred thousand coordinates, to 1 %."""
    noise = privatise(
        torch.zeros(100_000),
        sensitivity=PSASC.sensitivity(),
        noise_multiplier=3.0,
        expected_batch_size=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    row = seen((noise.tolist(), [1.0])).row(PSASC, noise_multiplier=3.0)
    assert row["nonprivate_signal_to_noise"] == pytest.approx(1, rel=0.01)


def test_what_has_no_unit_has_no_column() -> None:
    batch = ([1.0], [1.0])
    assert "nonprivate_signal_to_noise" not in seen(batch).row(CLIP, noise_multiplier=0.0)
    assert not [key for key in seen(batch).row(PLAIN, noise_multiplier=0.0) if "weight" in key or "signal" in key]


def test_epoch_of_empty_batches_has_a_row() -> None:
    """With all the columns of the others, or the curve would have none for it."""
    empty = seen(([0.0, 0.0], []), ([0.0, 0.0], [])).row(PSASC, noise_multiplier=1.0)
    assert set(empty) == set(seen(([1.0, 0.0], [1.0])).row(PSASC, noise_multiplier=1.0))
    assert math.isnan(empty["nonprivate_norm_q50"])
    assert empty["nonprivate_signal_to_noise"] == 0
