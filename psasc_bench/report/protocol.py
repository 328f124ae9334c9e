"""What the settings of a study are, in words: what its methods share, whose protocol it follows, what was filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from psasc_bench import methods, optimisers, plugins
from psasc_bench.report.formats import escape_markdown
from psasc_bench.study import Cell, ConfigError, RunSpec, Study, parse_study

# Of a published protocol, what decides a model and its schedule, and its noise.
SCHEDULE = ("model", "expected_batch_size", "epochs", "delta", "learning_rate", "momentum")
PUBLISHED = (*SCHEDULE, "accountant")
AUGMENTATIONS = ("augment", "augmentations")  # which no protocol of these has
PAPERS = {"AdaSig": "AdaSig (NeurIPS 2025)", "Tramer & Boneh": "Tramer & Boneh (2021)"}
SHARED = {"sensitivity": "sensitivities", "learning_rate": "learning rates", "momentum": "momenta of SGD"}
SHARED |= {"optimiser": "optimisers", "augmented": "augmentations of an example"}
TUNED = ("learning_rate", "momentum")  # which, where each method is tuned, differ and are many
MANY = 4  # so many methods that have the same are not listed
ACCOUNTANTS = {"rdp": "Opacus' RDP accountant", "pld": "dp-accounting's privacy loss distributions (PLD)"}
COST_OF_RDP = "For the same epsilon, RDP asks for more noise than PLD: 4 to 10 % on the data sets of the default study."
HEAVY_BALL = "heavy-ball"
UNTRAINED = ("dataset", "method", "seed", "evaluation", "listed_as")  # the parts of a specification that train nothing


class Protocol:
    """Of ``study``, in Markdown."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.titles = {name: escape_markdown(study.dataset(name).title) for name in study.datasets}
        # where one setting is for all, rather than each method's the best of its own
        self.alike = [name for name, dataset in study.datasets.items() if not dataset.tuned]
        self.private = [name for name in study.methods if not methods.load(study.implementation(name)).control]

    @cached_property
    def departures(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """Of each data set that somebody has published a protocol for, what differs from it: ours, and theirs."""
        found = {}
        for name, (known, papers) in self._published.items():
            ours, theirs = self.study.dataset(name), known.dataset(name)
            values = {key: (getattr(ours, key), getattr(theirs, key)) for key in (*papers, *AUGMENTATIONS)}
            values["optimiser"] = (_rules(self.study, name), _rules(known, name))
            found[name] = {key: (own, other) for key, (own, other) in values.items() if own != other}
        return found

    def follows(self, source: str, name: str) -> bool:
        """Whether the data set is from this source, and trained as somebody has published."""
        return self.study.dataset(name).source == source and self.departures.get(name) == {}

    def models_and_schedules(self) -> str:
        """Whose they are."""
        kept = [
            paper
            for name, (_, papers) in self._published.items()
            for key, paper in papers.items()
            if key in SCHEDULE and key not in self.departures[name]
        ]
        if not kept:
            return "Models and schedules are the study's own."
        own = list(
            dict.fromkeys(
                "the digits'" if self.study.dataset(name).source == "digits" else f"{self.titles[name]}'s"
                for name in self.study.datasets
                if name not in self._published
            )
        )
        papers = listed([PAPERS[paper] for paper in PAPERS if paper in kept])
        said = [f"Models and schedules are those of {papers}{f', but for {listed(own)} own' if own else ''}."]
        for name, differing in self.departures.items():
            if differing:
                parts = [
                    f"`{key}` is {_text(ours)} instead of {_text(theirs)}" for key, (ours, theirs) in differing.items()
                ]
                said.append(f"On {self.titles[name]}, {listed(parts)}.")
        return " ".join(said)

    def settings(self, *names: str | None) -> str:
        """The hyper-parameters of these methods, where they are the same on all data sets that are not tuned."""
        said = []
        for name in (name for name in names if name in self.private):
            title, found = escape_markdown(self.study.method_title(name)), self._hyperparameters(name)
            if len(found) == 1:
                said.append(f"{title} with {listed([f'`{pair}`' for pair in found.pop()])}")
        return "; ".join(said)

    def _hyperparameters(self, name: str) -> set[tuple[str, ...]]:
        found = set()
        for dataset in (one for one in self.alike if name in self.study.methods_on(one)):
            for epsilon in self.study.cell_epsilons(dataset, name):
                values = methods.parameters_in_use(self.study.method(dataset, name, epsilon))
                found.add(tuple(f"{key} = {value:g}" for key, value in values.items()))
        return found

    def shared(self, *, weights_differ: bool) -> str:
        """What the private methods share, and what differs."""
        streams = "initial weights, Poisson batches and noise directions at the same seed"
        if len(self.private) < 2:
            return f"All runs share {streams}."
        differing = {key: list(self._differing(key)) for key in SHARED}
        shares = [streams]
        if not differing["sensitivity"]:
            values = {
                self._value("sensitivity", name, method) for name in self.titles for method in self._private_on(name)
            }
            shares.append(
                f"the sensitivity {_text(values.pop())}" if len(values) == 1 else "one sensitivity per data set"
            )
        if self.alike and not differing["learning_rate"]:
            shares.append("one learning rate per data set")
        if self.alike and not differing["optimiser"]:
            shares += self._shared_optimiser()
        what = ["the weight"] if weights_differ else []
        what += [f"the {SHARED[key]}" for key in SHARED if differing[key]]
        differs = f"; what differs is {listed(what)}" if what else ""
        if any(
            self.study.method(cell.dataset, cell.method, cell.epsilon).iterates > 1
            for cell in self.study.cells()
            if cell.method in self.private
        ):
            weighed = "the gradient that is weighed"
            differs += (
                f" and, with inner momentum, {weighed}"
                if what
                else f"; what differs is, with inner momentum, {weighed}"
            )
        said = f"All private methods share {listed(shares)}{differs}."
        sentences = [said, *(sentence for sentences in differing.values() for sentence in sentences)]
        if moving := [escape_markdown(self.study.method_title(name)) for name in self.private if self._moves(name)]:
            sentences.append(f"The weights of {listed(moving)} move with a statistic that each step releases too.")
        if tuned := [title for name, title in self.titles.items() if name not in self.alike]:
            sentences.append(
                f"On {listed(tuned)}, each method has at each budget the learning rate and hyper-parameters that did "
                "best on held-out training examples, a choice that has noise of its own."
            )
        return " ".join(sentences)

    def untouched(self) -> str:
        """On which data sets no setting of a private method was chosen by looking at the data: where all are those that
        are published or shipped. Empty where that is not known."""
        published = [name for name in self._published if name in self.alike]
        if not published or not all(self._as_shipped(name) for name in published):
            return ""
        rest = [name for name in self.study.datasets if name not in published]
        if not rest:
            return "no setting of a private method was tuned on the data"
        digits = all(self.study.dataset(name).source == "digits" for name in rest)
        where = "the larger data sets" if digits else listed([self.titles[name] for name in published])
        return f"on {where} no setting of a private method was tuned on the data"

    def accountants(self) -> str:
        """By what noise is calibrated, on which data sets, and what the looser accountant costs."""
        on: dict[str, list[str]] = {}
        for name, title in self.titles.items():
            on.setdefault(ACCOUNTANTS[self.study.dataset(name).accountant], []).append(title)
        usual, *others = sorted(on, key=lambda accountant: -len(on[accountant]))
        but = "".join(f", but on {listed(on[other])} by {other}" for other in others)
        cost = f" {COST_OF_RDP}" if ACCOUNTANTS["rdp"] in on else ""
        return f"Noise is calibrated by {usual}{but}, and checked by others.{cost}"

    def filled(self) -> list[tuple[str, str]]:
        """Where values are from that the study does not give, and which."""
        values = self.study.model_dump()
        by_source: dict[str, dict[str, list[str]]] = {}
        for place, source in self.study.filled.items():
            parent, _, key = place.rpartition(".")
            value = _text(_at(values, place.split(".")))
            by_source.setdefault(source, {}).setdefault(parent, []).append(f"{key} {value}")
        return [
            (source, "; ".join(_of(parent, parts) for parent, parts in of.items())) for source, of in by_source.items()
        ]

    @cached_property
    def _published(self) -> dict[str, tuple[Study, dict[str, str]]]:
        """By data set, what is filled in where nothing is said, and the paper that each key of it is from."""
        found = {}
        for name in self.study.datasets:
            known = self._known(name, {"nonprivate": {}})
            sources = {key: known.filled.get(f"datasets.{name}.{key}", "") for key in PUBLISHED} if known else {}
            papers = {key: paper for key, source in sources.items() for paper in PAPERS if source.startswith(paper)}
            if known and papers:
                found[name] = (known, papers)
        return found

    def _known(self, name: str, methods: Mapping[str, Any]) -> Study | None:
        protocol = self.study.dataset(name)
        values = {"source": protocol.source, "features": protocol.features}
        try:
            return parse_study({"methods": methods, "datasets": {name: values}}, source=name)
        except ConfigError:
            return None

    def _as_shipped(self, name: str) -> bool:
        """Whether all that trains the private methods is what is filled in where nothing is said."""
        private = self._private_on(name)
        known = self._known(name, {self.study.implementation(method): {} for method in private})
        return known is not None and all(
            _trained_by(self.study.spec(Cell(name, method, 1), 0))
            == _trained_by(known.spec(Cell(name, self.study.implementation(method), 1), 0))
            for method in private
        )

    def _private_on(self, name: str) -> list[str]:
        return [method for method in self.study.methods_on(name) if method in self.private]

    def _differing(self, key: str) -> Iterator[str]:
        """A sentence for each data set where the private methods do not have the same value, but for tuned values."""
        for name in self.alike if key in TUNED else self.titles:
            by_value: dict[float | str, list[str]] = {}
            for method in self._private_on(name):
                if (value := self._value(key, name, method)) is not None:
                    by_value.setdefault(value, []).append(self.study.method_title(method))
            if len(by_value) > 1:
                usual = max(by_value, key=lambda value: len(by_value[value]))
                but = f"{_text(usual)}, but " if len(by_value[usual]) > MANY else ""
                values = [
                    f"{_text(value)} ({', '.join(map(escape_markdown, titles))})"
                    for value, titles in by_value.items()
                    if not but or value != usual
                ]
                yield f"The {SHARED[key]} on {self.titles[name]} are {but}{listed(values)}."

    def _moves(self, name: str) -> bool:
        return methods.moves(self.study.implementation(name))

    def _shared_optimiser(self) -> list[str]:
        """The one that all private methods have on their data set, where one of these is not the heavy ball."""
        found = {self._value("optimiser", name, method) for name in self.alike for method in self._private_on(name)}
        if found <= {HEAVY_BALL}:
            return []
        return [f"the optimiser {found.pop()}" if len(found) == 1 else "one optimiser per data set"]

    def _value(self, key: str, name: str, method: str) -> float | str | None:
        """None for the momentum of an optimiser that says itself whether it has one."""
        if key == "sensitivity":
            return float(f"{self.study.method(name, method).sensitivity():.9g}")
        spec = self.study.spec(Cell(name, method, 1), 0)
        if key == "optimiser":
            return str(optimisers.create(spec.optimiser)) or HEAVY_BALL
        if key == "augmented":
            return spec.augmented or "none"
        return None if key == "momentum" and spec.optimiser else float(getattr(spec, key))


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _trained_by(spec: RunSpec) -> dict[str, Any]:
    values = {key: value for key, value in spec.to_json().items() if key not in UNTRAINED}
    return values | {"parameters": {key: f"{value:.9g}" for key, value in spec.parameters.items()}}


def _rules(study: Study, dataset: str) -> str:
    return " then ".join(map(optimisers.called, optimisers.listed(study.dataset(dataset).optimiser))) or HEAVY_BALL


def _at(values: Any, place: Sequence[str]) -> Any:
    for key in place:
        values = values[key]
    return values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return escape_markdown(plugins.shown(str(value)))


def _of(parent: str, settings: Sequence[str]) -> str:
    return f"of `{parent}` {', '.join(settings)}" if parent else ", ".join(settings)
