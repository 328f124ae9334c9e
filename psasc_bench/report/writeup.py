"""The study in two pages: the text is ``study.md.jinja``, every number in it comes from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from psasc_bench.analysis import CLAIMS, OURS, REFERENCE, beside_published, t_interval
from psasc_bench.report.tables import Tables

DECIDED = ["supported", "not supported"]
DIGITS = {"cosine": 3, "steps": 0, "grid": 0}  # by what is in a unit's name; else 2


@dataclass(frozen=True)
class DecidedClaim:
    """A claim and the ``comparisons`` that were to decide it: a table in Markdown, and the counts of their verdicts."""

    name: str
    statement: str
    figure: str
    counts: dict[str, int]
    comparisons: str

    @property
    def decided(self) -> str:
        """What those comparisons say that have been run: ``holds`` or ``fails`` in all, ``mixed``, ``holds in part`` or
        ``fails in part`` where the rest is inconclusive, or ``open``."""
        supported, contradicted = (self.counts.get(verdict, 0) for verdict in DECIDED)
        if supported and contradicted:
            return "mixed"
        if not supported and not contradicted:
            return "open"
        outcome = "holds" if supported else "fails"
        return f"{outcome} in part" if "inconclusive" in self.counts else outcome


def render_write_up(results: Path) -> str:
    """The write-up as Markdown, from the tidy tables in ``results``.

    Raises ``OSError`` for an absent table, and ``ValueError`` if no run has finished.
    """
    tables = Tables(results)
    template = resources.files("psasc_bench.report").joinpath("study.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.from_string(template).render(**_facts(tables))


def _facts(tables: Tables) -> dict[str, Any]:
    compared = beside_published(tables.finished)
    claims = {claim.name: claim for claim in _claims(tables)}
    return {
        "datasets": _datasets(tables),
        "accuracies": _accuracies(tables),
        "claims": claims,
        "published": _published(compared),
        "more_noise": _more_noise(tables),
        "compared": compared["agrees"].notna().sum(),
        "agreeing": compared["agrees"].sum(),
        "astray": [
            f"{row.method_title} on {row.dataset_title} ({row.difference:+.2f} points to {row.source})"
            for row in compared[compared["agrees"].eq(False)].itertuples()
        ],
    }


def _datasets(tables: Tables) -> list[dict[str, Any]]:
    """In the study's order: how many runs are planned and done, what those took, and the seeds that it would take."""
    runs, summary = tables.read("runs"), tables.summary
    facts = []
    for name, of_dataset in runs.groupby("dataset", sort=False):
        done = of_dataset[of_dataset["status"] == "done"]
        cell = summary[(summary["dataset"] == name) & (summary["method"] == OURS)]
        facts.append(
            {
                "title": of_dataset["dataset_title"].iloc[0],
                "planned": len(of_dataset),
                "done": len(done),
                "time": _time(done["seconds"].sum()) if len(done) else "",
                "diagnostics": done["seconds_diagnostics"].sum() / done["seconds"].sum() if len(done) else 0.0,
                "seeds_needed": cell["seeds_for_0_3_points"].median(),
            }
        )
    return facts


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def _more_noise(tables: Tables) -> list[dict[str, Any]]:
    """Of every sweep at another epsilon than the study's: what it asks, and what came out, in percent."""
    swept, runs = tables.requested("sweeps"), tables.read("runs")
    if swept.empty:
        return []
    studied = set(zip(runs["dataset"], runs["epsilon"], strict=True))
    tested = swept[(swept["evaluation"] == "test") & (swept["status"] == "done")]
    facts = []
    for (dataset, epsilon, method), rows in tested.groupby(["dataset", "epsilon", "method"], sort=False):
        if (dataset, epsilon) not in studied:
            mean, low, _ = t_interval(100 * rows["accuracy"].to_numpy(dtype=float))
            facts.append(
                {
                    "dataset": tables.titles[str(dataset)],
                    "method": tables.method_titles[str(method)],
                    "epsilon": f"{epsilon:g}",
                    "accuracy": f"{mean:.2f}" if pd.isna(low) else f"{mean:.2f} ± {mean - low:.2f}",
                    "n": len(rows),
                }
            )
    return facts


def _accuracies(tables: Tables) -> str:
    """Mean accuracy (percent) of each method, and the difference that the paper is about."""
    cells = tables.finished.assign(
        epsilon=[f"{epsilon:g}" for epsilon in tables.finished["epsilon"]],
        accuracy=[f"{100 * mean:.2f}" for mean in tables.finished["accuracy_mean"]],
    )
    rows = ["dataset_title", "epsilon"]
    shown = cells.pivot(index=rows, columns="method_title", values="accuracy")
    shown = shown.loc[list(dict.fromkeys(zip(cells["dataset_title"], cells["epsilon"], strict=True)))]
    shown = shown[list(cells["method_title"].unique())].fillna("")
    ours = cells[cells["method"] == OURS].set_index(rows)
    title = f"{tables.method_titles.get(OURS, OURS)} less {tables.method_titles.get(REFERENCE, REFERENCE)}"
    shown[title] = pd.Series({cell: _difference(row) for cell, row in ours.iterrows()}, dtype=str)
    shown.index.names = ["data set", "epsilon"]
    return str(shown.fillna("").reset_index().to_markdown(index=False, disable_numparse=True))


def _difference(row: pd.Series[Any]) -> str:
    mean, low, high = (100 * row[f"difference_{end}"] for end in ("mean", "low", "high"))
    if pd.isna(mean):
        return ""
    return f"{mean:+.2f}" if pd.isna(low) else f"{mean:+.2f} [{low:+.2f}, {high:+.2f}], {row['verdict']}"


def _claims(tables: Tables) -> Iterator[DecidedClaim]:
    found = tables.read("claims")
    for name, claim in CLAIMS.items():
        rows = found[found["claim"] == name]
        counts = {str(verdict): int(count) for verdict, count in rows["verdict"].value_counts().items()}
        yield DecidedClaim(name, claim.statement, claim.figure, counts, _comparisons(rows, tables))


def _comparisons(rows: pd.DataFrame, tables: Tables) -> str:
    """A line for each data set, method, opponent and unit: the range of the differences, and the verdicts."""
    tested = rows[rows["estimate"].notna()]
    if tested.empty:
        return ""
    lines = []
    for (dataset, method, reference, unit), group in tested.groupby(
        ["dataset", "method", "reference", "unit"], sort=False
    ):
        digits = next((digits for word, digits in DIGITS.items() if word in str(unit)), 2)
        low, high = (f"{end:+z.{digits}f}" for end in (group["estimate"].min(), group["estimate"].max()))
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in group["verdict"].value_counts().items())
        lines.append(
            {
                "data set": tables.titles.get(str(dataset), str(dataset)),
                "method": tables.method_titles.get(str(method), str(method)),
                "against": tables.method_titles.get(str(reference), str(reference)),
                "epsilon": ", ".join(f"{epsilon:g}" for epsilon in group["epsilon"].unique()),
                "difference": f"{low} {unit}" if low == high else f"{low} to {high} {unit}",
                "verdicts": verdicts,
            }
        )
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))


def _published(compared: pd.DataFrame) -> str:
    if compared.empty:
        return ""
    shown = pd.DataFrame(
        {
            "data set": compared["dataset_title"],
            "method": compared["method_title"],
            "epsilon": [f"{epsilon:g}" for epsilon in compared["epsilon"]],
            "ours": _plus_minus(compared, "ours", "half_width_ours"),
            "n": compared["n"].astype(str),
            "published": _plus_minus(compared, "published", "half_width"),
            "source": compared["source"],
            "intervals meet": compared["agrees"].map({True: "yes", False: "no"}).fillna("-"),
        }
    )
    return str(shown.to_markdown(index=False, disable_numparse=True))


def _plus_minus(rows: pd.DataFrame, value: str, half_width: str) -> list[str]:
    return [
        f"{one:.2f}" if pd.isna(half) else f"{one:.2f} ± {half:.2f}"
        for one, half in zip(rows[value], rows[half_width], strict=True)
    ]
