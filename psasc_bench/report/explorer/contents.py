"""What the page holds: the tidy tables as people read them, accuracies in percent and their differences in points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from psasc_bench.analysis import CELL, IDENTITIES, MARGIN, RUN, UNFINISHED
from psasc_bench.report.tables import Tables, averages

ACCURACY, DIFFERENCE = "accuracy_percent", "difference_points"
# Fractions, and what they are called in percent or in percentage points.
SCALED = {"test_accuracy": ACCURACY, "accuracy": ACCURACY, "mean": DIFFERENCE}
PERCENT = ["confidence", "i_squared", "probability_higher", "probability_within", "probability_lower"]
PERCENT += ["below_peak", "relative_error", "nonprivate_below_peak", "nonprivate_relative_error"]
POINTS = ["low_90", "high_90", "sd", "detectable", "tau", "prediction_low", "prediction_high"]
SCALED |= {name: f"{name}_percent" for name in PERCENT} | {name: f"{name}_points" for name in POINTS}
CLOSE = f"{100 * MARGIN:g}"  # points: differences within this are practically none
HEADINGS = {"within": f"within ±{CLOSE}", "gain_excluded": f"gain of {CLOSE} excluded"}
UNITS = {"_percent": " (%)", "_points": " (points)"}
DECIDED = ("comparisons", "answer")
# The method and what was decided of it come first.
FIRST = ["claim", "sweep", "method", "primary_comparison", "reference", "sign", "within", "gain_excluded"]
FIRST += ["dataset", "epsilon", "seed", "status", ACCURACY, DIFFERENCE, "n"]


def contents(tables: Tables) -> dict[str, pd.DataFrame]:
    """What the page holds, by table. Raises ``OSError`` or ``ValueError`` for an absent table that must be there."""
    reference = tables.roles.reference
    runs, curves = tables.read("runs"), tables.curves
    finished = runs.assign(test_accuracy=runs["test_accuracy"].where(runs["status"] == "done"))
    primary, answer = (_decided(tables, name) for name in DECIDED)
    frames = {
        "forest": _forest(primary, answer, reference),
        "comparisons": primary,
        "answer": answer,
        "summary": _summary(tables.summary, primary, reference),
        "runs": _paired(_scaled(finished), RUN, reference),
        "curves": _by_epoch(_paired(_scaled(curves), [*RUN, "epoch"], reference)),
        "deviation": _by_epoch(_scaled(tables.requested("deviation", any_epsilon=True))),
        "weights": _weights(tables.weights),
        "sweeps": _scaled(tables.requested("sweeps", any_epsilon=True)),
    }
    for name in ("audit", "claims", "cost"):
        if (tables.folder / f"{name}.csv").exists():
            frames[name] = _scaled(tables.read(name)) if name == "audit" else tables.read(name)
    if len(frames.get("audit", [])):
        frames["audit"] = _with_schedule(frames["audit"])
    return {name: _ordered(frame) for name, frame in frames.items() if name == "runs" or len(frame)}


def _decided(tables: Tables, name: str) -> pd.DataFrame:
    path = tables.folder / f"{name}.csv"
    if not path.exists():
        raise ValueError(f"{path}: not there, so the results are of an older version; `snakemake --cores 2` makes it")
    if (table := tables.read(name)).empty:
        return table
    half = 100 * (table["high"] - table["mean"])
    return _scaled(table.drop(columns=["low", "high"])).assign(**{f"{DIFFERENCE}_half": half})


def _forest(primary: pd.DataFrame, answer: pd.DataFrame, reference: str | None) -> pd.DataFrame:
    """Differences to the ``reference``: a panel per data set, and the mean over them last."""
    parts = []
    for name, table in zip(DECIDED, (primary, answer), strict=True):
        if table.empty or (rows := table[table["reference"] == reference]).empty:
            continue
        if name == "answer":
            panel = "Mean over data sets" + rows["tuned"].map({True: ", tuned", False: ""})
            rows = rows.assign(panel=panel, said=rows["probability_higher_percent"].map(_chance))
        else:
            rows = rows.assign(panel=rows["dataset_title"], said=_words(rows))
        parts.append(rows[["panel", "method", DIFFERENCE, f"{DIFFERENCE}_half", "said"]].dropna())
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _chance(percent: float) -> str:
    return f"gain above {CLOSE}: {percent:.0f} %"


def _words(primary: pd.DataFrame) -> list[str]:
    """Of each primary comparison, sign and size as they were decided."""
    sizes = {"yes": f"within ±{CLOSE}", "no": f"not within ±{CLOSE}", "unresolved": "size unresolved"}
    found = []
    for decides, sign, within, gain_excluded in primary[["decides", "sign", "within", "gain_excluded"]].to_numpy():
        gain = f"no gain of {CLOSE}" if gain_excluded == "yes" and within == "unresolved" else ""
        said = ", ".join(part for part in (sign, sizes.get(within), gain) if part and isinstance(part, str))
        found.append(said if decides else "decides nothing")
    return found


def _summary(cells: pd.DataFrame, primary: pd.DataFrame, reference: str | None) -> pd.DataFrame:
    """The cells, each with what the primary comparison of its method to the ``reference`` says of the data set."""
    kept = [column for column in [*CELL, "control", "n", *UNFINISHED, "n_pairs", "identical"] if column in cells]
    table = cells[kept].copy()
    for name, quantity in (("accuracy", ACCURACY), ("difference", DIFFERENCE)):
        table[quantity] = 100 * cells[f"{name}_mean"]
        table[f"{quantity}_half"] = 100 * (cells[f"{name}_high"] - cells[f"{name}_mean"])
    if primary.empty:
        return table
    rows = primary[primary["reference"] == reference]
    said = rows[["dataset", "method"]].assign(primary_comparison=_words(rows))
    return table.merge(said, on=["dataset", "method"], how="left", validate="many_to_one")


def _paired(rows: pd.DataFrame, key: Sequence[str], reference: str | None) -> pd.DataFrame:
    """With the difference in accuracy to the row of the ``reference`` of the same seed, and epoch if there are any."""
    if ACCURACY not in rows:
        return rows
    shared = [name for name in key if name != "method"]
    base = rows.loc[rows["method"] == reference, [*shared, ACCURACY]]
    beside = rows[shared].merge(base, on=shared, how="left", validate="many_to_one")[ACCURACY].to_numpy()
    return rows.assign(**{DIFFERENCE: np.where(rows["method"] == reference, np.nan, rows[ACCURACY] - beside)})


def _by_epoch(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of all quantities by cell and epoch, and half the width of their intervals."""
    if rows.empty:
        return rows
    found: dict[str, pd.Series[float]] = {}
    numbers = rows.drop(columns=[*RUN, "epoch", "step"], errors="ignore").select_dtypes("number")
    for quantity in map(str, numbers.dropna(axis="columns", how="all")):
        means = pd.concat(averages(rows[quantity], rows), names=CELL)
        found |= {quantity: means["mean"], f"{quantity}_half": means["high"] - means["mean"]}
    return pd.DataFrame(found).reset_index().sort_values(["dataset", "epsilon"], kind="stable")


def _weights(weights: pd.DataFrame) -> pd.DataFrame:
    """In units of the sensitivity, which is what the noise is measured in."""
    if weights.empty:
        return weights
    relative = weights["weight"] / weights["sensitivity"]
    columns = {"relative_weight": relative, "relative_contribution": weights["norm"] * relative}
    return weights[["dataset", "method", "norm"]].assign(**columns)


def _with_schedule(audit: pd.DataFrame) -> pd.DataFrame:
    schedule = [f"q = {q:g}, {n:g} steps" for q, n in audit[["sampling_rate", "steps"]].to_numpy()]
    return audit.assign(schedule=schedule).sort_values("schedule", kind="stable")


def _scaled(table: pd.DataFrame) -> pd.DataFrame:
    scaled = {column: 100 * table[column] for column in SCALED if column in table}
    return table.assign(**scaled).rename(columns=SCALED)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Without titles, which the page knows by name, and with what a row is about first."""
    columns = [column for column in map(str, table) if not column.endswith("_title") and column not in IDENTITIES]
    places = {name: i for i, name in enumerate(FIRST)}
    columns.sort(key=lambda column: places.get(column.removesuffix("_half"), len(FIRST)))
    return table[columns]


def heading(column: str) -> str:
    """A column's name, as people read it."""
    if column in HEADINGS:
        return HEADINGS[column]
    for suffix, unit in UNITS.items():
        column = column.removesuffix(suffix) + unit if column.endswith(suffix) else column
    return column.replace("_", " ")
