"""Titles are text in every format, and what is no title stays as it is."""

from __future__ import annotations

import pytest

from psasc_bench.report.formats import escape_markdown, with_minus_signs


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b>$x_1$ & |pipe| *star*</b>", r"&lt;b>\$x_1\$ & \|pipe\| \*star\*&lt;/b>"),
        ("_emphasis_ and snake_case", r"\_emphasis\_ and snake_case"),
        ("[text](address)", r"\[text\](address)"),
        ("&copy; and &#60;", "&amp;copy; and &amp;#60;"),
        ("back\\slash `code` ~gone~", "back\\\\slash \\`code\\` \\~gone\\~"),
        ("# heading #", r"\# heading \#"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("> said", r"\> said"),
        ("===", r"\==="),
        ("a - b + c > d", r"a \- b \+ c \> d"),
    ],
)
def test_markup_is_escaped_in_markdown(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    "text",
    [
        "CIFAR-10 scattering (rebuilt copy)",
        "-0.22 [-0.97, +0.53], p <.001",
        "mnist_cnn, 256",
        "-",
        "007",
        "None",
        "C#",
        "a & b",
        "C = 0.1, q = 0.25",
    ],
)
def test_what_is_no_markup_stays_as_it_is_in_markdown(text: str) -> None:
    assert escape_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-0.048 points [-0.069, -0.027], 5 seeds", "~0.048 points [~0.069, ~0.027], 5 seeds"),
        ("dp-sgd-2 at 1e-05, CIFAR-10, 2-3, (-1)", "dp-sgd-2 at 1e-05, CIFAR-10, 2-3, (~1)"),
        ("`snakemake --cores 8 -n`", "`snakemake --cores 8 -n`"),
    ],
)
def test_negative_numbers_have_minus_signs_and_nothing_else_has(text: str, shown: str) -> None:
    assert with_minus_signs(text) == shown.replace("~", "\N{MINUS SIGN}")
