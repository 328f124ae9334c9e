"""Studies of one's own, really trained for two epochs on the digits, and all that is made of their records."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from psasc_bench import cli
from psasc_bench.report import FIGURES
from psasc_bench.study import load_study

HOSTILE = "<b>$x_1$ & |pipe| *star*</b>"
FREE = [name for name, plan in FIGURES.items() if not plan.needs]  # figures of which no table was asked for
TYPESET = ["accuracy", "convergence", "claims"]


def train(folder: Path, data: Path, **values: Any) -> Path:
    """Train a study of the digits with these ``values``, make all of its records that a study is shown by, and return
    its folder."""
    folder.mkdir()
    digits = {"epochs": 2, **values.pop("digits", {})}
    study = {"seeds": [0, 1], "epsilons": [3], "datasets": {"digits": digits}, **values}
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    with working_in(folder):
        for cell in load_study(Path("study.yaml")).cells():
            which = ["--dataset", cell.dataset, "--method", cell.method, "--epsilon", cell.label]
            run("train", "--config", "study.yaml", *which, "--data", str(data), "--runs", "results/runs")
        run("verify", "results", "--output", "results/ledger.csv")
    return folder


def show(folder: Path) -> None:
    """Make all that people look at, as the workflow does; ``results/audit.csv`` is there."""
    tables = [f"results/{name}.csv" for name in ("summary", "runs", "curves", "audit", "ledger")]
    with working_in(folder):
        run("collect", "--config", "study.yaml", "--runs", "results/runs", "--output", "results")
        run("claims", *tables, "--output", "results")
        run("figure", *FREE, "--results", "results", "--output", "figures")
        run("table", *TYPESET, "--results", "results", "--output", "results/tables")
        run("explorer", "--results", "results", "--output", "results/explorer.html")
        run("write-up", "--results", "results", "--output", "study.md")


def run(*arguments: str) -> None:
    assert cli.main(list(arguments)) == 0, arguments


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def words(folder: Path, figure: str) -> str:
    """All that is written in a figure."""
    svg = (folder / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    return html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))


def explored(folder: Path) -> Mapping[str, Any]:
    """What the explorer holds."""
    page = (folder / "results" / "explorer.html").read_text(encoding="utf-8")
    (held,) = re.findall(r'<script type="application/json" id="page">(.*?)</script>', page, flags=re.DOTALL)
    return dict(json.loads(held))
