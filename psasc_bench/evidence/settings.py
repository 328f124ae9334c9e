"""Every method and every optimiser with every setting that a study or its sweeps train it with, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psasc_bench import methods, optimisers
from psasc_bench.methods import Method
from psasc_bench.optimisers import Chain
from psasc_bench.study import Cell, RunSpec, Study, method_trials

if TYPE_CHECKING:
    from psasc_bench.evidence.battery import Check


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

    def checks(self) -> list[Check]:
        """The outcome of the battery."""
        from psasc_bench.evidence.battery import check_method

        return check_method(self.method)

    def __str__(self) -> str:
        return f"{self.name}: {self.method}" + (f", of {'; '.join(self.places)}" if self.places else "")


@dataclass(frozen=True)
class OptimiserSetting:
    """A ``chain`` of update rules with all their settings, and the ``places`` that ask for it."""

    chain: Chain
    places: tuple[str, ...] = ()
    name: str = "optimiser"

    @property
    def parameters(self) -> str:
        """The rules with all their settings."""
        return str(self.chain)

    def checks(self) -> list[Check]:
        """The outcome of its battery."""
        from psasc_bench.evidence.battery import check_optimiser

        return check_optimiser(self.chain)

    def __str__(self) -> str:
        return f"{self.name}: {self.chain}" + (f", of {'; '.join(self.places)}" if self.places else "")


def distinct_optimisers(study: Study, *, names: Collection[str] = ()) -> list[OptimiserSetting]:
    """As ``distinct_settings``, the optimisers of these methods."""
    found: dict[str, tuple[Chain, list[str]]] = {}
    for _, spec, place in _uses(study, names):
        _, of_chain = found.setdefault(repr(spec.rules), (optimisers.create(spec.rules), []))
        of_chain.append(place)
    return [OptimiserSetting(chain, tuple(dict.fromkeys(places))) for chain, places in found.values()]


def distinct_settings(study: Study, *, names: Collection[str] = ()) -> list[Setting]:
    """The methods of a study, or those with such ``names``, as every data set and every trial of every grid has them,
    whether they are to be trained now or not. What a random search draws is left out: that is much, and its runs are
    checked before they are trained. Two are the same if their source files and hyper-parameters are, whatever they are
    called."""
    places: dict[tuple[str, frozenset[tuple[str, float]]], list[str]] = {}
    found: dict[tuple[str, frozenset[tuple[str, float]]], tuple[str, Method]] = {}
    for name, spec, place in _uses(study, names):
        method = methods.create(spec.method, dict(spec.parameters))
        key = methods.fingerprint(type(method)), frozenset(methods.parameters(method).items())
        first, _ = found.setdefault(key, (name, method))
        places.setdefault(key, []).append(place if name == first else f"{name} of {place}")
    return [Setting(name, method, tuple(dict.fromkeys(places[key]))) for key, (name, method) in found.items()]


def _uses(study: Study, names: Collection[str]) -> Iterator[tuple[str, RunSpec, str]]:
    for name in (name for name in study.methods if not names or name in names):
        for dataset in (dataset for dataset in study.datasets if name in study.methods_on(dataset)):
            for epsilon in study.cell_epsilons(dataset, name):
                yield name, study.spec(Cell(dataset, name, epsilon), seed=0), dataset
        for sweep, grids in study.sweeps.items():
            for dataset in grids.datasets if name in grids.methods and not grids.trials else ():
                for trial in method_trials(study, sweep, dataset, name):
                    yield name, trial.runs[0], f"sweep {sweep} on {dataset}"
