"""Every method with every setting that a study or its sweeps train it with, each pair once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from psasc_bench import methods
from psasc_bench.methods import Method
from psasc_bench.study import Study, method_trials


@dataclass(frozen=True)
class Setting:
    """A ``method`` with its hyper-parameters, under the ``name`` that a study knows it by, and the ``places`` that ask
    for it: data sets, and sweeps on them."""

    name: str
    method: Method
    places: tuple[str, ...] = ()

    @property
    def parameters(self) -> str:
        """All hyper-parameters, defaults included, as in ``C=0.2, s=2.0``."""
        return ", ".join(f"{key}={value}" for key, value in methods.parameters(self.method).items())

    def __str__(self) -> str:
        return f"{self.name}: {self.method}" + (f", of {'; '.join(self.places)}" if self.places else "")


def distinct_settings(study: Study, *, names: Collection[str] = ()) -> list[Setting]:
    """The methods of a study, or those with such ``names``, as every data set and every trial of every grid has them,
    whether they are to be trained now or not. What a random search draws is left out: that is much, and its runs are
    checked before they are trained. Two are the same if their source files and hyper-parameters are, whatever they are
    called."""
    places: dict[tuple[str, frozenset[tuple[str, float]]], list[str]] = {}
    found: dict[tuple[str, frozenset[tuple[str, float]]], tuple[str, Method]] = {}
    for name, method, place in _uses(study):
        if names and name not in names:
            continue
        key = methods.fingerprint(type(method)), frozenset(methods.parameters(method).items())
        first, _ = found.setdefault(key, (name, method))
        places.setdefault(key, []).append(place if name == first else f"{name} of {place}")
    return [Setting(name, method, tuple(dict.fromkeys(places[key]))) for key, (name, method) in found.items()]


def _uses(study: Study) -> Iterator[tuple[str, Method, str]]:
    for name in study.methods:
        for dataset in (dataset for dataset in study.datasets if name in study.methods_on(dataset)):
            for epsilon in study.cell_epsilons(dataset, name):
                yield name, study.method(dataset, name, epsilon), dataset
        for sweep, grids in study.sweeps.items():
            for dataset in grids.datasets if name in grids.methods and not grids.trials else ():
                for trial in method_trials(study, sweep, dataset, name):
                    method = methods.create(study.implementation(name), dict(trial.runs[0].parameters))
                    yield name, method, f"sweep {sweep} on {dataset}"
