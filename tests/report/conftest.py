"""Small studies whose figures are drawn, or whose page is opened in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from explorer_page import DESKTOP, Open, write_study
from figure_tables import Tables, write_tables
from playwright.sync_api import Browser, Page

from psasc_bench.report import explorer, plots


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Writes the tables of a small study, as ``write_tables`` does, and returns their folder."""
    return partial(write_tables, tmp_path / "results")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete study, all of whose figures are drawn, in a folder ``figures``."""
    folder = write_tables(tmp_path_factory.mktemp("study"))
    for figure in plots.FIGURES:
        plots.draw_figure(figure, folder, folder / "figures")
    return folder


@pytest.fixture(scope="session")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    explorer.write_explorer(folder, folder / "explorer.html")
    return folder


@pytest.fixture
def open_page(browser: Browser, explored: Path) -> Iterator[Open]:
    """Opens the page, or a ``view`` of it; afterwards it must have asked for nothing, and said nothing on the
    console."""
    said: list[str] = []
    asked: list[str] = []

    def open_(
        size: tuple[int, int] = DESKTOP,
        *,
        scheme: Any = "light",
        path: Path = explored / "explorer.html",
        view: str = "",
    ) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{path.as_uri()}#{view}" if view else path.as_uri())
        page.wait_for_selector("body[data-ready]")
        return page

    yield open_
    pages = [page for context in browser.contexts for page in context.pages]
    for page in pages:
        page.close()
    assert said == []
    assert {re.sub("file://.*/|#.*", "", url) for url in asked if not url.startswith("blob:")} == {"explorer.html"}
