"""The write-up of the shipped study is two printed pages, as the README says."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

# WeasyPrint says on import what its future versions will want.
pytestmark = pytest.mark.filterwarnings("ignore:HarfBuzz-Subset:DeprecationWarning")

ROOT = Path(__file__).parents[2]
# A4, as a browser prints it but for smaller type: 9 points in the text, 7 in the table.
STYLE = """
@page { size: A4; margin: 15mm 18mm }
body { font: 9pt/1.3 sans-serif }
h1 { font-size: 15pt; margin: 0 } h2 { font-size: 11pt; margin: 8pt 0 0 } p { margin: 4pt 0 }
table { font-size: 7pt; border-collapse: collapse } th, td { padding: 1pt 4pt; border-bottom: 0.5pt solid #ccc }
img { max-width: 100%; max-height: 75mm }
"""


def printed(page: Path) -> object:
    try:
        from weasyprint import CSS, HTML
    except OSError as error:
        pytest.skip(f"printing needs the pango library: {error}")
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(page.read_text(encoding="utf-8"))
    return HTML(string=body, base_url=str(page)).render(stylesheets=[CSS(string=STYLE)])


def test_the_study_is_two_printed_pages() -> None:
    assert len(printed(ROOT / "docs" / "study.md").pages) <= 2


def test_a_third_page_would_be_seen(tmp_path: Path) -> None:
    twice = (ROOT / "docs" / "study.md").read_text(encoding="utf-8").replace("../figures", str(ROOT / "figures"))
    (tmp_path / "study.md").write_text(twice * 2, encoding="utf-8")
    assert len(printed(tmp_path / "study.md").pages) > 2
