"""What `psasc-bench --help` says of the commands: those that one needs first, then the rest by what they are about."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

HEADINGS = {
    "`snakemake --cores 8` makes every table and figure; besides it, one needs three commands:": (
        "status",
        "table",
        "check",
    ),
    "methods and privacy:": ("new", "info", "audit", "audit-run", "verify"),
    "data and training:": ("download", "prepare", "budgets", "train", "train-sweep", "deviation"),
    "records, tables and figures:": (
        "collect",
        "tune",
        "collect-sweeps",
        "claims",
        "write-up",
        "figure",
        "explorer",
        "compare",
        "merge",
    ),
}
WIDTH = 100


def overview(descriptions: Mapping[str, str]) -> str:
    """The commands under their headings, each with the first sentence of its description."""
    return "\n\n".join(
        "\n".join([heading, *(_entry(name, descriptions[name]) for name in names)])
        for heading, names in HEADINGS.items()
    )


def _entry(name: str, description: str) -> str:
    sentence = re.split(r"[.:;?](?:\s|$)", " ".join(description.split()))[0]
    return textwrap.fill(f"{name:15} {sentence}", WIDTH, initial_indent="  ", subsequent_indent=18 * " ")
