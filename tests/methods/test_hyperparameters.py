"""Hyper-parameters: what is impossible, unknown or missing is refused by name."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields

import pytest
from formulas import CONTESTANTS, example
from shipped_methods import SHIPPED

from psasc_bench import methods

BAD = [math.nan, math.inf, -math.inf, 0, 0.0, -1.0, True, "1", None, [1.0]]


@pytest.mark.parametrize("value", BAD, ids=repr)
@pytest.mark.parametrize(("name", "key"), [(n, f.name) for n in SHIPPED for f in fields(methods.load(n))])
def test_bad_hyperparameter_is_refused_by_name(name: str, key: str, value: object) -> None:
    good = methods.parameters(example(name))
    with pytest.raises(ValueError, match=rf"{name}.*\b{key}\b"):
        methods.create(name, good | {key: value})


@pytest.mark.parametrize("name", SHIPPED)
def test_unknown_hyperparameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*'threshold'"):
        methods.create(name, methods.parameters(example(name)) | {"threshold": 1.0})


@pytest.mark.parametrize("name", CONTESTANTS)
def test_missing_hyperparameter_is_refused_by_name(name: str) -> None:
    required = [f.name for f in fields(methods.load(name)) if f.default is MISSING]
    for key in required:
        with pytest.raises(ValueError, match=rf"{name}.*'{key}'"):
            methods.create(name, {other: 1.0 for other in required if other != key})


def test_half_an_iterate_is_refused() -> None:
    with pytest.raises(ValueError, match="iterates"):
        methods.create("dp-sgd", {"C": 1.0, "iterates": 1.5})


@pytest.mark.parametrize(("name", "meant"), [("dp-psax", "dp-psac"), ("DP-SGD", "dp-sgd"), ("Auto_S", "auto-s")])
def test_unknown_method_is_refused_with_the_likeliest(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"^unknown method '{name}'; did you mean {meant}\? known: adasig, "):
        methods.load(name)


def test_hyperparameters_cannot_be_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        example("dp-sgd").C = 2.0  # type: ignore[attr-defined]
