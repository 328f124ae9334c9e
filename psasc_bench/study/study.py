"""What a study is: data sets x methods x epsilons x seeds, each data set with its protocol, and sweeps around them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from psasc_bench import data, methods
from psasc_bench.methods import Method
from psasc_bench.study.optimiser import resolve, rules_title
from psasc_bench.study.roles import Roles, find_roles
from psasc_bench.study.settings import (
    ClaimsConfig,
    ConfigError,
    DatasetConfig,
    Epsilons,
    ExpandedPath,
    MethodConfig,
    MethodName,
    Name,
    Seeds,
    Settings,
    Strict,
    Sweep,
    distinct,
    hyperparameters,
)
from psasc_bench.study.spec import RunSpec, format_epsilon
from psasc_bench.study.threshold import threshold


@dataclass(frozen=True, order=True)
class Cell:
    """All runs that differ in nothing but the seed."""

    dataset: str
    method: str
    epsilon: float

    @property
    def label(self) -> str:
        return format_epsilon(self.epsilon)


class Study(Strict):
    """A grid of runs: data sets x methods x epsilons x seeds."""

    name: MethodName | None = None
    seeds: Seeds
    epsilons: Epsilons
    methods: dict[MethodName, MethodConfig] = Field(min_length=1)
    datasets: dict[Name, DatasetConfig] = Field(min_length=1)
    data_root: ExpandedPath = "data"
    train: Annotated[tuple[Name, ...], AfterValidator(distinct)] | None = None
    sweeps: dict[Name, Sweep] = Field(default={})
    claims: ClaimsConfig = ClaimsConfig()
    filled: dict[str, str] = Field(default={})  # by key: where a value is from that was not given
    configfile: tuple[str, ...] = ()  # of a study in a folder of its own: what the workflow is called with

    def trained(self) -> list[str]:
        """The data sets whose missing runs the workflow trains; of the others it shows what records there are."""
        return [name for name in self.datasets if self.train is None or name in self.train]

    def cells(self) -> Iterator[Cell]:
        """Every cell once. A method of unbounded sensitivity has one per data set, at epsilon infinity."""
        for dataset in self.datasets:
            for method in self.methods_on(dataset):
                for epsilon in self.cell_epsilons(dataset, method):
                    yield Cell(dataset, method, epsilon)

    def methods_on(self, dataset: str) -> list[str]:
        """The methods that the data set is trained with."""
        chosen = self.dataset(dataset).methods
        return [name for name in self.methods if chosen is None or name in chosen]

    def budgets(self, dataset: str) -> tuple[float, ...]:
        """The epsilons of the data set's private runs."""
        return self.dataset(dataset).epsilons or self.epsilons

    def cell_epsilons(self, dataset: str, method: str) -> tuple[float, ...]:
        unbounded = math.isinf(methods.sensitivity(method, self.method(dataset, method)))
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
        """Where the data set's prepared file is kept: two names for the same data share one. Raises ``ConfigError`` if
        its file or folder cannot be read."""
        protocol = self.dataset(dataset)
        try:
            path = Path(protocol.path) if protocol.path else None
            name = data.prepared_name(
                protocol.source,
                path=path,
                mean=protocol.mean,
                deviation=protocol.deviation,
                features=protocol.features,
                size=protocol.size,
                label=protocol.label,
            )
        except ValueError as error:
            raise ConfigError(f"datasets.{dataset}.path: {error}") from None
        return Path("data", "prepared", f"{name}.npz")

    def method(self, dataset: str, name: str, epsilon: float = math.inf) -> Method:
        """The method with its hyper-parameters for ``dataset`` at ``epsilon``, or at those that have none of their
        own."""
        return methods.create(self.implementation(name), self._parameters(dataset, name, epsilon))

    def implementation(self, name: str) -> str:
        """Which method it is that the study calls ``name``: its own name, or the file that has it."""
        config = self._method(name)
        return config.file or config.method or name

    def known_as(self, name: str) -> str:
        """As which method its results count: as its implementation, unless update rules or augmentations of its own
        make another of it, which then is no known one, whatever it is called."""
        config, known = self._method(name), self.implementation(name)
        changed = config.optimiser or config.augment or config.settings.get("augmentations", 1) > 1
        return f"{known} with changes" if changed else known

    def method_files(self) -> list[str]:
        """The files of those of its methods that have one of their own."""
        return sorted({config.file for config in self.methods.values() if config.file})

    def method_title(self, name: str) -> str:
        """How tables and figures call it: as the study says, or as the method does, with its update rules if it has its
        own, and with what the study sets where it has a name of its own: of other rules than the heavy ball, learning
        rates do not compare, and go without saying."""
        config = self._method(name)
        title = methods.load(self.implementation(name)).title
        if config.title:
            return config.title
        own = Path(config.file).stem.replace("_", "-") if config.file else self.implementation(name)
        said = [rules_title(config.optimiser)] if config.optimiser else []
        if own != name:
            unsaid = [key for key in config.settings if f"methods.{name}.{key}" in self.filled]
            unsaid += ["learning_rate"] if config.optimiser else []
            given = {key: value for key, value in config.settings.items() if key not in unsaid}
            said += [f"{key} = {value:g}" for key, value in given.items()] or ([] if said else [name])
        return f"{title} ({', '.join(said)})" if said else title

    def roles(self) -> Roles:
        """What the claims are about. Raises ``ConfigError`` for a role of a method that the study has not."""
        controls = [name for name in self.methods if methods.load(self.implementation(name)).control]
        private = [name for name in self.methods if name not in controls]
        kinds = {name: self.known_as(name) for name in private}
        return find_roles(self.claims, kinds)

    def said(self, dataset: str, method: str, epsilon: float) -> Settings:
        """What the study sets for a method on a data set at a budget."""
        return self._method(method).settings | self.dataset(dataset).said_of(method, epsilon)

    def derives_threshold(self, dataset: str, method: str, epsilon: float) -> bool:
        """Whether the method's ``C`` is the one that gives the data set's sensitivity, for none is said."""
        lacks = "C" not in self.said(dataset, method, epsilon) and "C" in methods.required(self.implementation(method))
        return lacks and self.dataset(dataset).sensitivity is not None

    def spec(self, cell: Cell, seed: int) -> RunSpec:
        """The run of ``cell`` with ``seed``, every default and override resolved."""
        dataset = self.dataset(cell.dataset)
        said = self.said(cell.dataset, cell.method, cell.epsilon)
        optimiser, momentum = resolve(
            self._method(cell.method).optimiser or dataset.optimiser, said, momentum=dataset.momentum
        )
        return RunSpec(
            dataset=cell.dataset,
            model=dataset.model,
            method=self.implementation(cell.method),
            listed_as="" if self.implementation(cell.method) == cell.method else cell.method,
            parameters=methods.parameters(self.method(cell.dataset, cell.method, cell.epsilon)),
            epsilon=cell.epsilon,
            delta=dataset.delta,
            # without noise none decides anything
            accountant=dataset.accountant if math.isfinite(cell.epsilon) else "rdp",
            expected_batch_size=dataset.expected_batch_size,
            epochs=dataset.epochs,
            learning_rate=said.get("learning_rate", dataset.learning_rate),
            momentum=momentum,
            seed=seed,
            optimiser=optimiser,
            augmentations=int(said.get("augmentations", dataset.augmentations)),
            augment=self._method(cell.method).augment or dataset.augment,
        )

    def specs(self, cell: Cell) -> list[RunSpec]:
        """The runs of ``cell``, one for each of its seeds."""
        spec = self.spec(cell, seed=0)  # to resolve it takes ten times as long as to copy it
        return [replace(spec, seed=seed) for seed in self.cell_seeds(cell.dataset, cell.epsilon)]

    def _method(self, name: str) -> MethodConfig:
        if name not in self.methods:
            raise ConfigError(f"methods: no method {name!r}; there are: {', '.join(self.methods)}")
        return self.methods[name]

    def _parameters(self, dataset: str, method: str, epsilon: float) -> Settings:
        """The method's hyper-parameters on ``dataset`` at ``epsilon``. A ``C`` that is not given is the one that gives
        the data set's sensitivity."""
        parameters = hyperparameters(self.said(dataset, method, epsilon))
        name, config = self.implementation(method), self.dataset(dataset)
        if config.sensitivity and self.derives_threshold(dataset, method, epsilon):
            parameters["C"] = threshold(name, parameters, sensitivity=config.sensitivity)
        return parameters
