"""The parts of a study's configuration, each validated by itself. ``config/README.md`` explains every key."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)

from psasc_bench import plugins
from psasc_bench.data import Features
from psasc_bench.methods import LARGEST, checked_title
from psasc_bench.privacy import Accountant
from psasc_bench.study.optimiser import check_rules, listed_rules
from psasc_bench.study.search import draw
from psasc_bench.study.spec import format_epsilon

# Of a method's settings, those that are no hyper-parameters of it; nor are those of update rules, as ``adam.beta1``.
TRAINING = ("learning_rate", "momentum", "augmentations")
MOST_EPOCHS = 1_000_000
MOST_TRIALS = 10_000
MOST_AUGMENTATIONS = 1000  # each is a pass over the batch
MOST_PIXELS = 4096  # in height and width
# What a trial may be given in place of another setting, which follows from it.
STANDING_FOR = {"sensitivity": "C", "step": "learning_rate"}
T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not name a value twice")
    return values


def _nameable(epsilon: float) -> float:
    if float(format_epsilon(epsilon)) != epsilon:
        raise ValueError("must have at most 6 significant digits, for it stands in file names")
    return epsilon


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _expanded(path: str) -> str:
    if not (expanded := os.path.expandvars(os.path.expanduser(path))):
        raise ValueError("must not be empty")
    return expanded


def _referred(value: Any) -> Any:
    """A file with the name of what it defines, as the one text that leads there."""
    if not isinstance(value, Mapping):
        return value
    file, name = value.get("file"), value.get("name")
    if set(value) - {"file", "name"} or not (isinstance(file, str) and isinstance(name, str | None)):
        raise ValueError("must be a name, or {file: PATH}, with `name: DEFINITION` if it defines several")
    if not plugins.is_file(file):
        raise ValueError("must name a Python file, NAME.py")
    return plugins.reference(file, name)


def _python_file(path: str) -> str:
    if not plugins.is_file(path):
        raise ValueError("must name a Python file, NAME.py")
    return path


def _of_distinct_keys(values: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Keys that differ as text may be one number."""
    validated = validate(values)
    if isinstance(values, Mapping) and len(validated) < len(values):
        counted = Counter(key for each in values.items() for key in validate(dict([each])))
        raise ValueError(f"must not have a key twice, as {counted.most_common(1)[0][0]:g}")
    return validated


def _of_settings(grid: dict[str, T]) -> dict[str, T]:
    if misplaced := [key for key in grid if key in MethodConfig.model_fields]:
        raise ValueError(f"must vary settings of a method, which {misplaced[0]!r} is not")
    if both := [pair for pair in STANDING_FOR.items() if set(pair) <= set(grid)]:
        raise ValueError(f"must not have both {both[0][0]} and {both[0][1]}, for which it stands")
    return grid


Finite = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0, le=LARGEST)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, lt=2**31)]
Seed = Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=100)]  # it stands in file names
MethodName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]
Title = Annotated[str, AfterValidator(checked_title)]
ExpandedPath = Annotated[str, AfterValidator(_expanded)]
Reference = Annotated[str, BeforeValidator(_referred)]  # or a name, see `plugins`
PythonFile = Annotated[str, AfterValidator(_python_file)]
Epsilon = Annotated[Positive, AfterValidator(_nameable)]
_Epsilons = Annotated[tuple[Epsilon, ...], Field(min_length=1), AfterValidator(distinct)]
_Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(distinct)]
Epsilons = Annotated[_Epsilons, BeforeValidator(_listed)]  # a single one needs no list
Seeds = Annotated[_Seeds, BeforeValidator(_listed)]
Settings = dict[str, Positive]
_ByEpsilon = Annotated[dict[Epsilon, T], WrapValidator(_of_distinct_keys)]
Optimiser = Annotated[
    tuple[dict[str, dict[str, Finite]], ...], BeforeValidator(listed_rules), AfterValidator(check_rules)
]
Augment = Annotated[tuple[Literal["shift", "flip"], ...], AfterValidator(distinct)]
# Values of settings stand in file names, too.
Grid = Annotated[dict[str, Epsilons], Field(min_length=1), AfterValidator(_of_settings)]
Grids = Annotated[tuple[Grid, ...], BeforeValidator(_listed), Field(min_length=1)]


def hyperparameters(settings: Mapping[str, float]) -> Settings:
    """Those of the method itself, of all that is said of it."""
    return {key: value for key, value in settings.items() if key not in TRAINING and "." not in key}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetConfig(Strict):
    """One data set with its training protocol. ``sensitivity`` is that of methods to which no ``C`` is given;
    ``accountant`` what the noise of its budgets is calibrated by."""

    source: Reference
    path: ExpandedPath | None = None
    mean: tuple[Annotated[Finite, Field(ge=-LARGEST, le=LARGEST)], ...] | None = None
    deviation: tuple[Positive, ...] | None = None
    features: Features = "pixels"
    size: Annotated[Count, Field(le=MOST_PIXELS)] | None = None
    label: str | None = None
    title: Title
    model: Reference
    expected_batch_size: Count
    micro_batch_size: Count
    epochs: Annotated[Count, Field(le=MOST_EPOCHS)]
    delta: Annotated[float, BeforeValidator(_number), Field(gt=0, lt=1)]
    accountant: Accountant = "pld"
    learning_rate: Positive
    momentum: Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]
    optimiser: Optimiser = ()
    sensitivity: Positive | None = None
    augment: Augment = ()
    augmentations: Annotated[Count, Field(le=MOST_AUGMENTATIONS)] = 1
    share_process: bool = False
    probe_every_epochs: Annotated[int, BeforeValidator(_number), Field(ge=0)] = 0
    epsilons: Epsilons | None = None
    seeds: Seeds | None = None
    more_seeds: _ByEpsilon[Seeds] = {}
    methods: Annotated[tuple[MethodName, ...], Field(min_length=1), AfterValidator(distinct)] | None = None
    tuned: bool = False
    overrides: dict[str, Settings] = {}
    overrides_by_epsilon: _ByEpsilon[dict[str, Settings]] = {}

    @model_serializer(mode="wrap")
    def _said(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without_unsaid(serialise(self))

    def said_of(self, method: str, epsilon: float) -> Settings:
        """What it sets for a method at this budget, infinite where there is none."""
        return self.overrides.get(method, {}) | self.overrides_by_epsilon.get(epsilon, {}).get(method, {})


class MethodConfig(BaseModel):
    """A method of a study: which one, by its name or its file, if its name in the study is another, its title, and its
    update rules and augmentations if they are not the data set's; all else are settings."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Positive] = Field(init=False)

    method: str | None = None
    file: PythonFile | None = None
    title: Title | None = None
    optimiser: Optimiser = ()
    augment: Augment = ()

    @model_serializer(mode="wrap")
    def _said(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in _without_unsaid(serialise(self)).items() if value is not None}

    @property
    def settings(self) -> Settings:
        return dict(self.__pydantic_extra__)

    def having(self, settings: Settings) -> MethodConfig:
        """The same method with these settings, and no others."""
        kept = self.model_dump(include={"method", "file", "title", "optimiser", "augment"})
        return MethodConfig.model_validate(kept | settings)


def _without_unsaid(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value or key not in ("optimiser", "augment")}


class ClaimsConfig(Strict):
    """What the claims are about: the ``method`` under test, its variant with inner ``momentum``, the ``reference`` that
    it is compared with, and ``earlier`` methods. What is not said is found among the study's, see ``Study.roles``."""

    method: str | None = None
    momentum: str | None = None
    reference: str | None = None
    earlier: Annotated[tuple[str, ...], AfterValidator(distinct)] | None = None


class Sweep(Strict):
    """Settings to try around a study's own. Without ``trials`` every point of every grid of a method is one; or else
    its grids are ranges, of which each has so many drawn from it at random."""

    evaluation: Literal["test", "validation"]
    choose: bool = True
    datasets: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(distinct)]
    epsilons: Epsilons
    seeds: Seeds
    trials: Annotated[tuple[Annotated[Count, Field(le=MOST_TRIALS)], ...], BeforeValidator(_listed)] = ()
    methods: dict[str, Grids] = Field(min_length=1)

    @property
    def chosen_from(self) -> bool:
        """Whether the best trial of each method is chosen."""
        return self.choose and self.evaluation == "validation"

    def settings(self, method: str) -> list[Settings]:
        """Those of the method's trials, in the order of its grids. Raises ``ValueError`` for what cannot be drawn
        from."""
        grids = self.methods[method]
        if not self.trials:
            return [dict(zip(grid, values, strict=True)) for grid in grids for values in product(*grid.values())]
        if len(grids) != len(self.trials):
            raise ValueError(
                f"must have a set of ranges for each number in trials, {len(self.trials)}; has {len(grids)}"
            )
        found: list[Settings] = []
        for part, (ranges, trials) in enumerate(zip(grids, self.trials, strict=True)):
            found += draw(ranges, trials, part=part, others=found)
        return found
