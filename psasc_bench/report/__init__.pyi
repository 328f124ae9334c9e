from .claims_page import claims_page
from .explorer import write_explorer
from .figures import FIGURES, drawable, figure_caption
from .plots import draw_figure
from .results_page import results_page
from .typeset import write_table
from .writeup import render_write_up

__all__ = [
    "FIGURES",
    "claims_page",
    "draw_figure",
    "drawable",
    "figure_caption",
    "render_write_up",
    "results_page",
    "write_explorer",
    "write_table",
]
