"""The update rules of a run, from what a study says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psasc_bench import optimisers, plugins
from psasc_bench.methods import checked_title
from psasc_bench.optimisers import Rules

HEAVY_BALL, MOMENTUM = "heavy-ball", "momentum"


def listed_rules(given: Any) -> list[dict[str, Any]]:
    """What a study may say (``adam``, ``{adam: {beta1: 0.8}}``, ``{file: my_rule.py, beta1: 0.8}``, or a list of such)
    with one entry a rule. What is malformed is left as it is, for validation to name. Raises ``ValueError`` for several
    rules in one entry, for none, and for a file that is not Python's."""
    entries = given if isinstance(given, list | tuple) else [given]
    if not entries:
        raise ValueError("must name an update rule; leave the key out for heavy-ball")
    entries = [_of_file(entry) if isinstance(entry, Mapping) and "file" in entry else entry for entry in entries]
    if [entry for entry in entries if isinstance(entry, Mapping) and len(entry) != 1]:
        raise ValueError("must have one update rule in each entry; write several as a list, in their order")
    named = [{entry: {}} if isinstance(entry, str) else entry for entry in entries]
    return [
        {name: settings or {} for name, settings in entry.items()} if isinstance(entry, Mapping) else entry
        for entry in named
    ]


def _of_file(entry: Mapping[str, Any]) -> dict[str, Any]:
    if not (isinstance(file := entry["file"], str) and plugins.is_file(file)):
        raise ValueError("must name a Python file, NAME.py")
    return {plugins.reference(file): {key: value for key, value in entry.items() if key != "file"}}


def check_rules(rules: Rules) -> Rules:
    """Raises ``ValueError`` for a rule or a setting that there is not, for a value that no such rule can have, and for
    a file whose rule would go by the name of another or has a title that no table can show."""
    for name, settings in optimisers.listed(rules).items():
        if plugins.is_file(name):
            _check_names(name)
        optimisers.create_rule(name, {MOMENTUM: 0.0, **settings} if name == HEAVY_BALL else settings)
    return rules


def _check_names(file: str) -> None:
    if (called := optimisers.called(file)) in optimisers.names():
        raise ValueError(f"{file}: there is an update rule {called}; give the file another name")
    try:
        checked_title(optimisers.load(file).title)
    except ValueError as error:
        place = "" if str(error).startswith(file) else f"{file}: title: "
        raise ValueError(f"{place}{error}") from None


def resolve(rules: Rules, said: Mapping[str, float], *, momentum: float) -> tuple[Rules, float]:
    """What a specification has of them: the chain with all its settings and momentum 0 or, of a heavy ball that is all
    there is, no chain and its momentum.

    ``said`` are a method's settings, of which those of rules, as ``adam.beta1``, go before those in ``rules``;
    ``momentum`` there is the heavy ball's. One to which none is given has ``momentum``. Raises ``ValueError`` as
    ``check_rules`` does, and for settings of rules that are not there.
    """
    listed = optimisers.listed(rules or ({HEAVY_BALL: {}},))
    chain = {optimisers.called(name): dict(given) for name, given in listed.items()}
    for setting, value in said.items():
        name, of_rule, key = (f"{HEAVY_BALL}.{MOMENTUM}" if setting == MOMENTUM else setting).partition(".")
        if of_rule and name not in chain:
            raise ValueError(f"{setting}: the optimiser has no {name}; it has: {', '.join(chain)}")
        if of_rule:
            chain[name][key] = value
    if HEAVY_BALL in chain:
        chain[HEAVY_BALL].setdefault(MOMENTUM, momentum)
    made = optimisers.create([{name: given} for name, given in zip(listed, chain.values(), strict=True)])
    if [*chain] == [HEAVY_BALL]:
        return (), chain[HEAVY_BALL][MOMENTUM]
    whole = zip(listed, map(optimisers.parameters, made.rules.values()), strict=True)
    return tuple({name: settings} for name, settings in whole), 0.0


def rules_title(rules: Rules) -> str:
    """How tables call it: the rules' names, with the settings that are given."""
    return " + ".join(_title(name, settings) for name, settings in optimisers.listed(rules).items())


def _title(name: str, settings: Mapping[str, float]) -> str:
    said = ", ".join(f"{key} = {value:g}" for key, value in settings.items())
    return f"{optimisers.load(name).title}{f': {said}' if said else ''}"
