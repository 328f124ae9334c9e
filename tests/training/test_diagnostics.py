"""What is measured while a run goes on: closed forms on chosen gradients, and that measuring changes nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from psasc_bench import methods
from psasc_bench.data.dataset import Dataset
from psasc_bench.evidence.worst_cases import vectors
from psasc_bench.methods import Method
from psasc_bench.privacy.accounting import Budget
from psasc_bench.privacy.mechanism import privatise
from psasc_bench.records import record
from psasc_bench.study.spec import RunSpec
from psasc_bench.training import deviation, runner
from psasc_bench.training.diagnostics import Deviation, Diagnostics, deviations
from psasc_bench.training.loop import Outcome, train
from psasc_bench.training.step import GradientSum

MakeSpec = Callable[..., RunSpec]
CPU = torch.device("cpu")
CLIP = methods.create("dp-sgd", {"C": 1.0})
PLAIN = methods.create("nonprivate", {})
PSASC = methods.create("dp-psasc", {"C": 0.2, "s": 2.0, "r": 0.1})
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


# ------------------------------------------------------------------------------------------------ the peak


@given(r=st.floats(1e-4, 1), s=st.floats(0.1, 10))
def test_peak_has_its_closed_form(r: float, s: float) -> None:
    """``sqrt(r/s) - r``, or nowhere for ``r >= 1/s``: the derivative of ``s x + r/(x + r)`` vanishes there."""
    closed = max(math.sqrt(r / s) - r, 0.0)
    peak = methods.create("dp-psasc", {"C": 0.3, "s": s, "r": r}).peak()
    assert peak == pytest.approx(closed, rel=1e-4, abs=1e-5)
    if s * r > 1:
        assert peak == 0


def test_peak_of_dp_psac_has_its_closed_form() -> None:
    assert methods.create("dp-psac", {"C": 0.3, "r": 0.1}).peak() == pytest.approx(math.sqrt(0.1) - 0.1, rel=1e-4)


@pytest.mark.parametrize("name", ["dp-sgd", "auto-s", "nsgd", "nonprivate", "noise-only"])
def test_weight_that_never_rises_has_its_peak_at_zero(name: str) -> None:
    given = {"C": 0.1, "r": 0.1}
    known = methods.load(name).__dataclass_fields__
    assert methods.create(name, {key: value for key, value in given.items() if key in known}).peak() == 0


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


# ------------------------------------------------------------------------------------------------ a run and its probe


def budget_for(spec: RunSpec, dataset: Dataset) -> Budget:
    examples = len(dataset.y_train)
    return Budget(
        epsilon=spec.epsilon,
        delta=spec.delta,
        sampling_rate=spec.sampling_rate(examples),
        steps=spec.epoch_ends(examples)[-1],
        noise_multiplier=1.0,
        epsilon_rdp=spec.epsilon,
        epsilon_pld=spec.epsilon,
    )


def trained(spec: RunSpec, dataset: Dataset, **how: Any) -> Outcome:
    return train(spec, dataset, budget_for(spec, dataset), micro_batch_size=64, device=CPU, **how)


def own(spec: RunSpec, dataset: Dataset, every_epochs: int) -> Callable[[int, Sequence[Tensor]], Any]:
    return deviation.own_deviation(spec, dataset, every_epochs=every_epochs, micro_batch_size=64, device=CPU)


@pytest.mark.parametrize("iterates", [1, 2])
def test_run_gives_the_same_bits_with_and_without_a_probe(
    iterates: int, digits: Dataset, digits_spec: MakeSpec
) -> None:
    parameters = {"C": 0.1, "s": 2.0, "r": 0.1, "iterates": iterates}
    spec = digits_spec(epochs=3, parameters=parameters)
    without, with_one = trained(spec, digits), trained(spec, digits, probe=own(spec, digits, 1))
    assert torch.equal(without.parameters, with_one.parameters)
    known = set(without.curve[0])
    assert [{key: row[key] for key in known} for row in with_one.curve] == without.curve
    assert set(with_one.curve[0]) - known == {"nonprivate_cosine", "nonprivate_relative_error"}


def test_probe_answers_at_its_interval(digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec(epochs=5)
    curve = trained(spec, digits, probe=own(spec, digits, 2)).curve
    assert [row["epoch"] for row in curve if "nonprivate_cosine" in row] == [2, 4]


def test_every_column_but_the_results_is_labelled_nonprivate(digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec()
    (row,) = trained(spec, digits, probe=own(spec, digits, 1)).curve
    public = {"epoch", "step", "test_loss", "test_accuracy"}
    assert all(key.startswith("nonprivate_") for key in set(row) - public)
    assert len(row) == 4 + 1 + 3 + 3 + 4


def test_probe_is_handed_the_newest_iterate_last(digits: Dataset, digits_spec: MakeSpec) -> None:
    handed: list[list[Tensor]] = []

    def note(_: int, iterates: Sequence[Tensor]) -> dict[str, float]:
        handed.append(list(iterates))
        return {}

    outcome = trained(digits_spec(), digits, probe=note)
    (iterates,) = handed
    assert torch.equal(iterates[-1], outcome.parameters)
    assert len(iterates) == 2
    assert not torch.equal(*iterates)


def test_probe_set_is_fixed_by_data_set_and_seed(digits: Dataset, digits_spec: MakeSpec) -> None:
    def losses(**changes: Any) -> Tensor:
        objective, batch = deviation.probe_set(digits_spec(**changes), digits, device=CPU)
        return objective.losses(batch)().detach()

    assert len(losses()) == deviation.EXAMPLES
    assert torch.equal(losses(), losses(method="dp-sgd", parameters={"C": 1.0}, epsilon=1.0))
    assert not torch.equal(losses(), losses(seed=1))


def test_global_generators_are_left_as_they_were(digits: Dataset, digits_spec: MakeSpec) -> None:
    before = torch.get_rng_state()
    own(digits_spec(), digits, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_interval_is_recorded_and_no_part_of_the_spec(digits: Dataset, digits_spec: MakeSpec, tmp_path: Path) -> None:
    spec = digits_spec(epochs=2)

    def run(every: int) -> record.Record:
        folders = {"runs": tmp_path / f"{every}" / "runs"}
        how: dict[str, Any] = {"micro_batch_size": 64, "device": CPU, "probe_every_epochs": every}
        return runner.train_run(spec, digits, budget_for(spec, digits), **folders, **how)

    without, with_one = run(0), run(2)
    assert [made.provenance["probe_every_epochs"] for made in (without, with_one)] == [0, 2]
    assert (without.spec.hash(), without.ledger, without.result) == (
        with_one.spec.hash(),
        with_one.ledger,
        with_one.result,
    )
    header, first, last = (tmp_path / "2" / "runs" / f"{spec.name()}.csv").read_text().splitlines()
    assert header.split(",")[-2:] == ["nonprivate_cosine", "nonprivate_relative_error"]
    assert first.endswith(",,")
    assert not last.endswith(",")


# ------------------------------------------------------------------------------------------------ one trajectory


def shared(spec: RunSpec, dataset: Dataset, contestants: dict[str, Method]) -> list[dict[str, Any]]:
    budget = budget_for(spec, dataset)
    return deviation.along_one_trajectory(spec, contestants, dataset, budget, micro_batch_size=64, device=CPU)


def test_contestants_are_compared_along_one_run(digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.1}, epochs=2)
    contestants = {"dp-sgd": methods.create("dp-sgd", {"C": 0.1}), "dp-psasc": PSASC, "plain": PLAIN}
    rows = shared(spec, digits, contestants)
    assert [(row["epoch"], row["method"]) for row in rows] == [(e, name) for e in (1, 2) for name in contestants]
    assert {(row["trajectory"], row["seed"], row["epsilon"]) for row in rows} == {("dp-sgd", 0, 3.0)}
    curve = trained(spec, digits, probe=own(spec, digits, 1)).curve
    assert [row["cosine"] for row in rows[::3]] == [row["nonprivate_cosine"] for row in curve]
    assert [row["cosine"] for row in rows[2::3]] == pytest.approx([1, 1])


def test_more_iterates_than_the_trajectory_keeps_are_refused(digits: Dataset, digits_spec: MakeSpec) -> None:
    inner = methods.create("dp-psasc-inner", {"C": 0.1, "s": 1.0, "r": 0.1, "iterates": 3})
    with pytest.raises(ValueError, match="keeps only 2; give --trajectory dp-psasc-inner"):
        shared(digits_spec(method="dp-sgd", parameters={"C": 0.1}), digits, {"dp-psasc-inner": inner})


def test_diverged_trajectory_is_refused(digits: Dataset, digits_spec: MakeSpec) -> None:
    with pytest.raises(ValueError, match=r"the trajectory diverged: .* not finite at step 1"):
        shared(digits_spec(learning_rate=1e39, epochs=3), digits, {"dp-psasc": PSASC})
