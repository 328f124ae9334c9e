"""The battery: what must hold of every method, of every optimiser and of the code that trains with them, each with the
figure that shows it.

The checks run the functions that training runs, on problems whose gradients are chosen to do harm. A control of
unbounded sensitivity (ordinary SGD) is only asked what makes sense without privacy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from psasc_bench import plugins
from psasc_bench.evidence import contributions, joint_release, layers, noise_and_sampling, update_rules, weights
from psasc_bench.evidence.snapshots import Snapshot
from psasc_bench.evidence.weights import Survey
from psasc_bench.methods import Adaptive, Method, PerLayer
from psasc_bench.optimisers import Chain, UpdateRule

SIGMAS = 5.0  # a sound random figure exceeds five of its standard deviations once in 1.7 million


@dataclass(frozen=True)
class Check:
    """One check's outcome: it has passed if its ``figure`` stands in ``relation`` to its ``limit``."""

    name: str
    figure: float
    relation: Literal["<=", ">="]
    limit: float
    detail: str

    @property
    def passed(self) -> bool:
        """False for a figure that is not a number."""
        return self.figure <= self.limit if self.relation == "<=" else self.figure >= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} {self.name:<32} {self.figure:<12.6g} {self.relation} {self.limit:<8g} {self.detail}"


@dataclass(frozen=True)
class _Rule:
    name: str
    measure: Callable[[Any], float]
    relation: Literal["<=", ">="]
    limit: float
    of: Literal["all", "private", "not controls", "non-private", "adaptive", "per layer"] = "all"
    subject: Literal["code", "survey", "before"] = "code"  # what is measured: method or chain, or what is known of it

    def concerns(self, method: Method) -> bool:
        private = not (method.control and _unbounded(method))
        kinds = {"all": True, "private": private, "not controls": not method.control, "non-private": not private}
        return (kinds | {"adaptive": isinstance(method, Adaptive), "per layer": isinstance(method, PerLayer)})[self.of]


def _unbounded(method: Method) -> bool:
    try:
        return method.sensitivity() == math.inf
    except plugins.FAULTS:  # the checks that ask for it will say so
        return False


# In double precision sound sums differ by about 1e-15 of the largest contribution; 1e-9 is far from both that and any
# real difference. The sum of five float32 contributions is rounded to a few 1e-7 of the sensitivity, hence 1e-5.
RULES = (
    _Rule("supremum", Survey.supremum, "<=", 1 + 1e-6, of="private", subject="survey"),
    _Rule("sharpness", Survey.sharpness, ">=", 0.999, of="not controls", subject="survey"),
    _Rule("finite weights", Survey.finite_weights, "<=", 0, subject="survey"),
    # a formula loses some roundings where it cancels, and batches of other sizes are computed by other instructions
    _Rule("own weights", weights.own_weights, "<=", 1000),
    _Rule("form of weights", weights.form, "<=", 0),
    _Rule("steady sensitivity", weights.steadiness, "<=", 0),
    _Rule("no memory", weights.memory, "<=", 0, subject="before"),
    _Rule("blindness", weights.blindness, "<=", 0),
    _Rule("layers' supremum", layers.layers_supremum, "<=", 1 + 1e-6, of="per layer"),
    _Rule("own layers", layers.own_layers, "<=", 1e-9, of="per layer"),
    _Rule("statistic supremum", joint_release.statistic_supremum, "<=", 1 + 1e-6, of="adaptive"),
    _Rule("supremum on the way", joint_release.way_supremum, "<=", 1 + 1e-6, of="adaptive"),
    _Rule("own weights on the way", joint_release.way_own_weights, "<=", 1000, of="adaptive"),
    _Rule("own statistic", joint_release.own_statistic, "<=", 1e-4, of="adaptive"),
    _Rule("statistic neighbours", joint_release.statistic_neighbours, "<=", 1 + 1e-5, of="adaptive"),
    _Rule("state", joint_release.state, "<=", 0, of="adaptive"),
    _Rule("steady share", joint_release.steady_share, "<=", 1e-9, of="adaptive"),
    _Rule("joint noise", joint_release.joint_noise, "<=", SIGMAS, of="adaptive"),
    _Rule("neighbours", contributions.neighbours, "<=", 1 + 1e-5, of="private"),
    _Rule("own contribution", contributions.own_contribution, "<=", 1e-9),
    _Rule("micro-batches", contributions.micro_batches, "<=", 1e-9),
    _Rule("non-finite gradients", contributions.nonfinite, "<=", 1e-12),
    _Rule("divisor", noise_and_sampling.divisor, "<=", 1e-6),
    _Rule("noise scale", noise_and_sampling.noise_scale, "<=", 0.01, of="private"),
    # the Kolmogorov distribution exceeds 2.5 once in 130,000
    _Rule("noise shape", noise_and_sampling.noise_shape, "<=", 2.5, of="private"),
    _Rule("noise independence", noise_and_sampling.noise_independence, "<=", SIGMAS, of="private"),
    _Rule("noise refused", noise_and_sampling.noise_refused, "<=", 0, of="non-private"),
    _Rule("sampling rate", noise_and_sampling.sampling_rate, "<=", SIGMAS),
    _Rule("sampling spread", noise_and_sampling.sampling_spread, "<=", SIGMAS),
    _Rule("sampling overlap", noise_and_sampling.sampling_overlap, "<=", SIGMAS),
    _Rule("sampling empty", noise_and_sampling.sampling_empty, "<=", SIGMAS),
)

# Of an optimiser, everything is exact: the same releases give the same bits.
OPTIMISER_RULES = (
    _Rule("post-processing", update_rules.post_processing, "<=", 0),
    _Rule("no memory", update_rules.memory, "<=", 0, subject="before"),
    _Rule("resumed", update_rules.resumed, "<=", 0),
    _Rule("form of directions", update_rules.form, "<=", 0),
    _Rule("finite steps", update_rules.finite, "<=", 0),
)


def check_method(method: Method, *, names: Collection[str] = ()) -> list[Check]:
    """Every check that concerns ``method``, or of these the ones with such ``names``. A check that raises has failed,
    with the error as its detail. All of them take some seconds. Raises ``ValueError`` for an unknown name."""
    method = replace(method)  # which has not been asked anything
    before = Snapshot({"method": method}, Method)
    subjects: dict[str, object] = {"code": method, "survey": Survey(method), "before": before}
    return _checks([rule for rule in _asked(RULES, names) if rule.concerns(method)], subjects)


def check_optimiser(chain: Chain, *, names: Collection[str] = ()) -> list[Check]:
    """As ``check_method``, of a chain of update rules. All checks take less than a second."""
    chain = Chain({name: replace(rule) for name, rule in chain.rules.items()})
    asked, subjects = _asked(OPTIMISER_RULES, names), {"code": chain, "before": Snapshot(chain.rules, UpdateRule)}
    if fault := update_rules.fault(chain):  # of which all checks would say something, and none so plainly
        return [Check(rule.name, math.nan, rule.relation, rule.limit, fault) for rule in asked]
    return _checks(asked, subjects)


def _checks(rules: Sequence[_Rule], subjects: Mapping[str, object]) -> list[Check]:
    """Last of all, what they have left behind."""
    order = sorted(rules, key=lambda rule: rule.subject == "before")
    found = {rule.name: _check(rule, subjects[rule.subject]) for rule in order}
    return [found[rule.name] for rule in rules]


def _asked(rules: Sequence[_Rule], names: Collection[str]) -> list[_Rule]:
    if unknown := sorted(set(names) - {rule.name for rule in rules}):
        raise ValueError(f"no check {unknown[0]!r}; there are: {', '.join(rule.name for rule in rules)}")
    return [rule for rule in rules if not names or rule.name in names]


def _check(rule: _Rule, subject: object) -> Check:
    figure, detail = math.nan, (rule.measure.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")
    try:
        figure = float(rule.measure(subject))
    except plugins.FAULTS as error:  # a method, a rule or an engine may fail in any way: a finding, not an accident
        detail = " ".join(f"{type(error).__name__}: {error}".split())
    return Check(rule.name, figure, rule.relation, rule.limit, detail)
