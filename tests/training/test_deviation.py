"""Deviations from the true gradient, along a run and along a shared one: measuring changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CPU, PLAIN, PSASC, MakeSpec, budget_for, first, initial, rows_in_training
from torch import Tensor

from psasc_bench import methods
from psasc_bench.data import Dataset
from psasc_bench.methods import Method
from psasc_bench.records import record
from psasc_bench.study import RunSpec
from psasc_bench.training import Examples, Objective, deviation, runner, train
from psasc_bench.training.diagnostics import deviations
from psasc_bench.training.loop import Outcome, cross_entropies

SGD = methods.create("dp-sgd", {"C": 0.1})

# ------------------------------------------------------------------------------------------------ a run and its probe


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

    def note(_epoch: int, _method: Method, iterates: Sequence[Tensor]) -> dict[str, float]:
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
        (losses,) = objective.losses(batch)
        return losses().detach()

    assert len(losses()) == deviation.EXAMPLES
    assert torch.equal(losses(), losses(method="dp-sgd", parameters={"C": 1.0}, epsilon=1.0))
    assert not torch.equal(losses(), losses(seed=1))


def test_probe_has_no_more_rows_than_there_are_examples(digits: Dataset, digits_spec: MakeSpec) -> None:
    dataset, spec = first(digits, 40), digits_spec(method="dp-sgd", parameters={"C": 0.1}, expected_batch_size=20)
    how: dict[str, Any] = {"micro_batch_size": 400, "device": CPU}
    with rows_in_training() as rows:
        probe = deviation.own_deviation(spec, dataset, every_epochs=1, **how)
        train(spec, dataset, budget_for(spec, dataset), probe=probe, **how)
        budget = budget_for(spec, dataset)
        deviation.along_one_trajectory(spec, {"dp-psasc": PSASC}, dataset, budget, measurements=2, **how)
    assert max(rows) == 40


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


def shared(
    spec: RunSpec, dataset: Dataset, compared: dict[str, Method], *, measurements: int = 10
) -> list[dict[str, Any]]:
    how: dict[str, Any] = {"micro_batch_size": 64, "device": CPU, "measurements": measurements}
    return deviation.along_one_trajectory(spec, compared, dataset, budget_for(spec, dataset), **how)


def test_methods_are_compared_along_one_run(digits: Dataset, digits_spec: MakeSpec) -> None:
    """A threshold above all norms leaves the true gradient."""
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.1}, epochs=2)
    compared = {"dp-sgd": SGD, "dp-psasc": PSASC, "unclipped": methods.create("dp-sgd", {"C": 1e3})}
    rows = shared(spec, digits, compared)
    assert [(row["epoch"], row["method"]) for row in rows] == [(e, name) for e in (1, 2) for name in compared]
    assert {(row["trajectory"], row["seed"], row["epsilon"]) for row in rows} == {("dp-sgd", 0, 3.0)}
    for row in rows[2::3]:
        assert [row["cosine"], row["effective_sample_size"]] == pytest.approx([1, 1])
        assert row["quarter_weight"] == pytest.approx(0.25)
        assert row["released_cosine"] < 0.01  # of the noise that such a threshold asks for


def test_deviation_is_over_all_training_examples_at_the_rate_and_noise_of_the_run(
    digits: Dataset, digits_spec: MakeSpec
) -> None:
    dataset, spec = first(digits, 600), digits_spec(method="dp-sgd", parameters={"C": 0.1}, epochs=1)
    (row,) = shared(spec, dataset, {"dp-psasc": PSASC})
    end = trained(spec, dataset).parameters
    model = initial(spec)
    objective = Objective(model, cross_entropies(model, Examples(dataset, "train", CPU)))
    (expected,) = deviations(
        objective,
        [PSASC],
        torch.arange(600),
        iterates=[end],
        micro_batch_size=64,
        sampling_rate=spec.expected_batch_size / 600,
        noise_multiplier=budget_for(spec, dataset).noise_multiplier,
    )
    assert {key: row[key] for key in asdict(expected)} == pytest.approx(asdict(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("epochs", "measurements", "expected"), [(7, 3, [1, 4, 7]), (7, 2, [1, 7]), (2, 10, [1, 2]), (1, 10, [1])]
)
def test_measurements_are_evenly_spaced_from_the_first_epoch_to_the_last(
    epochs: int, measurements: int, expected: list[int], digits: Dataset, digits_spec: MakeSpec
) -> None:
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.1}, epochs=epochs, expected_batch_size=40)
    rows = shared(spec, first(digits, 40), {"dp-psasc": PSASC}, measurements=measurements)
    assert [row["epoch"] for row in rows] == expected


def test_trajectory_is_the_run_without_measurements(digits: Dataset, digits_spec: MakeSpec) -> None:
    """However often it is measured, what is measured at the end is the same to the last bit."""
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.1}, epochs=3)
    often, seldom = (shared(spec, digits, {"dp-psasc": PSASC}, measurements=count)[-1] for count in (3, 2))
    assert often == seldom


def test_method_that_no_noise_is_enough_for_is_refused_before_training(digits: Dataset, digits_spec: MakeSpec) -> None:
    spec = digits_spec(method="dp-sgd", parameters={"C": 0.1}, learning_rate=1e39)  # would diverge
    with pytest.raises(ValueError, match="no noise gives privacy here"):
        shared(spec, digits, {"nonprivate": PLAIN})


def test_more_iterates_than_the_trajectory_keeps_are_refused(digits: Dataset, digits_spec: MakeSpec) -> None:
    inner = methods.create("dp-psasc-inner", {"C": 0.1, "s": 1.0, "r": 0.1, "iterates": 3})
    with pytest.raises(ValueError, match="keeps only 2; give --trajectory dp-psasc-inner"):
        shared(digits_spec(method="dp-sgd", parameters={"C": 0.1}), digits, {"dp-psasc-inner": inner})


def test_diverged_trajectory_is_refused(digits: Dataset, digits_spec: MakeSpec) -> None:
    with pytest.raises(ValueError, match=r"the trajectory diverged: .* not finite at step 1"):
        shared(digits_spec(learning_rate=1e39, epochs=3), digits, {"dp-psasc": PSASC})
