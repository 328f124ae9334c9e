"""Run specs: what determines a run, what does not, and what each is called."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psasc_bench.study import RunSpec, format_epsilon

MakeSpec = Callable[..., RunSpec]

name = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=12)
finite = st.floats(1e-6, 1e6)
specs = st.builds(
    RunSpec,
    dataset=name,
    model=name,
    method=name,
    parameters=st.dictionaries(name, finite | st.integers(1, 9), max_size=4),
    epsilon=finite | st.integers(1, 9) | st.just(math.inf),
    delta=st.floats(1e-12, 0.5),
    expected_batch_size=st.integers(1, 10**5),
    epochs=st.integers(1, 10**3),
    learning_rate=finite,
    momentum=st.floats(0, 0.999),
    seed=st.integers(0, 10**6),
    evaluation=st.sampled_from(["test", "validation"]),
    accountant=st.sampled_from(["rdp", "pld"]),
    optimiser=st.lists(st.dictionaries(name, st.dictionaries(name, finite), min_size=1, max_size=1)).map(tuple),
    augmentations=st.integers(1, 9),
    augment=st.lists(st.sampled_from(["shift", "flip"]), unique=True).map(tuple),
)

CHANGES: dict[str, Any] = {
    "dataset": "mnist",
    "model": "mnist_cnn",
    "method": "dp-psac",
    "parameters": {"C": 0.1, "s": 2.0, "r": 0.01},
    "epsilon": 1.0,
    "delta": 1e-6,
    "expected_batch_size": 128,
    "epochs": 2,
    "learning_rate": 0.25,
    "momentum": 0.0,
    "seed": 1,
    "evaluation": "validation",
    "accountant": "pld",
    "optimiser": ({"adam": {"beta1": 0.9}},),
    "augmentations": 2,
    "augment": ("flip",),
}
AXES = ("initialisation", "sampling", "noise", "statistic", "augmentation")


@given(spec=specs)
def test_spec_comes_back_from_json_as_it_was(spec: RunSpec) -> None:
    text = json.dumps(spec.to_json(), allow_nan=False)
    again = RunSpec.from_json(json.loads(text))
    assert again == spec
    assert again.hash() == spec.hash()


def test_hash_does_not_change_from_one_version_to_the_next(digits_spec: MakeSpec) -> None:
    """Records on disk carry it: a change here makes every one of them stale."""
    assert digits_spec().hash() == "1d56a2bb7ec312b2"


def test_spec_by_rdp_is_written_as_it_was_before_there_was_another(digits_spec: MakeSpec) -> None:
    assert "accountant" not in digits_spec().to_json()
    assert digits_spec(accountant="pld").to_json()["accountant"] == "pld"


def test_spec_of_the_heavy_ball_is_written_as_it_was_before_there_were_others(digits_spec: MakeSpec) -> None:
    assert "optimiser" not in digits_spec().to_json()
    assert digits_spec().rules == ({"heavy-ball": {"momentum": 0.9}},)


def test_hash_depends_on_the_order_of_update_rules(digits_spec: MakeSpec) -> None:
    rules = ({"low-pass": {"decay": 0.9}}, {"adam": {"beta1": 0.9}})
    assert digits_spec(optimiser=rules).hash() != digits_spec(optimiser=rules[::-1]).hash()
    assert digits_spec(optimiser=rules).rules == rules


def test_spec_without_augmentations_is_written_as_it_was_before_there_were_any(digits_spec: MakeSpec) -> None:
    assert not {"augmentations", "augment"} & set(digits_spec().to_json())
    assert digits_spec(augmentations=2).to_json()["augmentations"] == 2


def test_hash_does_not_depend_on_the_order_of_parameters(digits_spec: MakeSpec) -> None:
    parameters = digits_spec().parameters
    backwards = dict(reversed(parameters.items()))
    assert digits_spec(parameters=backwards).hash() == digits_spec().hash()


def test_every_field_is_among_the_changes_tried() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(RunSpec) if field.compare}


@pytest.mark.parametrize("field", CHANGES)
def test_hash_depends_on_every_field(field: str, digits_spec: MakeSpec) -> None:
    assert digits_spec(**{field: CHANGES[field]}).hash() != digits_spec().hash()


def test_streams_of_a_run_are_unlike(digits_spec: MakeSpec) -> None:
    assert len({digits_spec().stream(axis) for axis in AXES}) == len(AXES)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("field", ["dataset", "seed"])
def test_stream_depends_on_data_set_and_seed(field: str, axis: str, digits_spec: MakeSpec) -> None:
    assert digits_spec(**{field: CHANGES[field]}).stream(axis) != digits_spec().stream(axis)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("field", sorted(set(CHANGES) - {"dataset", "seed"}))
def test_stream_depends_on_nothing_else(field: str, axis: str, digits_spec: MakeSpec) -> None:
    """Common random numbers: runs that differ in method or budget are compared in pairs."""
    assert digits_spec(**{field: CHANGES[field]}).stream(axis) == digits_spec().stream(axis)


@given(spec=specs)
def test_stream_is_a_seed_that_torch_takes(spec: RunSpec) -> None:
    assert all(0 <= spec.stream(axis) < 2**63 for axis in AXES)


@given(examples=st.integers(1, 10**6), share=st.floats(1e-3, 1), epochs=st.integers(1, 100))
def test_epochs_end_once_each_and_the_last_at_the_number_of_steps(examples: int, share: float, epochs: int) -> None:
    size = max(1, round(share * examples))
    spec = RunSpec.from_json(CHANGES | {"expected_batch_size": size, "epochs": epochs})
    ends = spec.epoch_ends(examples)
    assert len(ends) == epochs
    assert all(1 <= before < after for before, after in pairwise(ends))
    assert ends[-1] == max(1, round(epochs / spec.sampling_rate(examples)))


def test_protocol_has_its_numbers_of_steps() -> None:
    """60,000 examples in batches of 512 for 40 epochs, as an accountant would count them."""
    spec = RunSpec.from_json(CHANGES | {"expected_batch_size": 512, "epochs": 40})
    assert spec.sampling_rate(60_000) == 512 / 60_000
    ends = spec.epoch_ends(60_000)
    assert (ends[0], ends[-1]) == (117, 4688)


def test_batch_larger_than_the_data_set_is_refused(digits_spec: MakeSpec) -> None:
    with pytest.raises(ValueError, match=r"256 is larger than the 255 .*datasets\.digits\.expected_batch_size"):
        digits_spec().sampling_rate(255)


def test_batch_as_large_as_the_data_set_is_rate_one(digits_spec: MakeSpec) -> None:
    assert digits_spec().sampling_rate(256) == 1


@pytest.mark.parametrize("values", [{}, CHANGES | {"clip": 1.0}, {"seed": 1}], ids=["none", "unknown", "missing"])
def test_json_with_other_keys_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a run spec has the keys"):
        RunSpec.from_json(values)


def test_name_says_where_the_run_stands(digits_spec: MakeSpec) -> None:
    assert digits_spec().name() == "digits/dp-psasc/eps-3/seed-0"
    assert digits_spec(epsilon=math.inf, seed=7).name() == "digits/dp-psasc/eps-inf/seed-7"


@pytest.mark.parametrize(("epsilon", "text"), [(3.0, "3"), (0.5, "0.5"), (0.13, "0.13"), (math.inf, "inf")])
def test_epsilon_is_named_as_one_writes_it(epsilon: float, text: str) -> None:
    assert format_epsilon(epsilon) == text
