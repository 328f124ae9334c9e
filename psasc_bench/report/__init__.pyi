from .citation import render_cells
from .claims_page import render_claims_page
from .explorer import write_explorer
from .figures import FIGURES, drawable, figure_caption
from .plots import draw_figure
from .reproduction import render_comparison
from .results_page import render_results_page
from .typeset import TABLES, write_table
from .writeup import answered, render_write_up

__all__ = [
    "FIGURES",
    "TABLES",
    "answered",
    "draw_figure",
    "drawable",
    "figure_caption",
    "render_cells",
    "render_claims_page",
    "render_comparison",
    "render_results_page",
    "render_write_up",
    "write_explorer",
    "write_table",
]
