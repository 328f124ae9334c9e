"""The tables of primary comparisons and of their means over data sets, by textbook formulas, of hand-made runs."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

MARGIN = 0.002


def comparisons(
    runs: pd.DataFrame, reference: str, *, undecided: Collection[str] = (), tuned: Collection[str] = ()
) -> pd.DataFrame:
    """A row per data set and method: the mean over its budgets of the difference to ``reference``, paired by seed."""
    done = runs[(runs["status"] == "done") & ~runs["control"]]
    titles = dict(zip(runs["method"], runs["method_title"], strict=True))
    rows: list[dict[str, Any]] = []
    for (dataset, title), of_one in done.groupby(["dataset", "dataset_title"], sort=False):
        wide = of_one.pivot(index="seed", columns=["method", "epsilon"], values="test_accuracy")
        if reference not in wide.columns.get_level_values("method"):
            continue
        for method in of_one["method"].unique():
            differences = (wide[method] - wide[reference]).dropna(axis="columns", how="all").dropna()
            if method == reference or differences.empty:
                continue
            row = {"dataset": dataset, "dataset_title": title, "method": method, "method_title": titles[method]}
            row |= {"reference": reference, "reference_title": titles[reference]}
            row |= {"tuned": dataset in tuned, "decides": dataset not in undecided}
            row |= {"budgets": ", ".join(f"{epsilon:g}" for epsilon in differences)}
            rows.append(row | _compared(differences.mean(axis="columns"), decides=bool(row["decides"])))
    return pd.DataFrame(rows)


def _compared(values: pd.Series[float], *, decides: bool) -> dict[str, Any]:
    n, mean, sd = len(values), values.mean(), values.std() if len(values) > 1 else math.nan
    low, high = (mean + sign * stats.t.ppf(0.975, n - 1) * sd / n**0.5 for sign in (-1, 1))
    low_90, high_90 = (mean + sign * stats.t.ppf(0.95, n - 1) * sd / n**0.5 for sign in (-1, 1))
    found = {"n": n, "mean": mean, "low": low, "high": high, "low_90": low_90, "high_90": high_90, "sd": sd}
    found["identical"] = int((values == 0).sum())
    if not decides or n < 2:
        return found | {"sign": "", "within": "", "gain_excluded": ""}
    sign = "higher" if low > 0 else "lower" if high < 0 else "identical" if low == high else "unresolved"
    apart = low > MARGIN or high < -MARGIN
    within = "yes" if low_90 > -MARGIN and high_90 < MARGIN else "no" if apart else "unresolved"
    return found | {"sign": sign, "within": within, "gain_excluded": "yes" if high_90 < MARGIN else "no"}


def answers(comparisons: pd.DataFrame) -> pd.DataFrame:
    """A row per method, and whether tuned: a random-effects mean over the data sets that decide, by DerSimonian and
    Laird; none where there are fewer than two."""
    rows = []
    columns = ["method", "method_title", "reference", "reference_title", "tuned"]
    deciding = comparisons[comparisons["decides"] & comparisons["low"].notna()] if len(comparisons) else comparisons
    for key, group in deciding.groupby(columns, sort=False) if len(deciding) else ():
        k = len(group)
        if k < 2:
            continue
        effects, variances = group["mean"].to_numpy(), (group["sd"] ** 2 / group["n"]).clip(lower=1e-9).to_numpy()
        fixed = 1 / variances
        q = (fixed * (effects - np.average(effects, weights=fixed)) ** 2).sum()
        tau2 = max(0.0, (q - (k - 1)) / (fixed.sum() - (fixed**2).sum() / fixed.sum()))
        mean, error = np.average(effects, weights=1 / (variances + tau2)), (1 / (variances + tau2)).sum() ** -0.5
        half = stats.t.ppf(0.975, k - 1) * error
        ahead = stats.t.ppf(0.975, k - 2) * math.hypot(error, tau2**0.5) if k > 2 else math.nan
        row = dict(zip(columns, key, strict=True)) | {
            "datasets": k,
            "mean": mean,
            "low": mean - half,
            "high": mean + half,
        }
        row |= {"tau": tau2**0.5, "prediction_low": mean - ahead, "prediction_high": mean + ahead}
        higher, lower = stats.t.sf(np.array([MARGIN - mean, MARGIN + mean]) / error, k - 1)
        rows.append(row | {"probability_higher": higher, "probability_lower": lower})
    return pd.DataFrame(rows, columns=None if rows else [*columns, "datasets", "mean"])
