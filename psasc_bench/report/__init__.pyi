from .explorer import write_explorer
from .figures import FIGURES, drawable
from .plots import draw_figure
from .typeset import write_table
from .writeup import render_write_up

__all__ = [
    "FIGURES",
    "draw_figure",
    "drawable",
    "render_write_up",
    "write_explorer",
    "write_table",
]
