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
from psasc_bench.report import sentences
from psasc_bench.report.claim_sentences import claim_sentences
from psasc_bench.report.formats import escape_markdown, interval, rules_link
from psasc_bench.report.protocol import Protocol, listed
from psasc_bench.report.tables import Tables
from psasc_bench.report.writeup_tables import at_other_epsilons, other_methods, primary_comparisons

LINE = 125  # characters
# Between these the README of a project has the answer of its study.
OPENS, CLOSES = "<!-- the answer, written by `psasc-bench write-up` -->", "<!-- end of the answer -->"
BLANK = re.compile(r"\n{3,}")
# Whose implementations the paper says that it improves on.
IMPROVED = {"dp-sgd", "auto-s", "nsgd", "dp-psac"}


@dataclass(frozen=True)
class DecidedClaim:
    """A claim, the figure that shows it, and what became of it."""

    name: str
    statement: str
    figure: str
    sentences: str


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
    place["rules"] = rules_link(results, output)
    written = tables.as_called(environment.from_string(template).render(**place, **_facts(tables)))
    return BLANK.sub("\n\n", written).rstrip("\n") + "\n"  # what a study has nothing to say of leaves no gap


def answered(text: str, results: Path) -> str:
    """The Markdown ``text`` with the answer of the study in ``results`` between the comments that ask for it; as it is
    where it has none. Raises ``OSError`` for an absent table."""
    opened, there, rest = text.partition(OPENS)
    _, closed, after = rest.partition(CLOSES)
    if not (there and closed):
        return text
    said = _wrap(sentences.answer(Tables(results)))
    return f"{opened}{OPENS}\n**{said}**\n{CLOSES}{after}" if said else text


def _wrap(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), LINE, break_long_words=False, break_on_hyphens=False)


def _facts(tables: Tables) -> dict[str, Any]:
    compared = beside_published(tables.finished, tables.published)
    judged = compared[compared["low"].notna()]
    differing = judged[(judged["low"] > 0) | (judged["high"] < 0)]
    swept = at_other_epsilons(tables)
    nothing = tables.nothing() if tables.finished.empty else ""
    shown = "" if nothing else primary_comparisons(tables)
    return {
        **_about(tables, swept),
        "nothing": nothing,
        "answer": "" if nothing else sentences.answer(tables),
        "comparisons": shown,
        "others": {} if nothing or not tables.roles.method else other_methods(tables),
        "points": sentences.POINTS,
        "few": bool((~tables.comparisons["decides"]).any()),
        "runs": _runs(tables),
        "claims": list(_claims(tables)) if tables.roles.method else [],
        "more_noise": " ".join(sentence for of_one in swept.values() for sentence in of_one),
        "compared": len(judged),
        "differing": [
            f"{escape_markdown(str(row['method_title']))} on {escape_markdown(str(row['dataset_title']))} "
            f"({interval(*(float(row[end]) for end in ('difference', 'low', 'high')))} to {row['source']})"
            for _, row in differing.iterrows()
        ],
    }


def _about(tables: Tables, swept: Collection[str]) -> dict[str, Any]:
    """What the study is, as far as it is told: titles of methods by role, and what follows from the settings. Of data
    sets in ``swept`` there are sweeps at other epsilons."""
    roles, study = tables.roles, tables.study
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    rivals = [name for name in roles.earlier if tables.known_as(name) in IMPROVED]
    standard = roles.reference and tables.known_as(roles.reference) == "dp-sgd"
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
        "settings": protocol.settings(roles.method, roles.momentum) if protocol else "",
        "protocol": protocol.models_and_schedules() if protocol else "",
        "accountants": protocol.accountants() if protocol else "",
        "untouched": protocol.untouched() if protocol else "",
        "filled": protocol.filled() if protocol else [],
        "private": bool(tables.methods),
        "older": protocol is not None and any(protocol.follows("fashion_mnist", name) for name in swept),
        "scattering": study is not None and any(one.features == "scattering" for one in study.datasets.values()),
        "missing": bool(tables.summary["missing"].any()),
        "evaluated": tables.evaluated,
    }


def _weights_differ(tables: Tables) -> bool:
    weights = tables.weights
    if weights.empty:
        return False
    functions = weights.groupby(["dataset", "method"])["weight"].apply(tuple)
    return bool((functions.groupby("dataset").nunique() > 1).any())


def _runs(tables: Tables) -> str:
    """In the study's order: how many runs are done and planned."""
    runs = tables.read("runs")
    parts = []
    for _, of_dataset in runs.groupby("dataset", sort=False):
        done, title = int((of_dataset["status"] == "done").sum()), escape_markdown(of_dataset["dataset_title"].iloc[0])
        parts.append(
            f"{title} {len(of_dataset)}" if done == len(of_dataset) else f"{title} {done} of {len(of_dataset)}"
        )
    return listed(parts)


def _claims(tables: Tables) -> Iterator[DecidedClaim]:
    found = tables.claims
    titles = {name: escape_markdown(title) for name, title in tables.method_titles.items()}
    for name, claim in claims_about(tables.roles, titles).items():
        rows = found[found["claim"] == name]
        yield DecidedClaim(name, claim.statement, claim.figure, claim_sentences(name, rows, tables))
