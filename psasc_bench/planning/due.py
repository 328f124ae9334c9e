"""What makes a run due besides its cell's study: code and data; and records that are not of the present ones."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from psasc_bench import methods
from psasc_bench.code import PACKAGE, digest
from psasc_bench.files import write_text
from psasc_bench.planning.narrowing import cell_study
from psasc_bench.records import GENERATION, fingerprint, survey
from psasc_bench.study import Cell, Study


def trained_by(study: Study, dataset: str, method: str) -> list[str | int]:
    """The code and data that determine a run, besides its cell's study. Raises ``ConfigError`` for a data set that
    cannot be read."""
    protocol, spec = study.dataset(dataset), study.spec(Cell(dataset, method, math.inf), seed=0)
    code = fingerprint(spec, source=protocol.source, features=protocol.features)
    return [code, GENERATION, study.prepared(dataset).stem]


def method_sources(study: Study) -> list[str]:
    """The fingerprint of each of the study's methods."""
    return [methods.fingerprint(methods.load(study.implementation(name))) for name in study.methods]


def audited_by(study: Study) -> list[str | int]:
    """The code that determines the audit."""
    return [GENERATION, *method_sources(study)]


def drawn_by(package: Path = PACKAGE) -> str:
    """The code that tables, figures and pages are made of records by, with what lies beside it: its bytes, for to look
    closer would take longer than to draw anew."""
    rooms = (package / "analysis", package / "report")
    there = [path for room in rooms for path in sorted(room.rglob("*")) if path.is_file()]
    kept = [path for path in there if path.suffix != ".pyc" and not path.name.startswith(".")]
    return digest(f"{path.relative_to(package)}: {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in kept)


def write_made_of(study: Study, path: Path) -> None:
    """Write what the runs that are trained are made of, unless it stands there already.

    Snakemake does not know how files were made that came with the clone, but sees that this one is younger than they
    are. Raises ``ConfigError`` for a data set that cannot be read.
    """
    parts = {
        f"{dataset}/{method}": [
            *dict.fromkeys(
                cell_study(study, dataset, method, epsilon) for epsilon in study.cell_epsilons(dataset, method)
            ),
            trained_by(study, dataset, method),
        ]
        for dataset in study.trained()
        for method in study.methods_on(dataset)
    }
    text = json.dumps(parts, indent=1)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def stale_runs(study: Study, runs: Path) -> set[str]:
    """The names of the runs that are trained and have a record of another spec or source than the present one. Raises
    ``ValueError`` naming a file that is no record."""
    trained = study.model_copy(update={"datasets": {name: study.dataset(name) for name in study.trained()}})
    return {run.spec.name() for run in survey(trained, runs) if run.status == "stale"}
