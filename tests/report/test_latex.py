"""Tables as LaTeX: text is text, everything fits a page, and pdflatex has nothing to say about it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from typeset_tables import typeset_as, write

from psasc_bench.report import typeset
from psasc_bench.report.formats import Block, Table
from psasc_bench.report.latex import latex
from psasc_bench.report.latex_layout import TEXT_WIDTH, parts
from psasc_bench.report.latex_text import escape_latex

HOSTILE = r"& % $ # _ { } ~ ^ \ <b>|`'-- [x]* é ß Ł ε λ 漢字 ½ 🙂"
PDFLATEX = shutil.which("pdflatex")
DOCUMENT = """\
\\documentclass{{article}}
\\usepackage{{array, booktabs, longtable}}
\\begin{{document}}
{tables}
\\end{{document}}
"""

# ------------------------------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"& % $ # _ { } ~ ^ \ ", r"\& \% \$ \# \_ \{ \} \textasciitilde{} \textasciicircum{} \textbackslash{} "),
        ("[optional] argument", "{[}optional] argument"),
        ("*starred", "{*}starred"),
        ("97.10 [96.50, 97.70]", "97.10 [96.50, 97.70]"),
        ("CIFAR-10", "CIFAR-10"),
        ("--dataset", "-{}-dataset"),
        ("a|b <c>", r"a\textbar{}b \textless{}c\textgreater{}"),
        ("ε ≤ 3 ± 1", r"$\varepsilon$ $\leq$ 3 $\pm$ 1"),
        ("é ñ Å ç ö š", r"\'{e} \~{n} \r{A} \c{c} \"{o} \v{s}"),
        ("µ", r"$\mu$"),
        ("漢", "U+6F22"),
        ("incomprehensible", r"incomprehens\-ible"),
    ],
)
def test_text_is_what_it_looks_like(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


# ------------------------------------------------------------------------------------------------ layout


@pytest.mark.parametrize("table", typeset.TABLES)
def test_every_table_is_one_of_booktabs(table: str, tmp_path: Path) -> None:
    text = typeset_as("tex", table, write(tmp_path))
    assert text.isascii()
    blocks = text.split(r"\begin{tabular}")[1:]
    assert blocks
    for block in blocks:
        lines = block.splitlines()
        rules = [lines.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
        assert rules == sorted(rules)
        rows = [line for line in lines if line.endswith(r"\\")]
        assert len({line.count("&") for line in rows}) == 1


def test_each_data_set_has_a_float_with_a_label_of_its_own(tmp_path: Path) -> None:
    text = typeset_as("tex", "accuracy", write(tmp_path))
    assert text.count(r"\begin{table}") == 1
    assert r"\label{tab:accuracy-digits}" in text
    assert text.startswith("% Needs \\usepackage{array, booktabs, longtable}.\n% To cite a number, psasc-bench table")


def numbers(columns: int, rows: int = 2) -> pd.DataFrame:
    index = pd.Index([f"method {row}" for row in range(rows)], name="method")
    return pd.DataFrame({f"ε = {column}": ["97.10 ± 0.10"] * rows for column in range(columns)}, index=index)


def test_too_many_columns_are_a_few_tables_one_below_the_other() -> None:
    found = list(parts(numbers(12)))
    assert len(found) > 1
    assert [column for part in found for column in part] == list(numbers(12))
    (whole,) = parts(numbers(3))
    assert whole.equals(numbers(3))


def test_more_rows_than_a_page_has_go_on_over_the_page() -> None:
    made = Table(pd.DataFrame(), "Caption", (Block(numbers(2, rows=100)), Block(numbers(2), name="short")))
    text = latex(made, label="x")
    assert text.count(r"\begin{longtable}") == text.count(r"\begin{table}") == 1
    assert r"\label{tab:x}" in text
    assert r"\label{tab:x-short}" in text


# ------------------------------------------------------------------------------------------------ pdflatex


def overfull(tables: str, folder: Path) -> list[str]:
    """What pdflatex says of boxes and floats that do not fit, having typeset the ``tables``."""
    (folder / "all.tex").write_text(DOCUMENT.format(tables=tables), encoding="utf-8")
    for _ in range(2):  # widths of a longtable are known at the second time
        ran = subprocess.run(
            [str(PDFLATEX), "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-2000:]
    said = (folder / "all.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in said if line.startswith(("Overfull", "LaTeX Warning: Float too large"))]


needs_pdflatex = pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex on this machine")


@needs_pdflatex
@pytest.mark.parametrize("title", ["Digits", HOSTILE, "Einbildungskraftverstärkungsverfahren " * 2 + "X" * 24])
def test_all_tables_fit_a_page_of_an_article(title: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "results", title=title, epsilons=(0.5, 1.0, 2.0, 3.0, 4.0, 8.0), dataset="mnist")
    runs = pd.read_csv(folder / "summary.csv")
    runs.assign(method_title=runs["method_title"] + title[:40]).to_csv(folder / "summary.csv", index=False)
    assert overfull("\n".join(typeset_as("tex", table, folder) for table in typeset.TABLES), tmp_path) == []


@needs_pdflatex
def test_as_many_columns_and_rows_as_one_likes_fit(tmp_path: Path) -> None:
    blocks = [Block(numbers(columns, rows), name=f"{columns}-{rows}") for columns in (1, 5, 9, 30) for rows in (3, 90)]
    assert overfull(latex(Table(pd.DataFrame(), "Caption", tuple(blocks)), label="x"), tmp_path) == []


@needs_pdflatex
def test_page_that_is_too_narrow_is_noticed(tmp_path: Path) -> None:
    """Or else the tests above would show nothing."""
    wide = f"\\hbox to {TEXT_WIDTH + 10}pt{{\\hfil}}"
    assert overfull(f"\\noindent\\vbox{{{wide}}}\\par", tmp_path)
