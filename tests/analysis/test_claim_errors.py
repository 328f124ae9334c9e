"""The simulation of how often the rules of the claims err: it decides as the package does, and it can fail."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from psasc_bench.analysis import statistics
from psasc_bench.analysis.comparisons import compare, decide

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "claim_errors.py"
STUDIES = 2000
# Three data sets of four, two and one budget, with standard deviations of .05 to .4 points; budgets share their seeds.
COVARIANCES = {
    "a": 4e-6 * (0.5 * np.eye(4) + 0.5),
    "b": 1e-6 * (0.7 * np.eye(2) + 0.3),
    "c": np.array([[2.5e-7]]),
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("claim_errors", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rates(script: ModuleType) -> pd.DataFrame:
    return script.simulate(COVARIANCES, seeds=5, studies=STUDIES, random=np.random.default_rng(0)) / 100


ERRORS = ["a sign, truth 0", "within, truth .2", "beyond, truth .2", "gain excluded, truth .2"]


@pytest.mark.parametrize("error", ERRORS)
def test_rule_in_use_errs_no_more_often_than_it_says(error: str, rates: pd.DataFrame) -> None:
    """By what a binomial variable of .05 exceeds once in ten thousand simulations."""
    assert rates.loc["seed means", error] <= stats.binom.isf(1e-4, STUDIES, statistics.ALPHA) / STUDIES


def test_rule_that_takes_budgets_as_independent_is_seen_to_err(rates: pd.DataFrame) -> None:
    assert rates.loc["moderated", "a sign, truth 0"] > 1.2 * stats.binom.isf(1e-4, STUDIES, statistics.ALPHA) / STUDIES


def test_averaging_before_the_test_sees_more_than_testing_every_cell(rates: pd.DataFrame) -> None:
    assert rates.loc["seed means", "higher, truth .2"] > rates.loc["every cell", "higher, truth .2"] + 0.1


def test_simulation_decides_as_the_package_does(script: ModuleType) -> None:
    """Study by study and data set by data set, near the bounds where it matters."""
    random = np.random.default_rng(1)
    differences = script.draw(list(COVARIANCES.values()), [0.002, 0.001, -0.0005], 5, 20, random)
    said = script.statements(*script.seed_means(differences))
    words = set()
    for study in range(20):
        rows = [
            {"dataset": name, "epsilon": float(budget), "method": method, "seed": seed, "value": value}
            for name, of_one in zip(COVARIANCES, differences, strict=True)
            for (seed, budget), gain in np.ndenumerate(of_one[study])
            for method, value in (("plain", 0.5), ("mine", 0.5 + gain))
        ]
        for k, decision in enumerate(decide(compare(pd.DataFrame(rows), "mine", ["plain"]))):
            sign, within, excluded = decision.said
            here = {name: bool(of_all[study, k]) for name, of_all in said.items()}
            assert (sign == "higher", sign == "lower") == (here["higher"], here["lower"])
            # within goes before beyond, and a difference is never both
            assert (within == "yes", within == "no") == (here["within"], here["beyond"])
            assert (excluded == "yes") == here["excluded"]
            words |= {sign, within, excluded}
    assert words >= {"higher", "lower", "unresolved", "yes", "no"}


def test_spread_is_that_of_the_differences_pooled_over_methods(script: ModuleType) -> None:
    """Of two seeds: differences of 0 and .02, and of 0 and .04, have variances of .0002 and .0008."""
    gains = {"plain": (0.0, 0.0), "a": (0.0, 0.02), "b": (0.0, 0.04), "control": (0.0, 9.0)}
    rows = [
        {"dataset": "d", "method": method, "epsilon": 1.0, "seed": seed, "test_accuracy": 0.5 + 0.1 * seed + gain}
        | {"status": "done", "control": method == "control"}
        for method, of_method in gains.items()
        for seed, gain in enumerate(of_method)
    ]
    found = script.pooled_covariances(pd.DataFrame(rows), "plain")
    assert found["d"] == pytest.approx(np.array([[0.0005]]))
