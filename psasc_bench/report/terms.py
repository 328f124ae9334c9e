"""On what terms the runs of a data set were made, in words: its protocol, and the settings of each method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from psasc_bench.report.tables import epsilon_text

# What a protocol says once, if all private methods have it in common, and else each method for itself.
SHARED = {
    "learning_rate": "learning rate",
    "momentum": "momentum",
    "sensitivity": "sensitivity",
    "optimiser": "optimiser",
    "augmentations": "augmentations",
}
TEXTS = ("optimiser", "augmentations")  # columns that are there where a run has them
Own = Mapping[str, float | str]
NO_MOMENTUM = {"iterates": "1"}  # and then ``decay`` says nothing


def protocol(runs: pd.DataFrame) -> str:
    """What all finished ``runs`` of a data set (rows of ``runs.csv``) have in common, and the noise at each epsilon."""
    one = runs.iloc[0]
    rate = float(one["sampling_rate"])
    parts = [
        f"Model {one['model']}",
        f"N = {round(one['expected_batch_size'] / rate):,} training examples",
        f"q = {rate:.4g} (expected batch size {one['expected_batch_size']:g})",
        f"{int(runs['steps_taken'].max()):,} steps ({one['epochs']:g} epochs)",
        *_texts(_shared(runs)),
    ]
    private = runs[runs["epsilon"] < math.inf]
    if private.empty:
        return f"{', '.join(parts)}."
    accountant = str(private.iloc[0]["accountant"]).upper()
    sigmas = private.sort_values("epsilon").groupby("epsilon")["noise_multiplier"].first()
    by_epsilon = zip(sigmas.index, sigmas, strict=True)
    noise = ", ".join(f"{sigma:.4g} at ε = {epsilon_text(epsilon)}" for epsilon, sigma in by_epsilon)
    return f"{', '.join(parts)}, δ = {one['delta']:g} (accountant: {accountant}). Noise multiplier: {noise}."


def settings(runs: pd.DataFrame) -> dict[str, str]:
    """By method, its hyper-parameters and those of training that it does not share; by epsilon where they differ."""
    shared, found = _shared(runs), {}
    for method, of_method in runs.groupby("method", sort=False):
        cells = of_method.drop_duplicates("epsilon").sort_values("epsilon")
        said: dict[str, list[str]] = {}
        for _, one in cells.iterrows():
            said.setdefault(_said(one, shared), []).append(epsilon_text(one["epsilon"]))
        parts = [f"{text} at ε = {', '.join(epsilons)}" for text, epsilons in said.items()]
        found[str(method)] = next(iter(said)) if len(said) == 1 else " and ".join(parts)
    return found


def _said(run: pd.Series[Any], shared: Own) -> str:
    pairs = dict(pair.split("=") for pair in str(run["settings"]).split(",") if "=" in pair)
    if NO_MOMENTUM.items() <= pairs.items():
        pairs = {key: value for key, value in pairs.items() if key not in ("iterates", "decay")}
    own = {key: value for key, value in _own(run).items() if shared.get(key) != value}
    return ", ".join([*(f"{key} = {value}" for key, value in pairs.items()), *_texts(own)])


def _texts(own: Own) -> list[str]:
    return [f"{SHARED[key]} {value if isinstance(value, str) else f'{value:g}'}" for key, value in own.items()]


def _shared(runs: pd.DataFrame) -> Own:
    """What all private methods have in common, or where there is none, all methods."""
    private = runs[runs["epsilon"] < math.inf]
    compared = (runs if private.empty else private).drop_duplicates(["method", "epsilon"])
    values = [_own(one) for _, one in compared.iterrows()]
    return {key: value for key, value in values[0].items() if all(of.get(key) == value for of in values)}


def _own(run: pd.Series[Any]) -> Own:
    """With its optimiser, or, of the heavy ball, the momentum."""
    texts = {key: str(run[key]) for key in TEXTS if isinstance(run.get(key), str)}
    left_out = (*TEXTS, "momentum") if "optimiser" in texts else TEXTS
    numbers = {key: float(f"{float(run[key]):.9g}") for key in SHARED if key not in left_out}
    return {**{key: value for key, value in numbers.items() if math.isfinite(value)}, **texts}
