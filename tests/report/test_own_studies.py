"""All that is made of studies of one's own: of a control alone, of runs that all diverged, with titles of any kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from own_studies import FREE, HOSTILE, TYPESET, explored, run, show, train, words, working_in

ESCAPED = r"&lt;b>\$x_1\$ & \|pipe\| \*star\*&lt;/b>"
LATEX = r"\textless{}b\textgreater{}\$x\_1\$ \& \textbar{}pipe\textbar{} *star*\textless{}/b\textgreater{}"
PAGES = ["study.md", "results/README.md", "results/claims.md", *(f"results/tables/{name}.md" for name in TYPESET)]


@pytest.fixture(scope="session")
def control(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of nothing but a control."""
    folder = train(tmp_path_factory.mktemp("own") / "control", prepared, methods={"nonprivate": {}})
    with working_in(folder):
        run("audit", "--config", "study.yaml", "--output", "results/audit.csv")
    show(folder)
    return folder


@pytest.fixture(scope="session")
def diverged(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which every run diverged."""
    methods: dict[str, Any] = {"dp-sgd": {"C": 1e9}, "dp-psasc": {"C": 1e9}}
    folder = train(
        tmp_path_factory.mktemp("own") / "diverged", prepared, methods=methods, digits={"learning_rate": 1e30}
    )
    (folder / "results" / "audit.csv").write_text("\n")
    show(folder)
    return folder


@pytest.fixture(scope="session")
def hostile(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with titles that look like markup, mathematics and missing values."""
    methods = {"auto-s": {"title": "None"}, "mine": {"method": "dp-psac", "title": HOSTILE}, "nsgd": {"title": "007"}}
    folder = train(tmp_path_factory.mktemp("own") / "hostile", prepared, methods=methods, digits={"title": HOSTILE})
    (folder / "results" / "audit.csv").write_text("\n")
    show(folder)
    return folder


def test_control_alone_gets_what_can_be_drawn_and_a_reason_for_the_rest(control: Path) -> None:
    nothing = {name: words(control, name) for name in FREE if "Nothing to draw: " in words(control, name)}
    assert set(FREE) - set(nothing) == {"accuracy", "convergence"}
    assert "the study has no private method" in nothing["weights"]
    assert "no method was audited" in nothing["audit"]
    assert "the study has no method to compare others with" in nothing["differences"]
    assert "The study has no method to compare others with." in words(control, "accuracy")


def test_control_alone_is_explored_and_written_up(control: Path) -> None:
    page = explored(control)
    assert [(method["title"], method["shown"]) for method in page["methods"]] == [("non-private", True)]
    assert {figure["name"] for figure in page["figures"]} == {"accuracy", "epoch"}
    text = (control / "study.md").read_text(encoding="utf-8")
    assert "The study has no method under test: no claim is decided." in text
    assert "**C1" not in text


def test_runs_that_all_diverged_are_said_to_have(diverged: Path) -> None:
    assert set(pd.read_csv(diverged / "results" / "runs.csv")["status"]) == {"diverged"}
    for name in ("accuracy", "convergence"):
        assert "Nothing to draw: no run has finished (4 diverged)." in words(diverged, name)
    assert [name for name in FREE if "Nothing to draw: " not in words(diverged, name)] == ["weights"]
    for name in ("accuracy", "convergence"):
        for ending in ("md", "tex", "html"):
            text = (diverged / "results" / "tables" / f"{name}.{ending}").read_text(encoding="utf-8")
            assert "Nothing to show: no run has finished (4 diverged)." in text
    assert "Nothing came out: no run has finished (4 diverged)." in (diverged / "study.md").read_text(encoding="utf-8")
    page = (diverged / "results" / "README.md").read_text(encoding="utf-8")
    assert page.count(": diverged (") == 4
    assert "trains what is missing" not in page
    assert set(explored(diverged)["tables"]["runs"]["seed"]) == {0, 1}  # its runs are listed


def test_titles_are_text_in_markdown(hostile: Path) -> None:
    for page in PAGES:
        text = (hostile / page).read_text(encoding="utf-8")
        assert ESCAPED in text, page
        assert HOSTILE not in text
        assert "<b>" not in text
        tables = re.findall(r"(?:^\|.*\n)+", text.replace(r"\|", "") + "\n", re.M)
        assert tables, page
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1, (page, table)


def test_titles_are_text_in_latex_html_and_figures(hostile: Path) -> None:
    tables = hostile / "results" / "tables"
    for name in TYPESET:
        assert LATEX in (tables / f"{name}.tex").read_text(encoding="utf-8")
        page = (tables / f"{name}.html").read_text(encoding="utf-8")
        assert "&lt;b&gt;$x_1$ &amp; |pipe| *star*&lt;/b&gt;" in page
        assert "<b>" not in page
    for name in FREE:
        assert ("Nothing to draw" in words(hostile, name)) or HOSTILE in words(hostile, name), name


def test_titles_come_back_from_the_tables_as_they_were(hostile: Path) -> None:
    page = explored(hostile)
    assert [method["title"] for method in page["methods"]] == ["None", "007", HOSTILE]
    assert page["datasets"] == {"digits": HOSTILE}
    for name in ("accuracy", "differences", "weights"):
        assert "None" in words(hostile, name)
        assert "007" in words(hostile, name)


def test_title_cannot_end_the_script_that_holds_it(hostile: Path) -> None:
    page = (hostile / "results" / "explorer.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert r"\u003cb>$x_1$" in page


def test_study_is_told_by_its_own_methods(hostile: Path) -> None:
    """Its reference is Auto-S, called None, and the method under test is DP-PSAC by another name: no other is named."""
    for page in [*PAGES, "results/explorer.html"]:
        text = (hostile / page).read_text(encoding="utf-8")
        assert [name for name in ("DP-SGD", "DP-PSASC", "Auto-S", "our reading") if name in text] == [], page
    assert "Difference to None" in words(hostile, "accuracy")
    assert "minus that of None" in words(hostile, "differences")
    titles = [figure["metrics"] for figure in explored(hostile)["figures"] if figure["name"] == "difference"]
    assert "Difference to None, paired by seed (percentage points)" in titles[0].values()
