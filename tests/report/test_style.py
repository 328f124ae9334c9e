"""Every method has a look of its own, the same everywhere, that the colour-blind and a grey print tell apart."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from psasc_bench.report import style

# What is left of linear red, green and blue (Machado, Oliveira and Fernandes, 2009, at full severity).
SIMULATED = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of linear sRGB
GREY = 0.02  # the largest difference between red, green and blue that the eye still takes for grey


def test_every_method_looks_different() -> None:
    methods = [*style.KNOWN, *(f"new-{i}" for i in range(10)), *style.KNOWN_CONTROLS, "my-control"]
    looks = style.looks(methods, {*style.KNOWN_CONTROLS, "my-control"})
    assert list(looks) == methods
    assert len(set(looks.values())) == len(methods)
    assert len({(look.color, look.marker) for look in looks.values()}) == len(methods)


def test_first_unknown_methods_get_colours_of_their_own() -> None:
    looks = style.looks([*style.KNOWN, "new-1", "new-2", "new-3", "new-4"], set())
    assert len({look.color for look in looks.values()}) == len(looks)


def test_another_method_at_the_end_of_a_study_changes_no_look() -> None:
    before = style.looks(["new-1", "dp-sgd", "new-2"], set())
    after = style.looks(["new-1", "dp-sgd", "new-2", "dp-psasc", "new-3"], set())
    assert before.items() <= after.items()


def test_a_method_looks_the_same_whatever_the_others_are() -> None:
    assert style.looks(["dp-psasc"], set())["dp-psasc"] == style.looks(list(style.KNOWN), set())["dp-psasc"]


def test_only_controls_are_grey() -> None:
    looks = style.looks([*style.KNOWN, "new", "nonprivate", "my-control"], {"nonprivate", "my-control"})
    spread = {name: max(to_rgb(look.color)) - min(to_rgb(look.color)) for name, look in looks.items()}
    assert {name for name, value in spread.items() if value < GREY} == {"dp-sgd", "nonprivate", "my-control"}
    assert looks["dp-sgd"].color != looks["nonprivate"].color


def test_colours_are_told_apart_in_grey_print_or_by_marker() -> None:
    """Two methods whose greys are nearer than a tenth of the way from black to white differ in the marker."""
    looks = list(style.looks([*style.KNOWN, "new-1", "new-2", "new-3", "new-4"], set()).values())
    for i, first in enumerate(looks):
        for second in looks[i + 1 :]:
            assert abs(_grey(first.color) - _grey(second.color)) > 0.1 or first.marker != second.marker


def _grey(color: str) -> float:
    return float(np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722)))  # luma, ITU-R BT.709


@pytest.mark.parametrize("deficiency", SIMULATED)
def test_colours_of_known_methods_are_told_apart_by_the_colour_blind(deficiency: str) -> None:
    """A difference of 10 in CIE Lab is seen at a glance; 2.3 is just noticeable."""
    seen = [_lab(np.array(SIMULATED[deficiency]) @ _linear(look.color)) for look in style.KNOWN.values()]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 10


def _linear(color: str) -> Any:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: Any) -> Any:
    """CIE Lab of linear sRGB, under its white point D65."""
    xyz = XYZ @ np.clip(linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
