"""What a study is: data sets x methods x epsilons x seeds, each data set with its protocol, and sweeps around them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from psasc_bench import data, methods
from psasc_bench.data import Features
from psasc_bench.methods import LARGEST, Method
from psasc_bench.study.spec import RunSpec, format_epsilon

OPTIMISER = ("learning_rate", "momentum")
MOST_EPOCHS = 1_000_000
T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not name a value twice")
    return values


def _nameable(epsilon: float) -> float:
    if float(format_epsilon(epsilon)) != epsilon:
        raise ValueError("must have at most 6 significant digits, for it stands in file names")
    return epsilon


Finite = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[Finite, Field(gt=0, le=LARGEST)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, lt=2**31)]
Seed = Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=100)]  # it stands in file names
Epsilon = Annotated[Positive, AfterValidator(_nameable)]
Epsilons = Annotated[tuple[Epsilon, ...], Field(min_length=1), AfterValidator(_distinct)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_distinct)]
Settings = dict[str, Positive]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Values = Annotated[Epsilons, BeforeValidator(_listed)]  # for they stand in file names, too
Grid = Annotated[dict[str, Values], Field(min_length=1)]
Grids = Annotated[tuple[Grid, ...], BeforeValidator(_listed), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetConfig(_Strict):
    """One data set with its training protocol. ``config/README.md`` explains every key."""

    source: Literal["digits", "mnist", "fashion_mnist", "cifar10", "npz"]
    path: str | None = None
    mean: tuple[Annotated[Finite, Field(ge=-LARGEST, le=LARGEST)], ...] | None = None
    deviation: tuple[Positive, ...] | None = None
    features: Features = "pixels"
    title: str
    model: str
    expected_batch_size: Count
    micro_batch_size: Count
    epochs: Annotated[Count, Field(le=MOST_EPOCHS)]
    delta: Annotated[float, BeforeValidator(_number), Field(gt=0, lt=1)]
    learning_rate: Positive
    momentum: Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]
    share_process: bool = False
    probe_every_epochs: Annotated[int, BeforeValidator(_number), Field(ge=0)] = 0
    epsilons: Epsilons | None = None
    seeds: Seeds | None = None
    more_seeds: dict[Epsilon, Seeds] = {}
    overrides: dict[str, Settings] = {}


@dataclass(frozen=True, order=True)
class Cell:
    """All runs that differ in nothing but the seed."""

    dataset: str
    method: str
    epsilon: float

    @property
    def label(self) -> str:
        return format_epsilon(self.epsilon)


class Sweep(_Strict):
    """Grids of settings around a study's own: every point of every grid of a method is a trial."""

    evaluation: Literal["test", "validation"]
    datasets: Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_distinct)]
    epsilons: Epsilons
    seeds: Seeds
    methods: dict[str, Grids] = Field(min_length=1)

    def trials(self, method: str) -> list[Settings]:
        """The settings of the method's trials, in the order of its grids."""
        return [
            dict(zip(grid, values, strict=True)) for grid in self.methods[method] for values in product(*grid.values())
        ]


class Study(_Strict):
    """A grid of runs: data sets x methods x epsilons x seeds."""

    seeds: Seeds
    epsilons: Epsilons
    methods: dict[str, Settings] = Field(min_length=1)
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    data_root: str = "data"
    train: Annotated[tuple[Name, ...], AfterValidator(_distinct)] | None = None
    sweeps: dict[Name, Sweep] = {}

    def trained(self) -> list[str]:
        """The data sets whose missing runs the workflow trains; of the others it shows what records there are."""
        return [name for name in self.datasets if self.train is None or name in self.train]

    def cells(self) -> Iterator[Cell]:
        """Every cell once. A method of unbounded sensitivity has one per data set, at epsilon infinity."""
        for dataset in self.datasets:
            for method in self.methods:
                for epsilon in self.cell_epsilons(dataset, method):
                    yield Cell(dataset, method, epsilon)

    def budgets(self, dataset: str) -> tuple[float, ...]:
        """The epsilons of the data set's private runs."""
        return self.dataset(dataset).epsilons or self.epsilons

    def cell_epsilons(self, dataset: str, method: str) -> tuple[float, ...]:
        unbounded = math.isinf(self.method(dataset, method).sensitivity())
        return (math.inf,) if unbounded else self.budgets(dataset)

    def cell_seeds(self, dataset: str, epsilon: float) -> tuple[int, ...]:
        protocol = self.dataset(dataset)
        return (*(protocol.seeds or self.seeds), *protocol.more_seeds.get(epsilon, ()))

    def dataset(self, name: str) -> DatasetConfig:
        if name not in self.datasets:
            raise ConfigError(f"datasets: no data set {name!r}; there are: {', '.join(self.datasets)}")
        return self.datasets[name]

    def sweep(self, name: str) -> Sweep:
        if name not in self.sweeps:
            raise ConfigError(f"sweeps: no sweep {name!r}; there are: {', '.join(self.sweeps) or 'none'}")
        return self.sweeps[name]

    def prepared(self, dataset: str) -> Path:
        """Where the data set's prepared file is kept. Raises ``ConfigError`` if its ``.npz`` cannot be read."""
        protocol = self.dataset(dataset)
        try:
            path = Path(protocol.path) if protocol.path else None
            name = data.prepared_name(
                dataset, path=path, mean=protocol.mean, deviation=protocol.deviation, features=protocol.features
            )
        except ValueError as error:
            raise ConfigError(f"datasets.{dataset}.path: {error}") from None
        return Path("data", "prepared", f"{name}.npz")

    def method(self, dataset: str, name: str) -> Method:
        """The method with its hyper-parameters for ``dataset``."""
        return methods.create(name, self._settings(dataset, name)[0])

    def spec(self, cell: Cell, seed: int) -> RunSpec:
        """The run of ``cell`` with ``seed``, every default and override resolved."""
        dataset = self.dataset(cell.dataset)
        _, optimiser = self._settings(cell.dataset, cell.method)
        return RunSpec(
            dataset=cell.dataset,
            model=dataset.model,
            method=cell.method,
            parameters=methods.parameters(self.method(cell.dataset, cell.method)),
            epsilon=cell.epsilon,
            delta=dataset.delta,
            expected_batch_size=dataset.expected_batch_size,
            epochs=dataset.epochs,
            learning_rate=optimiser["learning_rate"],
            momentum=optimiser["momentum"],
            seed=seed,
        )

    def trial(self, sweep: Sweep, dataset: str, method: str, settings: Settings) -> Study:
        """One trial, as a study of its own: ``settings`` go before all others. Of these, ``epochs`` takes the place of
        the data set's, and ``sensitivity`` stands for the ``C`` that gives it. Raises ``ValueError`` for settings that
        the method has not."""
        protocol = self.dataset(dataset)
        merged = self.methods[method] | protocol.overrides.get(method, {}) | settings
        epochs = merged.pop("epochs", protocol.epochs)
        if epochs != int(epochs) or epochs > MOST_EPOCHS:
            raise ConfigError(f"epochs must be a whole number up to {MOST_EPOCHS}, got {epochs:g}")
        if "sensitivity" in merged:
            merged["C"] = _threshold(method, merged, sensitivity=merged.pop("sensitivity"))
        own: dict[str, Any] = {"epochs": int(epochs), "overrides": {}}
        own |= {"epsilons": None, "seeds": None, "more_seeds": {}}
        changes: dict[str, Any] = {"datasets": {dataset: protocol.model_copy(update=own)}, "methods": {method: merged}}
        return self.model_copy(
            update=changes | {"epsilons": sweep.epsilons, "seeds": sweep.seeds, "train": None, "sweeps": {}}
        )

    def _settings(self, dataset: str, method: str) -> tuple[Settings, Settings]:
        """The method's hyper-parameters and the optimiser's settings for it on ``dataset``."""
        if method not in self.methods:
            raise ConfigError(f"methods: no method {method!r}; there are: {', '.join(self.methods)}")
        config = self.dataset(dataset)
        defaults = {key: getattr(config, key) for key in OPTIMISER}
        merged = defaults | self.methods[method] | config.overrides.get(method, {})
        parameters = {key: value for key, value in merged.items() if key not in OPTIMISER}
        return parameters, {key: merged[key] for key in OPTIMISER}


def _threshold(name: str, settings: Settings, *, sensitivity: float) -> float:
    """The ``C`` at which the method has this sensitivity, if the one is proportional to the other."""
    parameters = {key: value for key, value in settings.items() if key not in OPTIMISER}
    threshold = sensitivity / methods.create(name, parameters | {"C": 1.0}).sensitivity()
    if not math.isclose(methods.create(name, parameters | {"C": threshold}).sensitivity(), sensitivity):
        raise ConfigError(f"sensitivity: that of {name} is not proportional to its C; vary C itself")
    return threshold
