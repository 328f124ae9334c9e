"""A study's configuration: read, validated to the last key, and expanded into cells and runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from psasc_bench import methods
from psasc_bench.methods import Method
from psasc_bench.spec import RunSpec, format_epsilon

OPTIMISER = ("learning_rate", "momentum")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the file, the key and the remedy."""


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1)]
Seed = Annotated[int, BeforeValidator(_number), Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Settings = dict[str, Positive]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetConfig(_Strict):
    """One data set with its training protocol. ``config/README.md`` explains every key."""

    source: Literal["digits", "mnist", "fashion_mnist", "cifar10", "npz"]
    path: str | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[Positive, ...] | None = None
    title: str
    model: str
    expected_batch_size: Count
    micro_batch_size: Count
    epochs: Count
    delta: Annotated[float, BeforeValidator(_number), Field(gt=0, lt=1)]
    learning_rate: Positive
    momentum: Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]
    share_process: bool = False
    epsilons: tuple[Positive, ...] | None = Field(default=None, min_length=1)
    seeds: tuple[Seed, ...] | None = Field(default=None, min_length=1)
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


class Study(_Strict):
    """A grid of runs: data sets x methods x epsilons x seeds."""

    seeds: tuple[Seed, ...] = Field(min_length=1)
    epsilons: tuple[Positive, ...] = Field(min_length=1)
    methods: dict[str, Settings] = Field(min_length=1)
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    data_root: str = "data"

    def cells(self) -> Iterator[Cell]:
        """Every cell once. A method of unbounded sensitivity has one per data set, at epsilon infinity."""
        for dataset in self.datasets:
            for method in self.methods:
                for epsilon in self.cell_epsilons(dataset, method):
                    yield Cell(dataset, method, epsilon)

    def cell_epsilons(self, dataset: str, method: str) -> tuple[float, ...]:
        unbounded = math.isinf(self.method(dataset, method).sensitivity())
        return (math.inf,) if unbounded else self.dataset(dataset).epsilons or self.epsilons

    def cell_seeds(self, dataset: str) -> tuple[int, ...]:
        return self.dataset(dataset).seeds or self.seeds

    def dataset(self, name: str) -> DatasetConfig:
        if name not in self.datasets:
            raise ConfigError(f"datasets: no data set {name!r}; there are: {', '.join(self.datasets)}")
        return self.datasets[name]

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

    def _settings(self, dataset: str, method: str) -> tuple[Settings, Settings]:
        """The method's hyper-parameters and the optimiser's settings for it on ``dataset``."""
        if method not in self.methods:
            raise ConfigError(f"methods: no method {method!r}; there are: {', '.join(self.methods)}")
        config = self.dataset(dataset)
        defaults = {key: getattr(config, key) for key in OPTIMISER}
        merged = defaults | self.methods[method] | config.overrides.get(method, {})
        parameters = {key: value for key, value in merged.items() if key not in OPTIMISER}
        return parameters, {key: merged[key] for key in OPTIMISER}


def load(path: Path) -> Study:
    """Read and validate a YAML (or JSON) file. Raises ``ConfigError``."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse(values, source=str(path))


def parse(values: Any, *, source: str) -> Study:
    """Validate configuration ``values``; ``source`` names where they came from. Raises ``ConfigError``."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: must be a mapping of keys to values, is {type(values).__name__}")
    try:
        study = Study.model_validate({key: _parse_string(key, value) for key, value in values.items()})
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {_explain(e)}" for e in error.errors(include_url=False))) from None
    try:
        _check_methods(study)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
    return study


def _parse_string(key: str, value: Any) -> Any:
    """Lists given as `snakemake --config 'seeds=[0]'` arrive as strings."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) and key != "data_root" else value
    except yaml.YAMLError:
        return value


def _check_methods(study: Study) -> None:
    """Every method exists and takes its settings on every data set."""
    for name, dataset in study.datasets.items():
        if unused := sorted(set(dataset.overrides) - set(study.methods)):
            raise ConfigError(
                f"datasets.{name}.overrides.{unused[0]}: not a method of this study, "
                f"which has: {', '.join(study.methods)}"
            )
        for method in study.methods:
            place = f"datasets.{name}.overrides.{method}" if method in dataset.overrides else f"methods.{method}"
            try:
                study.method(name, method)
            except ValueError as error:
                raise ConfigError(f"{place}: {error}") from None
        if (dataset.source == "npz") != (dataset.path is not None):
            raise ConfigError(f"datasets.{name}.path: goes with source npz, and only with it")
        if (dataset.mean is None) != (dataset.deviation is None):
            raise ConfigError(f"datasets.{name}: mean and deviation go together")
        if dataset.mean is not None and dataset.source != "npz":
            raise ConfigError(f"datasets.{name}.mean: goes with source npz; {dataset.source} has published constants")


def _explain(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "[key]")
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; see config/README.md for the known ones"
    if error["type"] == "missing":
        return f"{key}: this key is needed; see config/README.md"
    return f"{key}: {message[0].lower()}{message[1:]}, got {error['input']!r:.80}"
