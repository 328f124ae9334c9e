"""A study's configuration: read, and validated to the last key."""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from psasc_bench import methods, models
from psasc_bench.methods import LARGEST, SMALLEST
from psasc_bench.study.protocols import fill
from psasc_bench.study.settings import ConfigError, Sweep
from psasc_bench.study.study import Cell, Study

# What PyYAML raises for text that it cannot read: its own errors, and whatever building a value of a tag meets.
YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)

MERGE = "tag:yaml.org,2002:merge"  # of the key `<<`, which has no value of its own


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but that it refuses a key given twice, of which YAML itself would keep the last."""

    # not ruamel.yaml: it reads 1e-5, no and 017 otherwise than Snakemake does, and a process would start .2 s later
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                value = key.tag if key.tag == MERGE else self.construct_object(key)
                if value in seen:
                    raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
                seen.add(value)
        return node


def load_study(path: Path) -> Study:
    """Read and validate a YAML (or JSON) file. Raises ``ConfigError``."""
    return parse_study(_read(path), source=str(path))


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except YAML_ERRORS as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def parse_study(values: Any, *, source: str, files: Iterable[Path] = ()) -> Study:
    """Validate configuration ``values``; ``source`` names where they came from. If it was Snakemake that read them, it
    was from these ``files``, in which it overlooks a key that is given twice. Raises ``ConfigError`` with a line per
    problem."""
    for file in files:
        _read(file)
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: must be a mapping of keys to values, is {type(values).__name__}")
    try:
        filled_in, sources = fill({key: _parse_string(key, value) for key, value in values.items()})
        study = Study.model_validate({"filled": sources} | filled_in)
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
    yield from _title_problems(study)
    for name, dataset in study.datasets.items():
        here = f"datasets.{name}"
        if refused := models.refused(dataset.model):
            yield f"{here}.model: {refused}"
        for method in sorted(set(dataset.overrides) - set(study.methods)):
            yield f"{here}.overrides.{method}: not a method of this study, which has: {', '.join(study.methods)}"
        for method in study.methods:
            place = f"{here}.overrides.{method}" if method in dataset.overrides else f"methods.{method}"
            try:
                momentum = study.spec(Cell(name, method, math.inf), seed=0).momentum
                settled = study.method(name, method)
                sensitivity = methods.sensitivity(method, settled)
            except ValueError as error:
                yield f"{place}: {error}"
                continue
            if momentum >= 1:
                yield f"{place}.momentum: must be less than 1, got {momentum}"
            # a sensitivity that overflows would make the run non-private, and one that underflows its noise vanish
            if not settled.control and not SMALLEST <= sensitivity <= LARGEST:
                yield (
                    f"{place}: these hyper-parameters give sensitivity {sensitivity:g}; "
                    f"it must be from {SMALLEST:g} to {LARGEST:g}"
                )
        for epsilon, more in dataset.more_seeds.items():
            if epsilon not in study.budgets(name):
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


def _title_problems(study: Study) -> Iterator[str]:
    """Tables and figures tell data sets and methods apart by their titles; and a method has one role in the claims."""
    unknown = {name for name in study.methods if not _loads(study.implementation(name))}
    titles = {f"datasets.{name}": dataset.title for name, dataset in study.datasets.items()}
    named = {f"methods.{name}": study.method_title(name) for name in study.methods if name not in unknown}
    for of_kind in (titles, named):
        first: dict[str, str] = {}
        for place, title in of_kind.items():
            if (other := first.setdefault(methods.look_of(title), place)) != place:
                yield f"{place}.title: {title!r} looks like the title of {other}; give it another"
    if not unknown:
        try:
            study.roles()
        except ConfigError as error:
            yield str(error)


def _loads(method: str) -> bool:
    try:
        methods.load(method)
    except ValueError:  # as is said where its settings are
        return False
    return True


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
