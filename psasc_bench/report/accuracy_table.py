"""The table of accuracies: a block for each data set, methods in rows, budgets in columns, and above on what terms."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psasc_bench.analysis import CELL, CONFIDENCE, LABELS
from psasc_bench.report import terms
from psasc_bench.report.formats import DASH, Block, Table
from psasc_bench.report.tables import Tables, epsilon_text

TERMS = ["implementation", "model", "settings", "learning_rate", "momentum", "expected_batch_size", "sampling_rate"]
TERMS += ["steps_taken", "noise_multiplier", "sensitivity", "delta", "accountant"]
RARER = ["optimiser", "augmentations"]  # columns where there is another than the heavy ball, and where there are any
CAPTION = (
    "Test accuracy of the {evaluated} in percent: mean ± half-width of the {confidence:g} % t-interval over the "
    "seeds, whose number is in the last row{others}.{single}"
)


def accuracy(tables: Tables) -> Table:
    """Of the cells that have finished runs; there must be some."""
    cells, runs = tables.finished, finished_runs(tables)
    blocks = tuple(
        Block(
            _shown(of_dataset),
            name=str(dataset),
            title=tables.titles[str(dataset)],
            notes=notes(runs[runs["dataset"] == dataset], tables),
        )
        for dataset, of_dataset in cells.groupby("dataset", sort=False)
    )
    counts = cells.groupby(["dataset", "epsilon"])["n"].nunique()
    caption = CAPTION.format(
        evaluated=tables.evaluated,
        confidence=100 * CONFIDENCE,
        others=" or, where a method has another, behind its mean" if (counts > 1).any() else "",
        single=" One seed has no interval." if (cells["n"] == 1).any() else "",
    )
    ends = [f"{name}_{end}" for name in ("accuracy", "difference") for end in ("mean", "low", "high")]
    rows = cells[[*CELL, *LABELS, "n", "n_pairs", *ends]]
    terms_of_cells = runs.drop_duplicates(CELL)[[*CELL, *(column for column in [*TERMS, *RARER] if column in runs)]]
    rows = rows.merge(terms_of_cells, on=CELL, how="left")
    return Table(rows, caption, blocks, cite=f"{_command(cells.iloc[0])}{tables.place}")


def finished_runs(tables: Tables) -> pd.DataFrame:
    """Raises ``ValueError`` for a table that does not say on what terms they were made."""
    path, runs = tables.folder / "runs.csv", tables.read("runs")
    if lacking := [column for column in TERMS if column not in runs]:
        raise ValueError(f"{path}: has no column {lacking[0]!r}; `psasc-bench collect` makes it anew")
    return runs[runs["status"] == "done"]


def notes(runs: pd.DataFrame, tables: Tables) -> tuple[str, str]:
    """The terms of finished ``runs`` of one data set."""
    own = [f"{tables.method_titles[method]} {said or 'none'}" for method, said in terms.settings(runs).items()]
    return terms.protocol(runs), f"Settings: {'; '.join(own)}."


def plus_minus(mean: float, low: float, digits: int = 2) -> str:
    """``mean ± half-width``, where there is an interval."""
    if np.isnan(mean):
        return DASH
    return f"{mean:.{digits}f}" if np.isnan(low) else f"{mean:.{digits}f} ± {mean - low:.{digits}f}"


def _shown(cells: pd.DataFrame) -> pd.DataFrame:
    """Of one data set."""
    counts = cells.groupby("epsilon")["n"].agg(lambda found: found.mode().max())
    texts = [
        plus_minus(100 * mean, 100 * low) + ("" if n == counts[epsilon] else f" ({n})")
        for epsilon, n, mean, low in cells[["epsilon", "n", "accuracy_mean", "accuracy_low"]].itertuples(index=False)
    ]
    titles = dict(zip(cells["method"], cells["method_title"], strict=True))
    shown = cells.assign(text=texts).pivot(index="method", columns="epsilon", values="text")
    shown = shown.reindex(index=list(titles), columns=sorted(shown.columns)).fillna(DASH)
    shown = pd.concat([shown.rename(index=titles), counts.astype(str).to_frame("seeds").T]).rename_axis("method")
    return shown.rename(columns=lambda epsilon: f"ε = {epsilon_text(epsilon)}")


def _command(cell: pd.Series[str]) -> str:
    return f"psasc-bench table --dataset {cell['dataset']} --epsilon {cell['epsilon']:g} --method {cell['method']}"
