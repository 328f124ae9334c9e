"""Tables for people, from the tidy tables: what each has in its rows and columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psasc_bench.analysis import (
    CELL,
    ENOUGH,
    LABELS,
    p_text,
    shares_near_best,
    steps_to_enough,
    t_interval,
)
from psasc_bench.files import write_text
from psasc_bench.report.formats import MINUS, Table, html, latex, markdown
from psasc_bench.report.tables import Tables

SPREAD = {"best": "max", "median": "median", "worst": "min"}


def write_table(table: str, results: Path, output: Path) -> list[Path]:
    """Write ``table`` (a key of ``TABLES``) made from the tidy tables in ``results`` to ``output``: ``.csv``, ``.md``,
    ``.tex`` (for ``\\usepackage{booktabs}``) and ``.html``; returns their paths.

    Raises ``ValueError`` for an unknown table and for one whose tidy table was not asked for; ``OSError`` for an absent
    table.
    """
    if table not in TABLES:
        raise ValueError(f"no table {table!r}; there are: {', '.join(TABLES)}")
    made = TABLES[table](Tables(results))
    texts = {
        "csv": made.rows.to_csv(index=False, lineterminator="\n"),
        "md": f"{markdown(made)}\n",
        "tex": latex(made, label=table),
        "html": html(made),
    }
    for suffix, text in texts.items():
        write_text(output / f"{table}.{suffix}", text)
    return [output / f"{table}.{suffix}" for suffix in texts]


def accuracy(tables: Tables) -> Table:
    """Final test accuracy and its paired difference to the study's reference, beside what has been published for the
    same cell."""
    if tables.finished.empty:
        return _nothing(tables.nothing())
    cells = _ordered(tables.finished)
    known = tables.published.merge(cells[CELL], on=CELL)
    shown = _cell_index(cells).assign(
        n=cells["n"].astype(str).to_numpy(),
        accuracy=_intervals(100 * cells[_ends("accuracy")]),
    )
    columns = [*CELL, *LABELS, "n", *_ends("accuracy")]
    paired = ""
    if reference := tables.reference_title():
        shown[f"difference to {reference}"] = _intervals(100 * cells[_ends("difference")], signed=True)
        columns += ["n_pairs", *_ends("difference")]
        paired = " Differences are paired by seed."
    rows = cells[columns]
    for source, numbers in known.groupby("source", sort=False):
        found = cells[CELL].merge(numbers, on=CELL, how="left")
        rows = rows.assign(**{str(source): found["accuracy"].to_numpy() / 100})
        shown[str(source)] = [_plus_minus(*pair) for pair in zip(found["accuracy"], found["half_width"], strict=True)]
    sources = " The last columns are published numbers, not ours." if len(known) else ""
    caption = f"Test accuracy of the last iterate (percent): {_sample(tables)}{paired}{sources}"
    return Table(rows, shown, caption)


def convergence(tables: Tables) -> Table:
    """Steps until a run's test accuracy first reaches 95 % of its final one, as seen at the ends of epochs."""
    if tables.finished.empty:
        return _nothing(tables.nothing())
    cells, curves = _ordered(tables.finished), tables.curves
    reached = -steps_to_enough(curves).set_index(CELL)["value"]
    steps: dict[Any, Any] = {cell: found.to_numpy(dtype=float) for cell, found in reached.groupby(level=CELL)}
    total = curves.groupby(CELL)["step"].max().rename("steps_total").reset_index()
    intervals = [t_interval(steps[cell]) for cell in cells[CELL].itertuples(index=False, name=None)]
    table = cells[[*CELL, *LABELS, "n"]].assign(**dict(zip(_ends("steps"), zip(*intervals, strict=True), strict=True)))
    table = table.merge(total, on=CELL)
    shown = _cell_index(table).assign(
        n=table["n"].astype(str).to_numpy(),
        steps=_intervals(table[_ends("steps")], digits=0),
        of=table["steps_total"].astype(str).to_numpy(),
    )
    caption = (
        f"Steps until the test accuracy first reaches {100 * ENOUGH:g} % of its final value, looked at after "
        f"every epoch, of all steps taken: {_sample(tables)}"
    )
    return Table(table, shown, caption)


def claims(tables: Tables) -> Table:
    """What became of the paper's claims, comparison by comparison."""
    rows = tables.read("claims")
    about = {
        "claim": rows["claim"],
        "data set": _titles(rows["dataset"], tables.titles, "any"),
        "ε": ["any" if math.isnan(epsilon) else f"{epsilon:g}" for epsilon in rows["epsilon"]],
        "method": _titles(rows["method"], tables.method_titles, "-"),
        "against": _titles(rows["reference"], tables.method_titles, "-"),
    }
    shown = pd.DataFrame(index=pd.MultiIndex.from_frame(pd.DataFrame(about))).assign(
        n=rows["n"].astype(str).to_numpy(),
        difference=_intervals(rows[["estimate", "low", "high"]], signed=True),
        unit=rows["unit"].fillna("-").to_numpy(),
        p=[p_text(p) for p in rows["p_holm"]],
        verdict=rows["verdict"].to_numpy(),
    )
    ours = tables.reading(tested=True)
    whose = " of the paper's abstract" if ours else ""
    caption = (
        f"The claims{whose}, decided by differences that are paired by seed, positive in favour of the claim: mean "
        "with its 95 % t-interval, and p after Holm's correction."
    )
    caption += f" {ours} is our reading of the paper." if ours else ""
    return Table(rows, shown, caption)


def robustness(tables: Tables) -> Table:
    """How many of the settings of a tuning grid come within a point of the method's own best."""
    trials = tables.requested("tuning", "sweeps")
    trials = trials[trials["evaluation"] == "validation"] if len(trials) else trials
    left_out = tables.left_out("tuning", "sweeps")
    if trials.empty:
        return _nothing("no sweep is on validation examples; `snakemake sweeps` trains one", left_out)
    shares = shares_near_best(trials).groupby(CELL, sort=False)
    counted = shares.agg(n=("seed", "size"), settings=("settings", "first"), share_near_best=("value", "mean"))
    done = trials[trials["status"] == "done"].groupby([*CELL, "settings"])["accuracy"].mean().groupby(CELL)
    spread = done.agg(["max", "median", "min"]).add_prefix("accuracy_")
    titles = trials.groupby(CELL, sort=False)[LABELS].first()
    rows = titles.join(counted).join(spread).reset_index()
    shown = _cell_index(rows).assign(
        settings=_numbers(rows["settings"]),
        seeds=_numbers(rows["n"]),
        **{"within a point (%)": _numbers(100 * rows["share_near_best"])},
        **{name: _numbers(100 * rows[f"accuracy_{end}"], digits=2) for name, end in SPREAD.items()},
    )
    caption = (
        "Share of the settings of a tuning grid whose accuracy is within a point of the method's own best, mean over "
        "the seeds, and the mean accuracy (percent) of the best, median and worst, all on held-out training examples. "
        "Every method has as many settings."
    )
    return Table(rows, shown, " ".join([caption, *left_out]))


def cost(tables: Tables) -> Table:
    """What one training step costs, as a ratio to the fastest ordinary one."""
    rows = tables.read("cost")
    if rows.empty:
        return _nothing("no step was timed")
    rows = rows.dropna(subset="median")  # some contestants do not take some models
    ratio = [
        f"{median:.2f} [{low:.2f}, {high:.2f}]"
        for median, low, high in rows[["median", "q25", "q75"]].itertuples(index=False)
    ]
    problem = rows["model"] + ", " + rows["batch"].astype(str)
    shown = rows.assign(problem=problem, ratio=ratio).pivot(index="contestant", columns="problem", values="ratio")
    shown = shown.loc[rows["contestant"].unique(), problem.unique()].fillna("-")
    caption = (
        "Time of one gradient step as a ratio to the fastest ordinary step of the same model and batch: median over "
        "rounds [quartiles]."
    )
    return Table(rows, shown.rename_axis(index="step", columns=None), caption)


def _nothing(reason: str, notes: Sequence[str] = ()) -> Table:
    """In place of a table that a study has nothing for, which is no reason for the study to fail."""
    shown = pd.DataFrame(index=pd.Index([], name="data set"))
    return Table(pd.DataFrame(columns=CELL), shown, " ".join([f"Nothing to show: {reason}.", *notes]))


def _titles(names: pd.Series[str], titles: Mapping[str, str], otherwise: str) -> list[str]:
    return [titles.get(name, name) if isinstance(name, str) else otherwise for name in names]


def _ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Data sets in the order of the study, then budgets; methods stay in their order."""
    order = {name: place for place, name in enumerate(cells["dataset"].unique())}
    by_place = cells.sort_values("epsilon", kind="stable")
    return by_place.sort_values("dataset", kind="stable", key=lambda names: names.map(order)).reset_index(drop=True)


def _cell_index(cells: pd.DataFrame) -> pd.DataFrame:
    labels = {
        "data set": cells["dataset_title"],
        "ε": ["∞" if math.isinf(epsilon) else f"{epsilon:g}" for epsilon in cells["epsilon"]],
        "method": cells["method_title"],
    }
    return pd.DataFrame(index=pd.MultiIndex.from_frame(pd.DataFrame(labels)))


def _ends(name: str) -> list[str]:
    return [f"{name}_{end}" for end in ("mean", "low", "high")]


def _intervals(ends: pd.DataFrame, *, digits: int = 2, signed: bool = False) -> list[str]:
    def one(mean: float, low: float, high: float) -> str:
        sign = "+" if signed else ""
        if np.isnan(mean):
            return "-"
        numbers = [f"{value:{sign}.{digits}f}".replace("-", MINUS) for value in (mean, low, high)]
        return numbers[0] if np.isnan(low) else f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"

    return [one(*row) for row in ends.itertuples(index=False)]


def _numbers(values: Iterable[float], *, digits: int = 0) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.{digits}f}" for value in values]


def _plus_minus(value: float, half_width: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.2f}" if np.isnan(half_width) else f"{value:.2f} ± {half_width:.2f}"


def _sample(tables: Tables) -> str:
    sample = tables.sample()
    return sample[0].lower() + sample[1:]


TABLES: dict[str, Callable[[Tables], Table]] = {
    "accuracy": accuracy,
    "convergence": convergence,
    "claims": claims,
    "robustness": robustness,
    "cost": cost,
}
