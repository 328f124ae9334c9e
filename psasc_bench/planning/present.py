"""What there is to show besides what the workflow makes.

Rules take it as a parameter: if it were an input, Snakemake would have it made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from psasc_bench.report import FIGURES
from psasc_bench.study import Study

# Tables to typeset, each with those that are made on request of which it needs one.
TYPESET: dict[str, tuple[str, ...]] = {
    "accuracy": (),
    "literature": (),
    "convergence": (),
    "claims": (),
    "robustness": ("tuning", "sweeps"),
    "cost": ("cost",),
}


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of those of these files that exist, by path."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths) if path.exists()}


def there_is(results: Path, *tables: str) -> dict[str, str]:
    """The digests of the tables among these that exist: they are made on request, or shipped."""
    return digests(results / f"{table}.csv" for table in tables)


def typesettable(results: Path) -> list[str]:
    """The tables that can be typeset."""
    return [name for name, needs in TYPESET.items() if not needs or there_is(results, *needs)]


def of_others(study: Study, folder: Path, ending: str = "json") -> dict[str, str]:
    """The digests of what ``folder`` has of data sets that the workflow does not see trained."""
    return digests(_files_of_others(study, folder, ending))


def begun(study: Study, results: Path) -> list[str]:
    """The data sets that there is something to show of: those that are trained, and those that have records."""
    runs = results / "runs"
    shown = {path.relative_to(runs).parts[0] for path in _files_of_others(study, runs, "json")}
    return [name for name in study.datasets if name in study.trained() or name in shown]


def figure_tables(figure: str, results: Path, *, made_of: Path) -> list[str]:
    """What a figure is drawn from. One that only shows tables made on request must still be younger than ``made_of``:
    Snakemake does not know what a figure that came with the clone shows."""
    return [f"{results}/{table}.csv" for table in FIGURES[figure].tables] or [str(made_of)]


def requested_tables(figure: str, results: Path) -> dict[str, str]:
    """The digests of what a figure shows of the tables that are made on request."""
    return there_is(results, *FIGURES[figure].needs, *FIGURES[figure].shows)


def _files_of_others(study: Study, folder: Path, ending: str) -> Iterator[Path]:
    trained = study.trained()
    for name in study.datasets:
        if name not in trained:
            yield from folder.glob(f"**/{name}/**/*.{ending}")
