"""What is wrong between the keys of a study that are right by themselves: a line per problem, with
the key first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

from psasc_bench import data, methods, models, plugins
from psasc_bench.methods import LARGEST, SMALLEST
from psasc_bench.study.settings import MOST_AUGMENTATIONS, ConfigError, DatasetConfig, Settings, Sweep
from psasc_bench.study.study import Cell, Study
from psasc_bench.study.trials import trial_study

# Of this suite's sources: those that are found by themselves, those that are where a study says, and which of these
# have no constants of their own, images to be resized, or several labels.
ALONE = ("digits", "mnist", "fashion_mnist", "cifar10")
KEPT = ("npz", "image_folder", "imagenette", "celeba", "medmnist", "table", "tokens")
SCALED = ("npz", "image_folder", "celeba", "medmnist", "table")
SIZED = ("image_folder", "imagenette", "celeba")
LABELLED = ("celeba", "table")


def study_problems(study: Study) -> Iterator[str]:
    """What is wrong between its keys, but for the sweeps."""
    if unknown := sorted(set(study.train or ()) - set(study.datasets)):
        yield f"train: not in this study: {', '.join(unknown)}; there are: {', '.join(study.datasets)}"
    for name, config in study.methods.items():
        if config.file and config.method:
            yield f"methods.{name}: has a method and a file; say one of both"
    yield from _title_problems(study)
    for name, dataset in study.datasets.items():
        here = f"datasets.{name}"
        if refused := models.refused(dataset.model):
            yield f"{here}.model: {refused}"
        yield from _override_problems(study, name)
        for method in study.methods_on(name):
            for epsilon, place in _places(study, name, method):
                yield from _setting_problems(study, Cell(name, method, epsilon), place)
        for epsilon, more in dataset.more_seeds.items():
            if epsilon not in study.budgets(name):
                yield f"{here}.more_seeds: {epsilon:g} is no epsilon of this data set"
            if known := sorted(set(dataset.seeds or study.seeds) & set(more)):
                yield f"{here}.more_seeds.{epsilon:g}: must name none that there is already: {known[0]}"
        if dataset.more_seeds and dataset.share_process:
            yield f"{here}.more_seeds: not with share_process, where every epsilon has the same seeds"
        yield from _source_problems(name, dataset)


def _source_problems(name: str, dataset: DatasetConfig) -> Iterator[str]:
    """What is said of a source that does not go with it. What somebody's own takes is theirs to say."""
    here, source = f"datasets.{name}", dataset.source
    if refused := data.refused(source):
        yield f"{here}.source: {refused}"
        return
    if (dataset.mean is None) != (dataset.deviation is None):
        yield f"{here}: mean and deviation go together"
    elif dataset.mean is not None and source not in SCALED:
        yield f"{here}.mean: goes with source {', '.join(SCALED)}; {plugins.shown(source)} has constants of its own"
    if source in ALONE and dataset.path is not None:
        yield f"{here}.path: does not go with source {source}, which is found without"
    if source in KEPT and dataset.path is None:
        yield f"{here}.path: source {source} needs it: where the data is"
    for key, sources in (("size", SIZED), ("label", LABELLED)):
        if getattr(dataset, key) is not None and source not in sources:
            yield f"{here}.{key}: goes with source {', '.join(sources)}, not with {plugins.shown(source)}"


def _override_problems(study: Study, name: str) -> Iterator[str]:
    """What a data set says of methods and epsilons that there are not."""
    dataset, here = study.dataset(name), f"datasets.{name}"
    if unknown := [method for method in dataset.methods or () if method not in study.methods]:
        yield f"{here}.methods: not in this study: {', '.join(unknown)}; there are: {', '.join(study.methods)}"
        return
    by_place = {"overrides": dataset.overrides} | {
        f"overrides_by_epsilon.{epsilon:g}": overrides for epsilon, overrides in dataset.overrides_by_epsilon.items()
    }
    for place, overrides in by_place.items():
        for method in sorted(set(overrides) - set(study.methods)):
            yield f"{here}.{place}.{method}: not a method of this study, which has: {', '.join(study.methods)}"
    for epsilon in dataset.overrides_by_epsilon:
        if epsilon not in study.budgets(name):
            yield f"{here}.overrides_by_epsilon: {epsilon:g} is no epsilon of this data set"


def _places(study: Study, name: str, method: str) -> Iterator[tuple[float, str]]:
    """Where a data set's settings of a method are said: for all epsilons (infinite), and for some of them."""
    dataset = study.dataset(name)
    yield math.inf, f"datasets.{name}.overrides.{method}" if method in dataset.overrides else f"methods.{method}"
    for epsilon, overrides in dataset.overrides_by_epsilon.items():
        if method in overrides:
            yield epsilon, f"datasets.{name}.overrides_by_epsilon.{epsilon:g}.{method}"


def _setting_problems(study: Study, cell: Cell, place: str) -> Iterator[str]:
    said = study.said(cell.dataset, cell.method, cell.epsilon)
    if (momentum := said.get("momentum", 0.0)) >= 1:
        yield f"{place}.momentum: must be less than 1, got {momentum}"
        return
    try:
        spec = study.spec(cell, seed=0)
        settled = study.method(cell.dataset, cell.method, cell.epsilon)
        sensitivity = methods.sensitivity(cell.method, settled)
    except ValueError as error:
        yield f"{place}: {error}"
        return
    count = said.get("augmentations", spec.augmentations)
    if count not in range(1, MOST_AUGMENTATIONS + 1):
        yield f"{place}.augmentations: must be a whole number from 1 to {MOST_AUGMENTATIONS}, got {count:g}"
    elif spec.augmentations > 1 and not spec.augment:
        yield f"{place}.augmentations: say how, under datasets.{cell.dataset}.augment: [shift, flip]"
    if spec.augment and (refused := _no_images(study.dataset(cell.dataset))):
        asked = f"methods.{cell.method}" if study.methods[cell.method].augment else f"datasets.{cell.dataset}"
        yield f"{asked}.augment: goes with images; {cell.dataset} has {refused}"
    # a sensitivity that overflows would make the run non-private, and one that underflows its noise vanish
    if not settled.control and not SMALLEST <= sensitivity <= LARGEST:
        yield (
            f"{place}: these hyper-parameters give sensitivity {sensitivity:g}; "
            f"it must be from {SMALLEST:g} to {LARGEST:g}"
        )


def _no_images(dataset: DatasetConfig) -> str:
    """What the model sees of a data set instead of images; empty if that is not known to be anything else."""
    if dataset.features != "pixels":
        return f"{dataset.features} of images that have been read"
    return {"table": "rows", "tokens": "texts"}.get(dataset.source, "")


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


def sweep_problems(study: Study) -> Iterator[str]:
    """What is wrong with the sweeps of a study that is right by itself."""
    tuned: dict[str, str] = {}
    for name, sweep in study.sweeps.items():
        here = f"sweeps.{name}"
        absent = [f"data set {dataset!r}" for dataset in sweep.datasets if dataset not in study.datasets]
        absent += [f"method {method!r}" for method in sweep.methods if method not in study.methods]
        if absent:
            yield f"{here}: not in this study: {', '.join(absent)}"
            continue
        trials: dict[str, list[Settings]] = {}
        for method in sweep.methods:
            try:
                trials[method] = sweep.settings(method)
            except ValueError as error:
                yield f"{here}.methods.{method}: {error}"
        if sweep.evaluation == "validation":
            yield from _tuning_problems(study, here, sweep, {method: len(trials[method]) for method in trials})
        for dataset in sweep.datasets if sweep.chosen_from else ():
            if tuned.setdefault(dataset, name) != name:
                yield f"{here}.datasets: sweeps.{tuned[dataset]} chooses for {dataset} already; let one `choose: false`"
        for method, of_method in trials.items():
            if twice := [dict(one) for one, n in Counter(tuple(sorted(t.items())) for t in of_method).items() if n > 1]:
                yield f"{here}.methods.{method}: must not name a trial twice, as {twice[0]}"
            for dataset in sweep.datasets:
                for settings in of_method:
                    try:
                        varied = trial_study(study, sweep, dataset, method, settings)
                    except ValueError as error:
                        yield f"{here}.methods.{method}: {error}"
                    else:
                        yield from (f"{here}.{problem}" for problem in study_problems(varied))


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
