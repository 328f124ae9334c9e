"""The study in two pages: the text is ``study.md.jinja``, every number in it comes from the tables, and every sentence
about the study from its settings."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from psasc_bench.analysis import beside_published, claims_about
from psasc_bench.report.formats import escape_markdown
from psasc_bench.report.protocol import Protocol, listed
from psasc_bench.report.tables import Tables
from psasc_bench.report.writeup_tables import accuracies, at_other_epsilons, beside_literature, comparisons

LINE = 125  # characters
BLANK = re.compile(r"\n{3,}")
# Whose implementations the paper says that it improves on.
IMPROVED = {"dp-sgd", "auto-s", "nsgd", "dp-psac"}
DECIDED = ["supported", "not supported"]


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


def render_write_up(results: Path, output: Path) -> str:
    """The write-up as Markdown, from the tidy tables in ``results``, with links as they are from ``output``.

    Raises ``OSError`` for an absent table.
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
    environment.filters["wrap"] = _wrap
    root = Path(os.path.relpath(results.absolute().parent, output.absolute().parent))
    place = {"root": "" if root == Path() else f"{root.as_posix()}/", "results": results.absolute().name}
    written = environment.from_string(template).render(**place, **_facts(tables))
    return BLANK.sub("\n\n", written).rstrip("\n") + "\n"  # what a study has nothing to say of leaves no gap


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), LINE, break_long_words=False, break_on_hyphens=False)


def _facts(tables: Tables) -> dict[str, Any]:
    compared = beside_published(tables.finished, tables.published)
    claims = {claim.name: claim for claim in _claims(tables)} if tables.roles.method else {}
    swept = at_other_epsilons(tables)
    return {
        **_about(tables, swept),
        "datasets": _datasets(tables),
        "nothing": tables.nothing() if tables.finished.empty else "",
        "accuracies": accuracies(tables),
        "claims": claims,
        "published": beside_literature(compared),
        "more_noise": " ".join(sentence for of_one in swept.values() for sentence in of_one),
        "compared": compared["agrees"].notna().sum(),
        "agreeing": compared["agrees"].sum(),
        "astray": [
            f"{escape_markdown(str(row.method_title))} on {escape_markdown(str(row.dataset_title))} "
            f"({row.difference:+.2f} points to {row.source})"
            for row in compared[compared["agrees"].eq(False)].itertuples()
        ],
    }


def _about(tables: Tables, swept: Collection[str]) -> dict[str, Any]:
    """What the study is, as far as it is told: titles of methods by role, and what follows from the settings. Of data
    sets in ``swept`` there are sweeps at other epsilons."""
    roles, study = tables.roles, tables.study
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    rivals = [name for name in roles.earlier if tables.implementation(name) in IMPROVED]
    standard = roles.reference and tables.implementation(roles.reference) == "dp-sgd"
    protocol = Protocol(study) if study else None
    return {
        "tested": titles.get(str(roles.method), ""),
        "reference": titles.get(str(roles.reference), ""),
        "earlier": listed([titles[name] for name in roles.earlier]),
        "momentum": roles.momentum in titles,
        "ours": bool(tables.reading(tested=True)),
        "standard": titles[str(roles.reference)] if standard else "",
        "rivals": listed([titles[name] for name in rivals]),
        "shared": protocol.shared(weights_differ=_weights_differ(tables)) if protocol else "",
        "protocol": protocol.models_and_schedules() if protocol else "",
        "untouched": protocol.untouched() if protocol else "",
        "filled": protocol.filled() if protocol else [],
        "private": bool(tables.methods),
        "older": protocol is not None and any(protocol.follows("fashion_mnist", name) for name in swept),
        "scattering": study is not None and any(one.features == "scattering" for one in study.datasets.values()),
        "missing": bool(tables.summary["missing"].any()),
    }


def _weights_differ(tables: Tables) -> bool:
    weights = tables.weights
    if weights.empty:
        return False
    functions = weights.groupby(["dataset", "method"])["weight"].apply(tuple)
    return bool((functions.groupby("dataset").nunique() > 1).any())


def _datasets(tables: Tables) -> list[dict[str, Any]]:
    """In the study's order: how many runs are planned and done, what those took, and the seeds that it would take."""
    runs, summary = tables.read("runs"), tables.summary
    facts = []
    for name, of_dataset in runs.groupby("dataset", sort=False):
        done = of_dataset[of_dataset["status"] == "done"]
        cell = summary[(summary["dataset"] == name) & (summary["method"] == tables.roles.method)]
        spent = {key: done[key].sum() if key in done else 0.0 for key in ("seconds", "seconds_diagnostics")}
        facts.append(
            {
                "title": escape_markdown(of_dataset["dataset_title"].iloc[0]),
                "planned": len(of_dataset),
                "done": len(done),
                "time": _time(spent["seconds"]) if len(done) else "",
                "diagnostics": spent["seconds_diagnostics"] / spent["seconds"] if spent["seconds"] else 0.0,
                "seeds_needed": cell["seeds_for_0_3_points"].median(),
            }
        )
    return facts


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


def _claims(tables: Tables) -> Iterator[DecidedClaim]:
    found = tables.read("claims")
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    for name, claim in claims_about(tables.roles, titles).items():
        rows = found[found["claim"] == name]
        counts = {str(verdict): int(count) for verdict, count in rows["verdict"].value_counts().items()}
        yield DecidedClaim(name, claim.statement, claim.figure, counts, comparisons(rows, tables))
