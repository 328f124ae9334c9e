"""How figures look: one colour, marker and line per method, the same in all of them, told apart without colour too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib

SINGLE_COLUMN, DOUBLE_COLUMN = 3.3, 6.8  # widths of a journal's column and page, in inches

# After seaborn's palette for the colour-blind; all as dark as lines on white have to be (3:1, WCAG 2).
_BLUE, _AMBER, _GREEN, _RED, _VIOLET, _BROWN, _SKY = (
    "#0173b2",
    "#b4820a",
    "#029e73",
    "#d55e00",
    "#9550d8",
    "#8c5a3c",
    "#0e95b0",
)
_BLACK, _WINE, _INDIGO, GREY = "#222222", "#882255", "#332288", "#767676"
_SOLID, _DASHED, _DOTTED, _DASHDOT = (None, None), (5, 1.5), (1.2, 1.2), (5, 1.2, 1.2, 1.2)
_STROKES = ("x", "+", "1", "2")  # markers without an inside
_SIZES = {
    "s": 0.95,
    "D": 0.9,
    "^": 1.25,
    "v": 1.25,
    "<": 1.25,
    ">": 1.25,
    "P": 1.3,
    "X": 1.3,
    "*": 1.5,
    "p": 1.2,
    "h": 1.15,
}


@dataclass(frozen=True)
class Look:
    """``dashes`` are lengths on and off, in line widths; ``(None, None)`` is a solid line."""

    color: str
    marker: str
    dashes: tuple[float | None, ...]

    def line(self) -> dict[str, Any]:
        return {"color": self.color, "dashes": self.dashes}

    def points(self, *, scale: float = 1.0, edge: str | None = None) -> dict[str, Any]:
        """Markers that look equally large, at scale 1 about 3.8 points; an ``edge`` keeps apart those on a line."""
        colors = {"markerfacecolor": self.color, "markeredgecolor": self.color}
        if edge and self.marker not in _STROKES:
            colors["markeredgecolor"] = edge
        return {"marker": self.marker, "markersize": 3.8 * scale * self.size, **colors}

    @property
    def size(self) -> float:
        """Of the marker, to look as large as the others."""
        return _SIZES.get(self.marker, 1.0)


# Drawn and listed in this order.
KNOWN = {
    "dp-sgd": Look(_BLACK, "o", _SOLID),
    "auto-s": Look(_BLUE, "s", _DASHED),
    "nsgd": Look(_GREEN, "^", _DOTTED),
    "dp-psac": Look(_VIOLET, "D", _DASHDOT),
    "dp-psasc": Look(_RED, "v", _SOLID),
    "dp-psasc-inner": Look(_WINE, "*", _DASHED),
}
KNOWN_CONTROLS = {
    "nonprivate": Look(GREY, "", (4, 1.5)),
    "noise-only": Look(GREY, "x", (1, 1.5)),
}
# For methods that nobody has met yet. The counts share no divisor: a repeated colour has another marker and line.
_FREE_COLORS = (_AMBER, _SKY, _BROWN, _INDIGO)
_FREE_MARKERS = ("P", "X", "<", ">", "p", "h", "8")
_FREE_DASHES = (_DASHED, _SOLID, _DASHDOT)
_FREE_CONTROL_MARKERS = ("+", "1", "2")
_FREE_CONTROL_DASHES = ((8, 1.5), (2, 1), (6, 1, 1, 1, 1, 1))


def looks(methods: Sequence[str], controls: Collection[str]) -> dict[str, Look]:
    """The look of each of a study's ``methods``, known ones first, ``controls`` last.

    An unknown method takes the next free look in the order of the study, so adding one at the end changes no other.
    """
    compared = [name for name in methods if name not in controls]
    yardsticks = [name for name in methods if name in controls]
    found = {name: look for name, look in KNOWN.items() if name in compared}
    for i, name in enumerate(name for name in compared if name not in KNOWN):
        found[name] = Look(_cycle(_FREE_COLORS, i), _cycle(_FREE_MARKERS, i), _cycle(_FREE_DASHES, i))
    found |= {name: look for name, look in KNOWN_CONTROLS.items() if name in yardsticks}
    for i, name in enumerate(name for name in yardsticks if name not in KNOWN_CONTROLS):
        found[name] = Look(GREY, _cycle(_FREE_CONTROL_MARKERS, i), _cycle(_FREE_CONTROL_DASHES, i))
    return found


def _cycle(values: Sequence[Any], index: int) -> Any:
    return values[index % len(values)]


# Over matplotlib's own defaults, so that nobody's matplotlibrc changes a figure.
SETTINGS: Any = {
    "axes.axisbelow": True,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "white",
    "patch.force_edgecolor": True,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure on every machine
    "font.size": 7,
    "text.hinting": "none",  # at the layout's few pixels an inch, hinted text measures 6 % less than it takes
    "axes.labelsize": 7,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.0,
    "lines.markeredgewidth": 0.5,
    "figure.dpi": 72,  # that of both formats, so that one layout serves both
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "psasc-bench",
}


@contextmanager
def applied() -> Iterator[None]:
    """Within the block figures have 7 point fonts that stay text, and the same figure is the same bytes, whatever
    settings matplotlib has been given before."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield
