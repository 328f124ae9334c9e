"""A study's configuration: read, validated to the last key, and expanded into cells and runs."""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from psasc_bench import methods
from psasc_bench.data import Features, prepared_name
from psasc_bench.methods import Method
from psasc_bench.methods.base import LARGEST, SMALLEST
from psasc_bench.spec import RunSpec, format_epsilon

OPTIMISER = ("learning_rate", "momentum")
# What PyYAML raises for text that it cannot read: its own errors, and whatever building a value of a tag meets.
YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
MOST_EPOCHS = 1_000_000
T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but that it refuses a key given twice, of which YAML itself would keep the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add((key.tag, key.value))
        return node


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

    def cell_epsilons(self, dataset: str, method: str) -> tuple[float, ...]:
        unbounded = math.isinf(self.method(dataset, method).sensitivity())
        return (math.inf,) if unbounded else self.dataset(dataset).epsilons or self.epsilons

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
            name = prepared_name(
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


def load(path: Path) -> Study:
    """Read and validate a YAML (or JSON) file. Raises ``ConfigError``."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except YAML_ERRORS as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse(values, source=str(path))


def parse(values: Any, *, source: str) -> Study:
    """Validate configuration ``values``; ``source`` names where they came from. Raises ``ConfigError`` with a line per
    problem."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: must be a mapping of keys to values, is {type(values).__name__}")
    try:
        study = Study.model_validate({key: _parse_string(key, value) for key, value in values.items()})
        problems = list(_problems(study)) or list(_sweep_problems(study))
    except ValidationError as error:
        problems = _explain(error)
    if problems:
        # a key may hold any character: one line each
        lines = [" ".join(f"{source}: {problem}".split()) for problem in problems]
        raise ConfigError("\n".join(dict.fromkeys(lines)))
    return study


def _parse_string(key: Any, value: Any) -> Any:
    """Lists given as `snakemake --config 'seeds=[0]'` arrive as strings."""
    try:
        return yaml.load(value, Loader=_Loader) if isinstance(value, str) and key != "data_root" else value
    except YAML_ERRORS:
        return value


def _problems(study: Study) -> Iterator[str]:
    """What is wrong between keys that are right by themselves."""
    if unknown := sorted(set(study.train or ()) - set(study.datasets)):
        yield f"train: not in this study: {', '.join(unknown)}; there are: {', '.join(study.datasets)}"
    for name, dataset in study.datasets.items():
        here = f"datasets.{name}"
        for method in sorted(set(dataset.overrides) - set(study.methods)):
            yield f"{here}.overrides.{method}: not a method of this study, which has: {', '.join(study.methods)}"
        for method in study.methods:
            place = f"{here}.overrides.{method}" if method in dataset.overrides else f"methods.{method}"
            try:
                momentum = study.spec(Cell(name, method, math.inf), seed=0).momentum
                settled = study.method(name, method)
            except ValueError as error:
                yield f"{place}: {error}"
                continue
            if momentum >= 1:
                yield f"{place}.momentum: must be less than 1, got {momentum}"
            # a sensitivity that overflows would make the run non-private, and one that underflows its noise vanish
            if not settled.control and not SMALLEST <= settled.sensitivity() <= LARGEST:
                yield (
                    f"{place}: these hyper-parameters give sensitivity {settled.sensitivity():g}; "
                    f"it must be from {SMALLEST:g} to {LARGEST:g}"
                )
        for epsilon, more in dataset.more_seeds.items():
            if epsilon not in (dataset.epsilons or study.epsilons):
                yield f"{here}.more_seeds: {epsilon:g} is no epsilon of this data set"
            if known := sorted(set(dataset.seeds or study.seeds) & set(more)):
                yield f"{here}.more_seeds.{epsilon:g}: must name none that there is already: {known[0]}"
        if dataset.more_seeds and dataset.share_process:
            yield f"{here}.more_seeds: not with share_process, where every epsilon has the same seeds"
        if (dataset.source == "npz") != (dataset.path is not None):
            yield f"{here}.path: goes with source npz, and only with it"
        if (dataset.mean is None) != (dataset.deviation is None):
            yield f"{here}: mean and deviation go together"
        elif dataset.mean is not None and dataset.source != "npz":
            yield f"{here}.mean: goes with source npz; {dataset.source} has published constants"


def _sweep_problems(study: Study) -> Iterator[str]:
    """What is wrong with the sweeps of a study that is right by itself."""
    tuned: dict[str, str] = {}
    for name, sweep in study.sweeps.items():
        here = f"sweeps.{name}"
        absent = [f"data set {dataset!r}" for dataset in sweep.datasets if dataset not in study.datasets]
        absent += [f"method {method!r}" for method in sweep.methods if method not in study.methods]
        if absent:
            yield f"{here}: not in this study: {', '.join(absent)}"
            continue
        trials = {method: sweep.trials(method) for method in sweep.methods}
        if sweep.evaluation == "validation":
            yield from _tuning_problems(study, here, sweep, {method: len(trials[method]) for method in trials})
            for dataset in sweep.datasets:
                if tuned.setdefault(dataset, name) != name:
                    yield f"{here}.datasets: {dataset} is tuned by sweeps.{tuned[dataset]} already"
        for method, of_method in trials.items():
            if twice := [dict(one) for one, n in Counter(tuple(sorted(t.items())) for t in of_method).items() if n > 1]:
                yield f"{here}.methods.{method}: must not name a trial twice, as {twice[0]}"
            for dataset in sweep.datasets:
                for settings in of_method:
                    try:
                        varied = study.trial(sweep, dataset, method, settings)
                    except ValueError as error:
                        yield f"{here}.methods.{method}: {error}"
                    else:
                        yield from (f"{here}.{problem}" for problem in _problems(varied))


def _tuning_problems(study: Study, here: str, sweep: Sweep, trials: Mapping[str, int]) -> Iterator[str]:
    if len(set(trials.values())) > 1:
        counts = ", ".join(f"{method} has {count}" for method, count in trials.items())
        yield f"{here}.methods: every method must have the same number of trials where one is chosen: {counts}"
    cells = [cell for cell in study.cells() if cell.dataset in sweep.datasets]
    taken = {seed for cell in cells for seed in study.cell_seeds(cell.dataset, cell.epsilon)}
    if shared := sorted(taken & set(sweep.seeds)):
        yield (
            f"{here}.seeds: must share none with the study, or what is chosen would suit the very batches and noise "
            f"that it is then compared on; shared: {', '.join(map(str, shared))}"
        )
    if any("epochs" in grid for grids in sweep.methods.values() for grid in grids):
        yield f"{here}.methods: epochs cannot be chosen for a method: they are the data set's"


def _explain(error: ValidationError) -> list[str]:
    """A line per problem; that a list has too few valid items is left unsaid where the invalid ones are named."""
    errors = error.errors(include_url=False)
    places = {e["loc"][:end] for e in errors for end in range(len(e["loc"]))}
    return [_describe(e) for e in errors if e["loc"] not in places]


def _describe(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part != "[key]")
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key; see config/README.md for the known ones"
    if error["type"] == "missing":
        return f"{key}: this key is needed; see config/README.md"
    return f"{key}: {message[0].lower()}{message[1:]}, got {reprlib.repr(error['input'])}"
