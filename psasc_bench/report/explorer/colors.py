"""Shades of the methods' colours that can be seen on the page in dark mode. By day they are as in the figures."""

from __future__ import annotations

import colorsys
from collections.abc import Collection

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from psasc_bench.report.style import Look

READABLE = 3.0  # the contrast that WCAG 2 asks of lines and markers
LIGHT, DARK = ("#ffffff", "#f5f6f7"), ("#16181d", "#1f2229")  # backgrounds of the page and of its filters


def properties(looks: Collection[Look]) -> str:
    """The methods' colours as custom properties of a style sheet, ``--method-0`` and so on."""
    light = "".join(f"--method-{i}: {look.color};" for i, look in enumerate(looks))
    dark = "".join(f"--method-{i}: {on_dark(look.color)};" for i, look in enumerate(looks))
    return f":root {{{light}}} @media (prefers-color-scheme: dark) {{:root {{{dark}}}}}"


def on_dark(color: str) -> str:
    """``color``, or where it would be hard to see on the dark page, the same hue as light as it was dark."""
    if readable(color, DARK):
        return color
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return to_hex(colorsys.hls_to_rgb(hue, 1 - lightness, saturation))


def readable(color: str, backgrounds: Collection[str]) -> bool:
    return min(contrast(color, background) for background in backgrounds) >= READABLE


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2, relative luminance)."""

    def luminance(color: str) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)
