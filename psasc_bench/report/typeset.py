"""Tables for people, from the tidy tables: what each has in its rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from psasc_bench.analysis import CELL, LABELS, QUARTERS, beside_published, curve_means, shares_near_best, t_interval
from psasc_bench.files import write_text
from psasc_bench.report import accuracy_table
from psasc_bench.report.accuracy_table import plus_minus
from psasc_bench.report.claims_table import claims
from psasc_bench.report.formats import DASH, Block, Table, html, interval, markdown
from psasc_bench.report.latex import latex
from psasc_bench.report.tables import Tables, epsilon_text

SPREAD = {"best": "max", "median": "median", "worst": "min"}


def write_table(table: str, results: Path, output: Path) -> list[Path]:
    """Write ``table`` (a key of ``TABLES``) made from the tidy tables in ``results`` to ``output``: ``.csv``, ``.md``,
    ``.tex`` (for ``\\usepackage{array, booktabs, longtable}``) and ``.html``; returns their paths.

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
    """Final test accuracy, with all that is needed to cite it."""
    return _nothing(tables.nothing()) if tables.finished.empty else accuracy_table.accuracy(tables)


def literature(tables: Tables) -> Table:
    """Our accuracies beside published ones of the same data, method, epsilon and delta."""
    rows = beside_published(tables.finished, tables.published)
    if rows.empty:
        return _nothing("no published accuracy is of a cell that has been run")
    ours = rows["ours"], rows["ours"] - rows["half_width_ours"]
    theirs = rows["published"], rows["published"] - rows["half_width"]
    shown = _cell_index(rows).set_index(rows["source"], append=True)
    shown = shown.assign(
        ours=list(map(plus_minus, *ours)),
        seeds=rows["n"].astype(str).to_numpy(),
        published=list(map(plus_minus, *theirs)),
        difference=_intervals(rows[["difference", "low", "high"]], differences=True),
    )
    caption = (
        "Test accuracy (percent) beside published numbers: mean ± half-width of the 95 % t-interval, and the "
        "difference, ours minus theirs, with its 95 % interval by Welch."
    )
    return Table(rows, caption, _by_dataset(shown, rows, tables))


def convergence(tables: Tables) -> Table:
    """How soon a run learns: its mean test accuracy over each quarter of training, and over all of it."""
    if tables.finished.empty:
        return _nothing(tables.nothing())
    cells, curves = _ordered(tables.finished), tables.curves
    parts = {f"{name}_quarter": curve_means(curves, quarter) for quarter, name in enumerate(QUARTERS)}
    parts["whole"] = curve_means(curves)
    rows = cells[[*CELL, *LABELS, "n"]]
    for name, means in parts.items():
        ends = means.groupby(CELL)["value"].apply(lambda values: t_interval(values.to_numpy(dtype=float)))
        found = pd.DataFrame(list(ends), index=ends.index, columns=_ends(name)).reset_index()
        rows = rows.merge(found, on=CELL, how="left")
    shown = _cell_index(rows).assign(
        **{
            name.replace("_", " "): list(map(plus_minus, 100 * rows[f"{name}_mean"], 100 * rows[f"{name}_low"]))
            for name in parts
        }
    )
    caption = f"Mean test accuracy (percent) over the epochs of a quarter of training, and over all: {_sample(tables)}"
    return Table(rows, caption, _by_dataset(shown, rows, tables))


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
        "the seeds, and the mean accuracy (percent) of the best, median and worst, all on held-out training examples."
    )
    return Table(rows, " ".join([caption, *left_out]), (Block(shown),))


def cost(tables: Tables) -> Table:
    """What one training step costs, as a ratio to the fastest ordinary one."""
    rows = tables.read("cost")
    if rows.empty:
        return _nothing("no step was timed")
    rows = rows.dropna(subset="median")  # not every library takes every model
    ratio = [
        f"{median:.2f} [{low:.2f}, {high:.2f}]"
        for median, low, high in rows[["median", "q25", "q75"]].itertuples(index=False)
    ]
    problem = rows["model"] + ", " + rows["batch"].astype(str)
    shown = rows.assign(problem=problem, ratio=ratio).pivot(index="contestant", columns="problem", values="ratio")
    shown = shown.loc[rows["contestant"].unique(), problem.unique()].fillna(DASH)
    caption = (
        "Time of one gradient step as a ratio to the fastest ordinary step of the same model and batch: median over "
        "rounds [quartiles]."
    )
    return Table(rows, caption, (Block(shown.rename_axis(index="step", columns=None)),))


def _nothing(reason: str, notes: Sequence[str] = ()) -> Table:
    """In place of a table that a study has nothing for, which is no reason for the study to fail."""
    shown = pd.DataFrame(index=pd.Index([], name="data set"))
    return Table(pd.DataFrame(columns=CELL), " ".join([f"Nothing to show: {reason}.", *notes]), (Block(shown),))


def _by_dataset(shown: pd.DataFrame, rows: pd.DataFrame, tables: Tables) -> tuple[Block, ...]:
    places = rows.groupby("dataset", sort=False).indices
    blocks = {str(name): shown.iloc[of_name].droplevel("data set") for name, of_name in places.items()}
    return tuple(Block(of_name, name, tables.titles[name]) for name, of_name in blocks.items())


def _ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Data sets in the order of the study, then budgets; methods stay in their order."""
    order = {name: place for place, name in enumerate(cells["dataset"].unique())}
    by_place = cells.sort_values("epsilon", kind="stable")
    return by_place.sort_values("dataset", kind="stable", key=lambda names: names.map(order)).reset_index(drop=True)


def _cell_index(cells: pd.DataFrame) -> pd.DataFrame:
    labels = {
        "data set": cells["dataset_title"],
        "ε": [epsilon_text(epsilon) for epsilon in cells["epsilon"]],
        "method": cells["method_title"],
    }
    return pd.DataFrame(index=pd.MultiIndex.from_frame(pd.DataFrame(labels)))


def _ends(name: str) -> list[str]:
    return [f"{name}_{end}" for end in ("mean", "low", "high")]


def _intervals(ends: pd.DataFrame, *, digits: int = 2, differences: bool = False) -> list[str]:
    return [
        DASH if np.isnan(mean) else interval(mean, low, high, digits=digits, differences=differences)
        for mean, low, high in ends.itertuples(index=False)
    ]


def _numbers(values: Iterable[float], *, digits: int = 0) -> list[str]:
    return [DASH if np.isnan(value) else f"{value:.{digits}f}" for value in values]


def _sample(tables: Tables) -> str:
    sample = tables.sample()
    return sample[0].lower() + sample[1:]


TABLES: dict[str, Callable[[Tables], Table]] = {
    "accuracy": accuracy,
    "literature": literature,
    "convergence": convergence,
    "claims": claims,
    "robustness": robustness,
    "cost": cost,
}
