"""Hand-made tables of a study, and what the claims are found to be by them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from psasc_bench.analysis import claims, results
from psasc_bench.study import default_roles_of

LABELS = {"dataset": "digits", "epsilon": 3.0, "dataset_title": "Digits", "method_title": "M", "control": False}
SGD = [0.50, 0.60, 0.70]
# Differences to DP-SGD of 2, 3 and 4 points: mean .03, standard error .01/sqrt(3), t = 3 sqrt(3).
AHEAD = [0.52, 0.63, 0.74]
P_AHEAD = 1 - math.sqrt(27 / 29)  # two degrees of freedom: p = 1 - t/sqrt(2 + t^2)
# Accuracies within a point of the best: of four settings at each of three seeds.
NARROW = [[0.90, 0.895, 0.80, 0.70], [0.91, 0.90, 0.80, 0.70], [0.90, 0.80, 0.80, 0.70]]  # 2, 2 and 1 of 4
WIDE = [[0.80, 0.795, 0.795, 0.795], [0.80, 0.79, 0.79, 0.79], [0.80, 0.795, 0.795, 0.70]]  # 4, 4 and 3 of 4


def runs(*, test_examples: int = 10_000, **accuracies: list[float]) -> pd.DataFrame:
    """Of methods with underscores for dashes; NaN is a run that is missing."""
    rows: list[dict[str, Any]] = []
    for name, values in accuracies.items():
        for seed, accuracy in enumerate(values):
            status = "missing" if math.isnan(accuracy) else "done"
            run = {"method": name.replace("_", "-"), "seed": seed, "status": status, "test_accuracy": accuracy}
            rows.append(LABELS | run | {"steps_taken": 100, "test_examples": test_examples})
    return pd.DataFrame(rows)


def study(*, test_examples: int = 10_000, **accuracies: list[float]) -> dict[str, pd.DataFrame]:
    table = runs(test_examples=test_examples, **accuracies)
    return {"runs": table, "summary": results.summarise(table, "dp-sgd")}


def curves(**epochs: list[list[float]]) -> pd.DataFrame:
    """Per method and seed, the test accuracy at the end of each epoch of ten steps."""
    rows = [
        LABELS
        | {"method": name.replace("_", "-"), "seed": seed, "status": "done"}
        | {"epoch": epoch, "step": 10 * epoch, "test_accuracy": accuracy}
        for name, seeds in epochs.items()
        for seed, values in enumerate(seeds)
        for epoch, accuracy in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def deviation(trajectory: str = "dp-sgd", column: str = "released_cosine", **values: list[float]) -> pd.DataFrame:
    """Per method and seed, the value of a column at each of four epochs; in the others all methods are alike."""
    table = curves(**{method: [[value] * 4 for value in seeds] for method, seeds in values.items()})
    table = table.rename(columns={"test_accuracy": column}).drop(columns=["status", "step"])
    alike = {"quarter_weight": 0.25, "effective_sample_size": 1.0, "released_cosine": 0.5}
    return table.assign(trajectory=trajectory, **{name: alike[name] for name in alike.keys() - {column}})


def sweep(name: str = "grid", evaluation: str = "validation", **grids: list[list[float]]) -> pd.DataFrame:
    """Per method and seed, the accuracy of each setting; NaN is a run that diverged."""
    rows = [
        LABELS
        | {"sweep": name, "evaluation": evaluation, "method": method.replace("_", "-"), "seed": seed}
        | {"learning_rate": setting, "accuracy": accuracy, "status": "diverged" if math.isnan(accuracy) else "done"}
        for method, seeds in grids.items()
        for seed, values in enumerate(seeds)
        for setting, accuracy in enumerate(values)
    ]
    return pd.DataFrame(rows)


def momentum(iterates: int, epochs: int, accuracies: list[float], evaluation: str = "test") -> pd.DataFrame:
    table = sweep("momentum", evaluation, dp_psasc=[[accuracy] for accuracy in accuracies])
    settings = f"epochs={epochs},iterates={iterates}"
    return table.assign(settings=settings, iterates=iterates, epochs=epochs, steps_taken=10 * epochs)


def audited(*, refuted: bool = False, problem: str | None = None, method: str = "dp-psasc") -> dict[str, pd.DataFrame]:
    """Two attacks on each method's claim of 3, one sharper than the other, and two runs' ledgers."""
    attacks = [
        {"epsilon": 3.0, "method": name, "epsilon_claimed": 2.5, "epsilon_lower": lower, "refuted": False}
        for name in ("dp-sgd", "dp-psasc")
        for lower in (0.5, 2.0)
    ]
    ledger = [
        {"run": f"digits/{name}/eps-3/seed-{seed}", "epsilon": 3.0, "problem": None}
        for name in ("dp-sgd", "dp-psasc")
        for seed in (0, 1)
    ]
    audit, ledgers = pd.DataFrame(attacks), pd.DataFrame(ledger)
    audit.loc[audit["method"] == method, "refuted"] = refuted
    ledgers.loc[ledgers["run"] == f"digits/{method}/eps-3/seed-1", "problem"] = problem
    return {"audit": audit, "ledger": ledgers}


def decided(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """By the roles that the study of DP-PSASC gives its methods, those that it has."""
    names = pd.concat([table["method"] for table in tables.values() if "method" in table] or [pd.Series(dtype=str)])
    roles = default_roles_of([str(name) for name in names.unique()])
    return claims.decide_claims(tables, roles, claims.claims_about(roles, {}))


def found(claim: str, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = decided(tables)
    return rows[rows["claim"] == claim].reset_index(drop=True)


def only(claim: str, tables: dict[str, pd.DataFrame], *, measure: str = "") -> pd.Series:
    """The one finding, of a measure that is called so if there are several."""
    (row,) = (row for _, row in found(claim, tables).iterrows() if measure in ("", row["measure"]))
    return row


def words(rows: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(rows[["sign", "within", "gain_excluded"]].itertuples(index=False, name=None))
