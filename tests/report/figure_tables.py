"""The tables of a small study, made by the suite's own functions of hand-made runs, and what a figure of them shows."""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from psasc_bench.analysis import default_roles, primary, ranks, results
from psasc_bench.report import plots, style
from psasc_bench.study import Roles

Key = tuple[str, float, int]
Tables = Callable[..., Path]
TITLES = {
    "dp-sgd": "DP-SGD",
    "auto-s": "Auto-S",
    "dp-psasc": "DP-PSASC",
    "mine": "My method",
    "nonprivate": "non-private",
    "noise-only": "noise only",
}
CONTROLS = ("nonprivate", "noise-only")
SCHEDULES = [(1.0, 10), (0.25, 20)]
ACCURACY = {"nonprivate": 0.95, "noise-only": 0.1}
EPOCHS, STEPS = 5, 100
COSTS = [
    {"model": model, "batch": 64, "contestant": name, "median": median, "q25": 0.9 * median, "q75": 1.1 * median}
    for model, medians in {"small": [1.0, 1.5, 3.0], "large": [1.0, 1.1, np.nan]}.items()
    for name, median in zip(["plain", "psasc-bench", "other"], medians, strict=True)
]


def write_tables(
    folder: Path,
    *,
    methods: Iterable[str] = tuple(TITLES),
    datasets: Iterable[str] = ("digits",),
    epsilons: Iterable[float] = (1.0, 8.0),
    seeds: int = 3,
    status: Callable[[Key], str] = lambda _: "done",
    refuted: Iterable[str] = (),
    undecided: Collection[str] = (),
    tuned: Collection[str] = (),
) -> Path:
    """``status`` says of each run, by method, epsilon and seed, what has become of it; the audit has ``refuted`` the
    claims of these methods. Data sets that are ``undecided`` decide nothing."""
    private = [method for method in methods if method not in CONTROLS]
    runs, curves = [], []
    for dataset, method in itertools.product(datasets, methods):
        for epsilon, seed in itertools.product([math.inf] if method == "nonprivate" else epsilons, range(seeds)):
            state = status((method, epsilon, seed))
            score = ACCURACY.get(method, 0.8) + (0.01 + 0.001 * len(method)) * seed
            key = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": dataset.title(), "method_title": TITLES.get(method, method), "status": state}
            result = score if state == "done" else np.nan
            columns = {"control": method in CONTROLS, "delta": 1e-5, "test_accuracy": result, "steps_taken": STEPS}
            runs.append(key | columns)
            if state in ("done", "diverged"):
                curves += [key | _epoch(epoch, score) for epoch in range(1, EPOCHS + 1)]
    table = pd.DataFrame(runs)
    table["test_examples"] = np.where(table["dataset"].isin(undecided), 360, 10_000)
    table["tuned"] = table["dataset"].isin(tuned)
    frames = {
        "runs": table,
        "summary": results.summarise(table, "dp-sgd"),
        **primary_tables(table),
        "ranks": ranks(table),
        "curves": pd.DataFrame(curves),
        "weights": _weights(datasets, private),
        "audit": _audit(private, refuted),
        "deviation": _deviation(datasets, private, epsilons),
        "sweeps": _sweeps(table[~table["control"]]),
        "cost": pd.DataFrame(COSTS),
    }
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def primary_tables(runs: pd.DataFrame, roles: Roles | None = None) -> dict[str, pd.DataFrame]:
    """``comparisons`` and ``answer`` of hand-made runs, for methods in these roles, or in those that their names have.
    An answer is only given for data sets of which one test example is less than the margin; runs that do not say how
    many there are have enough."""
    decisions = primary.primary_decisions(runs, roles or default_roles(runs))
    titles = dict(zip(runs["method"], runs["method_title"], strict=True))
    datasets = dict(zip(runs["dataset"], runs["dataset_title"], strict=True))
    return {
        "comparisons": primary.comparison_table(decisions, titles, datasets),
        "answer": primary.answer_table(decisions, titles),
    }


def _epoch(epoch: int, score: float) -> dict[str, float]:
    norms = {"norm_q10": 0.1 / epoch, "norm_q50": score, "norm_q90": 2.0, "below_peak": 0.1 * epoch}
    measured = {"cosine": score / epoch, "relative_error": 1 - score / epoch} if epoch % 2 else {}
    columns = {"train_loss": 2 / epoch, "signal_to_noise": 1 / epoch, **norms, **measured}
    return {"epoch": epoch, "test_accuracy": score * epoch / EPOCHS, **_nonprivate(columns)}


def _nonprivate(columns: dict[str, float]) -> dict[str, float]:
    return {f"nonprivate_{name}": value for name, value in columns.items()}


def _weights(datasets: Iterable[str], methods: Iterable[str]) -> pd.DataFrame:
    """Weights that fall, each its own, but for that of DP-PSASC, which peaks at ``sqrt(.25) - .1``."""
    norm = np.logspace(-2, 1, 31)
    frames = []
    for dataset, (order, method) in itertools.product(datasets, enumerate(methods)):
        beside = 0.25 / (norm + 0.1) if method == "dp-psasc" else 0.06 + 0.001 * order
        columns = {"norm": norm, "weight": 0.1 / (norm + beside), "sensitivity": 0.1}
        frames.append(pd.DataFrame({"dataset": dataset, "method": method, **columns}))
    return pd.concat(frames) if frames else pd.DataFrame()


def _audit(methods: Iterable[str], refuted: Iterable[str]) -> pd.DataFrame:
    rows = []
    for (sampling_rate, steps), epsilon, method in itertools.product(SCHEDULES, [1.0, 8.0], methods):
        key = {
            "epsilon": epsilon,
            "method": method,
            "method_title": TITLES.get(method, method),
            "refuted": method in refuted,
        }
        key |= {"sampling_rate": sampling_rate, "steps": steps, "delta": 1e-5, "trials": 2000, "confidence": 0.999}
        bound = (1.5 if method in refuted else 0.9 - 0.01 * len(method)) * epsilon
        rows.append(key | {"epsilon_claimed": 0.95 * epsilon, "epsilon_lower": bound})
    return pd.DataFrame(rows)


def _deviation(datasets: Iterable[str], methods: Iterable[str], epsilons: Iterable[float]) -> pd.DataFrame:
    keys = ["dataset", "method", "epsilon", "seed", "epoch"]
    rows = itertools.product(datasets, methods, epsilons, [0, 1], range(1, EPOCHS + 1))
    table = pd.DataFrame(rows, columns=keys)
    cosine = 1 / table["epoch"] - 0.1 * table["seed"] if len(table) else None
    weights = {"quarter_weight": 0.3, "effective_sample_size": 0.9}
    return table.assign(trajectory="dp-sgd", cosine=cosine, relative_error=0.5, released_cosine=cosine, **weights)


def _sweeps(runs: pd.DataFrame) -> pd.DataFrame:
    """Of every method a grid of rates and ``r`` at the first epsilon, and inner momentum at the last: as many
    steps as the study's runs, and half as many."""
    cell = ["dataset", "dataset_title", "method", "method_title"]
    rows: list[dict[str, Any]] = []
    for key in runs[cell].drop_duplicates().to_dict("records"):
        own = runs[(runs["dataset"] == key["dataset"]) & (runs["method"] == key["method"])]
        key |= {"status": "done", "sensitivity": 0.1}
        for rate, r, seed in itertools.product([0.5, 1.0], [0.1, 1.0], [100, 101]):
            trial = {"sweep": "tuning", "evaluation": "validation", "settings": f"learning_rate={rate:g},r={r:g}"}
            columns = {"epsilon": own["epsilon"].min(), "seed": seed, "learning_rate": rate, "r": r}
            rows.append(key | trial | columns | {"accuracy": 0.9 - 0.008 * rate - 0.02 * r + 0.0001 * seed})
        for steps, seed in itertools.product([STEPS, STEPS // 2], own["seed"].unique()):
            settings = "decay=0.5,iterates=2" + ("" if steps == STEPS else ",epochs=2")
            trial = {"sweep": "momentum", "evaluation": "test", "settings": settings, "iterates": 2, "decay": 0.5}
            columns = {"epsilon": own["epsilon"].max(), "seed": seed, "steps_taken": steps}
            rows.append(key | trial | columns | {"accuracy": 0.8 - 0.01 * seed + steps / 10000})
    return pd.DataFrame(rows)


def written(figure: str, folder: Path) -> str:
    """Draws a figure and returns all that is written in it."""
    plots.draw_figure(figure, folder, folder / "figures")
    return text(folder / "figures" / f"{figure}.svg")


def text(svg: Path) -> str:
    # matplotlib leaves the source of formulas as comments
    found = re.findall(r"<!-- (.*?) -->|<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"), flags=re.DOTALL)
    return html.unescape(" ".join(" ".join(comment or plain for comment, plain in found).split()))


def title(axes: Axes) -> str:
    return axes.get_title(loc=matplotlib.rcParams["axes.titlelocation"])


def marked(axes: Axes, method: str, methods: Iterable[str] = TITLES) -> list[Line2D]:
    """The lines with the method's marker."""
    look = style.looks(list(methods), set(CONTROLS))[method]
    return [line for line in axes.lines if line.get_marker() == look.marker]


def is_of(lines: LineCollection, method: str) -> bool:
    return bool(np.allclose(lines.get_edgecolor()[0][:3], to_rgb(style.KNOWN[method].color)))
