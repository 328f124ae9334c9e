"""The command that begins a file of one's own."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
from dataclasses import dataclass
from types import ModuleType

from psasc_bench import data, files, methods, models, optimisers
from psasc_bench.commands.notices import wrote

LONGEST = 100  # characters of a name: file systems have room for 255, with what is added to it
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

OPTIMISER = '''\
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class {class_name}(UpdateRule):
    """``m <- beta m + (1 - beta) g``; after t steps the direction is ``m / (1 - beta^t)``: your formula goes here, and
    the paper that it is from."""

    title = "{title}"  # what tables and figures call it
    fractions = ("beta",)  # those of the settings that are below 1

    # Settings: numbers from 0. Those without a default have to be given in the study.
    beta: float = 0.9

    def start(self, parameters: Tensor) -> State:
        # All that the rule remembers, which goes into checkpoints; leave it out if that is nothing.
        return {{"mean": parameters.new_zeros(parameters.shape)}}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        # Of what was released [P], or what the rule before has made of it: the direction that the learning rate goes
        # against, and the state after this step. No argument is changed. `moment` has the step, from 0, the steps, the
        # noise_scale and the parameters.
        mean = self.beta * state["mean"] + (1 - self.beta) * gradient
        return mean / (1 - self.beta ** (moment.step + 1)), {{"mean": mean}}
'''
MODEL = '''\
import math

from torch import nn


def {stem}(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Of the shape of an example, as (3, 32, 32), and the number of classes: an output for each, without a softmax."""
    # No layer may mix examples, draw at random or keep a state: GroupNorm for BatchNorm, and no dropout.
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 32), nn.Tanh(), nn.Linear(32, classes))
'''
SOURCE = '''\
import numpy as np


def {stem}():
    """Images [n, channels, height, width], rows [n, d] or token ids [n, length], and their classes, from 0."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 300)
    x = random.normal(size=(300, 5)) + y[:, None]
    return dict(
        x_train=x[:200],
        y_train=y[:200],
        x_test=x[200:],
        y_test=y[200:],
        # The model sees (x - offset) / scale, numbers for each channel or column, or one for all. Public ones: what is
        # computed from private examples would need accounting.
        offset=1.0,
        scale=2.0,
    )
'''


@dataclass(frozen=True)
class _Kind:
    """What a file of this kind begins as, the ``room`` that knows those there are, and what to say of it in a ``study``
    and, if there is a ``check``, behind that."""

    text: str
    room: ModuleType
    study: str
    check: str | None = None


KINDS = {
    "method": _Kind(METHOD, methods, "methods: {{{name}: {{file: {file}, C: 0.1}}}}", " --set C=0.1"),
    "optimiser": _Kind(OPTIMISER, optimisers, "optimiser: {{file: {file}, beta: 0.9}}", ""),
    "model": _Kind(MODEL, models, "model: {{file: {file}}}"),
    "source": _Kind(SOURCE, data, "source: {{file: {file}}}"),
}


def new(options: argparse.Namespace) -> None:
    """Write a file to begin with: a method, an update rule, a network or a source, which works as it is."""
    kind, name = KINDS[options.kind], options.name.replace("_", "-")
    stem = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or keyword.iskeyword(stem):
        raise ValueError(f"{options.name!r}: a name is lower-case words of letters and digits, as my-{options.kind}")
    if taken := {name, stem}.intersection(kind.room.names()):
        raise ValueError(f"{taken.pop()}: there is one of this name; take another")
    if stem in sys.stdlib_module_names:
        raise ValueError(f"{options.name!r}: Python has a module of this name; take another")
    if len(name) > LONGEST:
        raise ValueError(f"{name[:20]}...: a name has at most {LONGEST} characters, this one has {len(name)}")
    path = options.folder / f"{stem}.py"
    if path.exists():
        raise ValueError(f"{path}: exists already; take another name, or remove it")
    words = name.split("-")
    title = " ".join(words).capitalize()
    class_name = "".join(word.capitalize() for word in words)
    files.write_text(path, kind.text.format(class_name=class_name, title=title, stem=stem))
    wrote(path)
    if kind.check is not None:
        print(f"check it:     psasc-bench check --file {path}{kind.check}")
    said = kind.study.format(name=name, file=path.name)
    print(f"in a study:   {said}, with the path as seen from the study's file")
