"""Test accuracies that others have published, to stand beside ours."""

from __future__ import annotations

from importlib import resources

import pandas as pd


def accuracies() -> pd.DataFrame:
    """``reference.csv``: percent, with their sources, which its comments name in full."""
    with resources.files("psasc_bench").joinpath("reference.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype={"dataset": str, "method": str})
