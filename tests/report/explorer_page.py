"""A small study to explore, and what of its page a reader sees and does."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import Page
from scipy import stats

from psasc_bench.analysis import MARGIN, results, t_interval

METHODS = {"dp-sgd": "DP-SGD", "dp-psasc": "DP-PSASC", "mine": "My method", "nonprivate": "non-private"}
HOSTILE = '</script><img src="http://example.org/x.png" onerror="document.title=1"> & "co", 1'
DATASETS = {"digits": "Digits", "hostile": HOSTILE}
DESKTOP, PHONE = (1280, 900), (390, 844)
CELLS = [*itertools.product([1.0, 8.0], ["dp-sgd", "dp-psasc", "mine"]), (math.inf, "nonprivate")]
Open = Callable[..., Page]
ANSWER = {"method": "dp-psasc", "method_title": "DP-PSASC", "reference": "dp-sgd", "reference_title": "DP-SGD"}
ANSWER |= {"tuned": False, "datasets": 1, "mean": 0.01, "low": 0.002, "high": 0.018, "tau": 0.003, "i_squared": 0.25}
ANSWER |= {"q_p": 0.4, "prediction_low": -0.01, "prediction_high": 0.03, "probability_higher": 0.625}
ANSWER |= {"probability_within": 0.25, "probability_lower": 0.125}


def score(method: str, epsilon: float, seed: int) -> float:
    return 0.8 + 0.01 * list(METHODS).index(method) + 0.002 * min(epsilon, 20) + 0.01 * seed**2


def write_study(folder: Path) -> Path:
    runs, curves, weights = [], [], []
    norm = np.logspace(-2, 1, 5)
    for dataset, title in DATASETS.items():
        for (epsilon, method), seed in itertools.product(CELLS, range(3)):
            failed = (dataset, epsilon, method, seed) == ("digits", 8.0, "mine", 2)
            key: dict[str, Any] = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": title, "method_title": METHODS[method], "status": "diverged" if failed else "done"}
            accuracy = np.nan if failed else score(method, epsilon, seed)
            result = {"control": method == "nonprivate", "delta": 1e-5, "test_accuracy": accuracy}
            runs.append(key | result | {"test_loss": 0.5, "reason": HOSTILE if failed else None})
            curves += [key | {"epoch": i, "test_accuracy": accuracy * i / 3, "test_loss": 1 / i} for i in (1, 2, 3)]
        for method in ("dp-sgd", "dp-psasc", "mine"):
            weight = {"norm": norm, "weight": 0.1 / (norm + 0.1), "sensitivity": 0.1}
            labels = {"dataset": dataset, "method": method, "method_title": METHODS[method]}
            weights.append(pd.DataFrame(labels | weight))
    audit = [
        {"epsilon": epsilon, "method": method, "method_title": METHODS[method], "sampling_rate": 1.0, "steps": 10}
        | {"epsilon_claimed": epsilon, "epsilon_lower": epsilon / 2, "delta": 1e-5, "confidence": 0.999}
        for epsilon, method in CELLS[:-1]
    ]
    table = pd.DataFrame(runs)
    frames = {"runs": table, "summary": results.summarise(table, "dp-sgd"), "curves": pd.DataFrame(curves)}
    frames |= {"weights": pd.concat(weights), "audit": pd.DataFrame(audit)}
    frames["comparisons"] = compare(table, "dp-sgd", undecided=["hostile"])
    frames["answer"] = pd.DataFrame([ANSWER])
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    mine = {"method": "dp-psac", "title": METHODS["mine"]}
    of_hostile = {"source": "digits", "title": HOSTILE}
    study = {"epsilons": [1, 8], "methods": {"dp-sgd": {}, "dp-psasc": {}, "mine": mine, "nonprivate": {}}}
    (folder / "study.json").write_text(json.dumps(study | {"datasets": {"digits": {}, "hostile": of_hostile}}))
    return folder


def compare(runs: pd.DataFrame, reference: str, *, undecided: Collection[str] = ()) -> pd.DataFrame:
    """A row per method that is no control and data set: seeds' mean differences over the budgets, by t-tests that are
    not corrected."""
    rows = []
    values = runs[~runs["control"]].pivot(
        index=["dataset", "seed"], columns=["method", "epsilon"], values="test_accuracy"
    )
    titles = dict(zip(runs["dataset"], runs["dataset_title"], strict=True))
    for dataset, method in itertools.product(titles, values.columns.unique("method").drop(reference)):
        differences = (values[method] - values[reference]).loc[dataset].mean(axis=1, skipna=False).dropna()
        mean, low, high = t_interval(differences.to_numpy())
        inner = (high - mean) * stats.t.ppf(0.95, len(differences) - 1) / stats.t.ppf(0.975, len(differences) - 1)
        decides = dataset not in undecided
        row = {"dataset": dataset, "dataset_title": titles[dataset], "method": method, "method_title": METHODS[method]}
        row |= {"reference": reference, "reference_title": METHODS[reference], "tuned": False, "decides": decides}
        row |= {"budgets": "1, 8", "n": len(differences), "mean": mean, "low": low, "high": high}
        row |= {
            "low_90": mean - inner,
            "high_90": mean + inner,
            "sd": differences.std(),
            "identical": 0,
            "p_holm": 0.04,
        }
        row |= {"sign": "", "p_holm": 0.04, "within_p_holm": 1.0, "within": "", "gain_p_holm": 1.0, "gain_excluded": ""}
        if decides:
            sign = "higher" if low > 0 else "lower" if high < 0 else "unresolved"
            within = "yes" if max(-row["low_90"], row["high_90"]) < MARGIN else "no" if low > MARGIN else "unresolved"
            row |= {"sign": sign, "within": within, "gain_excluded": "yes" if row["high_90"] < MARGIN else "no"}
        rows.append(row | {"detectable": 0.0031, "seeds_needed": 7})
    return pd.DataFrame(rows)


def choose(page: Page, label: str, *, checked: bool = True) -> None:
    page.locator("#filters").get_by_label(label, exact=True).set_checked(checked)
    page.evaluate("refresh()")  # whose promise holds once all is drawn


def show(page: Page, figure: str, quantity: str) -> None:
    page.locator(f"#figure-{figure} select").select_option(label=quantity)
    page.evaluate("refresh()")


def marks(page: Page, figure: str, layer: str) -> list[dict[str, str]]:
    """What the marks of a layer tell a screen reader, by field."""
    found = page.locator(f"#figure-{figure} g.{layer}_marks [aria-label]")
    labels = [mark.get_attribute("aria-label") or "" for mark in found.all()]
    return [dict(part.split(": ", 1) for part in label.split("; ")) for label in labels]


def means(page: Page, figure: str = "accuracy") -> dict[tuple[str, str], dict[str, str]]:
    return {(mark["method"], mark["epsilon"]): mark for mark in marks(page, figure, "means")}


def plain(text: str) -> float:
    """A number as it is shown."""
    return float(text.replace("\N{MINUS SIGN}", "-"))


def column(page: Page, table: str, name: str) -> list[str]:
    heads = page.locator(f"#table-{table} thead th").all_inner_texts()
    place = [re.sub(r"[^\w)]+$", "", head) for head in heads].index(name)
    return page.locator(f"#table-{table} tbody :nth-child({place + 1}):is(th, td)").all_inner_texts()


def color(page: Page, selector: str, name: str) -> str:
    """The computed colour, as ``#rrggbb``."""
    found = page.locator(selector).first.evaluate(f"one => getComputedStyle(one)[{name!r}]")
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", found)[:3])
