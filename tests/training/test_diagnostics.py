"""What is measured while a run goes on: closed forms on chosen gradients."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from small_runs import CLIP, PLAIN, PSASC

from psasc_bench import methods
from psasc_bench.evidence.worst_cases import vectors
from psasc_bench.methods import Method
from psasc_bench.privacy import privatise
from psasc_bench.training.diagnostics import Deviation, Diagnostics, deviations
from psasc_bench.training.step import GradientSum

NOISE_ONLY = methods.create("noise-only", {"C": 0.1})


def deviation_of(method: Method, gradients: list[list[float]], *, micro_batch_size: int = 8) -> Deviation:
    objective = vectors(torch.tensor(gradients, dtype=torch.float64))
    batch = torch.arange(len(gradients))
    at = [objective.parameters]
    return deviations(objective, [method], batch, iterates=at, micro_batch_size=micro_batch_size)[0]


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


def test_share_below_the_peak_counts_norms_below_it() -> None:
    """The peak is at .124."""
    assert deviation_of(PSASC, [[0.1], [0.12], [0.13], [5.0]]).below_peak == 0.5
    assert deviation_of(CLIP, [[0.1], [0.12], [0.13], [5.0]]).below_peak == 0.0


def test_inner_momentum_is_measured_against_the_gradient_at_the_newest_iterate() -> None:
    """``loss_i = theta_i^2 / 2`` has gradient ``theta_i``: at 3 after 1, an equal average is 2, in length and sign."""
    objective = vectors(torch.eye(2, dtype=torch.float64))
    linear = objective.losses
    objective.losses = lambda indices: lambda: linear(indices)().square() / 2
    method = methods.create("dp-psasc", {"C": 0.2, "s": 2.0, "r": 0.1, "iterates": 2, "decay": 1.0})
    iterates = [torch.tensor(point, dtype=torch.float64) for point in ([9.0, 9.0], [1.0, 3.0], [3.0, 3.0])]
    (found,) = deviations(objective, [method], torch.arange(2), iterates=iterates, micro_batch_size=4)
    weights = method.weight(torch.tensor([2.0, 3.0], dtype=torch.float64))
    mean = weights * torch.tensor([2.0, 3.0]) / weights.sum()
    assert found.relative_error == pytest.approx(float((mean - 1.5).norm() / math.hypot(1.5, 1.5)))
    assert found.cosine == pytest.approx(float(mean.sum() / (mean.norm() * math.sqrt(2))))


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
