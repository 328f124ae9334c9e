"""A small study to explore, and what of its page a reader sees and does."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import Page

from psasc_bench.analysis import default_roles, primary, results

METHODS = {"dp-sgd": "DP-SGD", "dp-psasc": "DP-PSASC", "mine": "My method", "nonprivate": "non-private"}
HOSTILE = '</script><img src="http://example.org/x.png" onerror="document.title=1"> & "co", 1'
DATASETS = {"digits": "Digits", "hostile": HOSTILE}
TEST_EXAMPLES = {"digits": 10_000, "hostile": 100}  # the latter too few to decide anything
DESKTOP, PHONE = (1280, 900), (390, 844)
CELLS = [*itertools.product([1.0, 8.0], ["dp-sgd", "dp-psasc", "mine"]), (math.inf, "nonprivate")]
Open = Callable[..., Page]
ANSWER = {"method": "dp-psasc", "method_title": "DP-PSASC", "reference": "dp-sgd", "reference_title": "DP-SGD"}
ANSWER |= {"tuned": False, "datasets": 1, "mean": 0.01, "low": 0.002, "high": 0.018, "tau": 0.003, "i_squared": 0.25}
ANSWER |= {"q_p": 0.4, "prediction_low": -0.01, "prediction_high": 0.03, "probability_higher": 0.625}
ANSWER |= {"probability_within": 0.25, "probability_lower": 0.125}


def score(method: str, epsilon: float, seed: int) -> float:
    """Each method a point above the one before, give or take a hundredth from seed to seed."""
    place = list(METHODS).index(method)
    return 0.8 + 0.01 * place + 0.0001 * place * (seed - 1) + 0.002 * min(epsilon, 20) + 0.01 * seed**2


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
            result["test_examples"] = TEST_EXAMPLES[dataset]
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
    decisions = primary.primary_decisions(table, default_roles(table))
    frames["comparisons"] = primary.comparison_table(decisions, METHODS, DATASETS)
    frames["answer"] = pd.DataFrame([ANSWER])
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    mine = {"method": "dp-psac", "title": METHODS["mine"]}
    of_hostile = {"source": "digits", "title": HOSTILE}
    study = {"epsilons": [1, 8], "methods": {"dp-sgd": {}, "dp-psasc": {}, "mine": mine, "nonprivate": {}}}
    (folder / "study.json").write_text(json.dumps(study | {"datasets": {"digits": {}, "hostile": of_hostile}}))
    return folder


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
