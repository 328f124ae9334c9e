"""Two results folders beside each other, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from psasc_bench.analysis import CellPair, Reproduction, compare_results, read_times
from psasc_bench.report.formats import DASH, interval

MACHINE = ["device", "cpu", "torch"]


def render_comparison(first: Path, second: Path) -> str:
    """What is not the same in the two, and a last line that sums up. Raises as ``compare_results`` does."""
    found = compare_results(first, second)
    lines = [f"A: {first}", f"B: {second}"]
    differing = [pair for pair in found.pairs if not pair.identical]
    if differing:
        lines += ["", _table(differing)]
        lines += ["", *machines] if (machines := list(_machines(first, second))) else []
    for name, alone in (("A", found.first_alone), ("B", found.second_alone)):
        lines += ["", f"Only {name} has", *(f"  {cells}" for cells in _gathered(alone))] if alone else []
    return "\n".join([*lines, "", _sum(found, differing)])


def _table(pairs: Iterable[CellPair]) -> str:
    rows = [
        {
            "cell": pair.name if pair.name == pair.other else f"{pair.name}, in B {pair.other}",
            "A (%)": f"{100 * pair.means[0]:.2f}",
            "B (%)": f"{100 * pair.means[1]:.2f}",
            "B minus A (points)": interval(100 * pair.difference, 100 * pair.low, 100 * pair.high),
            "over": _sample(pair),
            "unlike settings": ", ".join(pair.unlike) or DASH,
        }
        for pair in pairs
    ]
    return str(pd.DataFrame(rows).to_markdown(index=False, tablefmt="simple", disable_numparse=True))


def _sample(pair: CellPair) -> str:
    if pair.pairs:
        return f"{pair.pairs} pairs, {pair.same} the same"
    return f"{pair.seeds[0]} and {pair.seeds[1]} seeds, Welch"


def _machines(first: Path, second: Path) -> Iterator[str]:
    """Where the runs of each were made, if that is known and not the same."""
    made = [read_times(results)[MACHINE].dropna().drop_duplicates() for results in (first, second)]
    said = [" or ".join(sorted(", ".join(row) for row in rows.itertuples(index=False))) for rows in made]
    if all(said) and said[0] != said[1]:
        yield f"A was made on {said[0]}; B on {said[1]}."


def _gathered(cells: Iterable[str]) -> Iterator[str]:
    """By data set and method, with the epsilons."""
    epsilons: dict[str, list[str]] = {}
    for name in cells:
        method, _, epsilon = name.rpartition("/eps-")
        epsilons.setdefault(method, []).append(epsilon)
    for method, values in epsilons.items():
        yield f"{method} at epsilon {', '.join(values)}"


def _sum(found: Reproduction, differing: list[CellPair]) -> str:
    runs, same = sum(pair.pairs for pair in found.pairs), sum(pair.same for pair in found.pairs)
    unpaired = sum(not pair.pairs for pair in found.pairs)
    parts = [f"{same} of {runs} runs have the same accuracy"] if runs else []
    parts += [f"{len(differing)} of {len(found.pairs)} cells differ"] if differing else []
    parts += [f"{unpaired} of them without a common run"] if unpaired else []
    for name, alone in (("A", found.first_alone), ("B", found.second_alone)):
        parts += [f"{len(alone)} cells are in {name} alone"] if alone else []
    return "; ".join(parts or ["the two have no cell in common"])
