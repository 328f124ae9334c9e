"""A chain of update rules, each of which gets the direction of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psasc_bench.optimisers._catalogue import called, create_rule, parameters
from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule

# As studies, specifications and records have a chain: one entry a rule, its name, or a reference to its file, with its
# settings, in their order.
Rules = Sequence[Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Chain:
    """The ``rules`` by name, first to last. Its functions are those of a rule; its state has the keys ``rule.key``."""

    rules: Mapping[str, UpdateRule]

    def start(self, parameters: Tensor) -> State:
        """As ``UpdateRule.start``."""
        return {
            f"{name}.{key}": tensor
            for name, rule in self.rules.items()
            for key, tensor in rule.start(parameters).items()
        }

    def update(self, released: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        """As ``UpdateRule.update``, of what was released."""
        direction, after = released, dict[str, Tensor]()
        for name, rule in self.rules.items():
            direction, own = rule.update(direction, _own(state, name), moment)
            after |= {f"{name}.{key}": tensor for key, tensor in own.items()}
        return direction, after

    def evaluated(self, parameters: Tensor, state: State) -> Tensor:
        """As ``UpdateRule.evaluated``."""
        for name, rule in self.rules.items():
            parameters = rule.evaluated(parameters, _own(state, name))
        return parameters

    def __str__(self) -> str:
        """``low-pass (decay = 0.9, previous = 1) then cosine (floor = 0)``."""
        return " then ".join(_described(name, parameters(rule)) for name, rule in self.rules.items())


def _own(state: State, name: str) -> State:
    return {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}


def _described(name: str, settings: Mapping[str, float]) -> str:
    said = ", ".join(f"{key} = {value:g}" for key, value in settings.items())
    return f"{name} ({said})" if said else name


def create(rules: Rules) -> Chain:
    """The chain of these rules. Raises ``ValueError`` as ``create_rule`` does, and for a rule that is there twice."""
    return Chain({called(name): create_rule(name, settings) for name, settings in listed(rules).items()})


def listed(rules: Rules) -> dict[str, Mapping[str, float]]:
    """By name, in their order. Raises ``ValueError`` for a rule that is there twice."""
    pairs = [pair for entry in rules for pair in entry.items()]
    for name, count in Counter(called(name) for name, _ in pairs).items():
        if count > 1:
            raise ValueError(f"an optimiser has each rule once, this one has {name} twice")
    return dict(pairs)
