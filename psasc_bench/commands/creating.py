"""The command that begins a file of one's own."""

from __future__ import annotations

import argparse
import keyword
import re

from psasc_bench import files, methods
from psasc_bench.commands.notices import wrote

METHOD = '''\
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class {class_name}(Method):
    """``w(x) = C/(x + gamma)``, which is Auto-S: your formula goes here, and the paper that it is from."""

    title = "{title}"  # what tables and figures call it

    # Hyper-parameters: numbers above 0. Those without a default have to be given in the study.
    C: float
    gamma: float = 0.01

    def weight(self, norm: Tensor) -> Tensor:
        # Of norms [B], one for each example: finite from 0 to 1e30, each without regard to the others.
        return self.C / (norm + self.gamma)

    def sensitivity(self) -> float:
        # The supremum of x * w(x). Noise is calibrated against nothing else: if this is too low, nothing is private.
        return self.C
'''


def new(options: argparse.Namespace) -> None:
    """Write a file to begin with: a method of one's own, which is one already."""
    name = options.name.replace("_", "-")
    stem = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(stem):
        raise ValueError(f"{options.name!r}: a name is lower-case words of letters and digits, as my-method")
    if name in methods.names():
        raise ValueError(f"{name}: there is a method of this name; take another")
    path = options.folder / f"{stem}.py"
    if path.exists():
        raise ValueError(f"{path}: exists already; take another name, or remove it")
    words = name.split("-")
    text = METHOD.format(class_name="".join(word.capitalize() for word in words), title=" ".join(words).capitalize())
    files.write_text(path, text)
    wrote(path)
    print(f"check it:     psasc-bench check --file {path} --set C=0.1")
    print(
        f"in a study:   methods: {{{name}: {{file: {path.name}, C: 0.1}}}}, with the path as seen from the study's file"
    )
