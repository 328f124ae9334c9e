from .claims_page import render_claims_page
from .explorer import write_explorer
from .figures import FIGURES, drawable, figure_caption
from .plots import draw_figure
from .results_page import render_results_page
from .typeset import write_table
from .writeup import answered, render_write_up

__all__ = [
    "FIGURES",
    "answered",
    "draw_figure",
    "drawable",
    "figure_caption",
    "render_claims_page",
    "render_results_page",
    "render_write_up",
    "write_explorer",
    "write_table",
]
