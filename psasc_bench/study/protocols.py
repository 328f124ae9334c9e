"""What a study leaves unsaid, filled in from published protocols: ``protocols.yaml`` has the values and sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from psasc_bench import methods
from psasc_bench.study.settings import DatasetConfig

Values = dict[str, Any]


def fill(given: Mapping[str, Any]) -> tuple[Values, dict[str, str]]:
    """A study's values with what they leave unsaid, and the source of each value that was filled in, by its key.

    Filled in are ``seeds`` and ``epsilons`` where they are absent; the protocol of a data set that has the name of a
    known one, or its source, and leaves out a key that is needed; the accountant of such a data set in any case, for
    numbers do not compare at other noise; settings of known methods that are needed. What is malformed is left as it
    is, for validation to name.
    """
    values, filled = dict(given), dict[str, str]()
    for key in ("seeds", "epsilons"):
        if values.get(key) is None:
            values[key] = _take(_known()[key], key, filled)
    if isinstance(values.get("methods"), Mapping):
        values["methods"] = {name: _method(name, settings, filled) for name, settings in values["methods"].items()}
    if isinstance(values.get("datasets"), Mapping):
        used = _implementations(values.get("methods"))
        values["datasets"] = {
            name: _dataset(name, dataset, used, filled) for name, dataset in values["datasets"].items()
        }
    return values, filled


def _method(name: Any, given: Any, filled: dict[str, str]) -> Any:
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return given
    known = {} if "file" in given else _known()["methods"].get(str(given.get("method") or name), {})
    lacking = {key: one for key, one in known.items() if key not in given}
    return {**given, **{key: _take(one, f"methods.{name}.{key}", filled) for key, one in lacking.items()}}


def _dataset(name: Any, given: Any, used: Mapping[str, Mapping[str, Any]], filled: dict[str, str]) -> Any:
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return given
    protocol = _protocol(name, given)
    needed = {key for key, field in DatasetConfig.model_fields.items() if field.is_required()}
    values = dict(given)
    if needed - set(given):
        for key, one in protocol.items():
            if key not in given and key not in ("overrides", "sensitivity", "accountant"):
                values[key] = _take(one, f"datasets.{name}.{key}", filled)
        if "learning_rate" not in given:
            values["overrides"] = dict(_overrides(name, given.get("overrides"), protocol, used, filled))
    if "sensitivity" in protocol and "sensitivity" not in given and any(map(_lacks_threshold, used.items())):
        values["sensitivity"] = _take(protocol["sensitivity"], f"datasets.{name}.sensitivity", filled)
    if "accountant" in protocol and "accountant" not in given:
        values["accountant"] = _take(protocol["accountant"], f"datasets.{name}.accountant", filled)
    return values


def _protocol(name: Any, given: Mapping[str, Any]) -> Values:
    """That of the data set's name or, where it says another source than that one has, of its source."""
    known: Mapping[str, Values] = _known()["datasets"]
    found = known.get(str(name), {})
    for key in ("source", "features"):
        if key in given and given[key] != found.get(key, ["pixels"])[0]:
            found = known.get(str(given.get("source")), {}) if given.get("features", "pixels") == "pixels" else {}
    return found


def _overrides(
    name: Any, given: Any, protocol: Values, used: Mapping[str, Mapping[str, Any]], filled: dict[str, str]
) -> Iterator[tuple[str, Any]]:
    given = given if isinstance(given, Mapping) else {}
    yield from given.items()
    for method, settings in protocol.get("overrides", {}).items():
        for listed in used:
            if listed not in given and used[listed]["method"] == method and not set(settings) & set(used[listed]):
                place = f"datasets.{name}.overrides.{listed}"
                yield listed, {key: _take(one, f"{place}.{key}", filled) for key, one in settings.items()}


def _implementations(given: Any) -> dict[str, Mapping[str, Any]]:
    """By a study's name for it: the settings of each method, and which ``method`` it is, or the file that has it."""
    listed = given.items() if isinstance(given, Mapping) else ()
    return {
        str(name): {**settings, "method": str(settings.get("file") or settings.get("method") or name)}
        for name, settings in listed
        if isinstance(settings, Mapping)
    }


def _lacks_threshold(method: tuple[str, Mapping[str, Any]]) -> bool:
    _, settings = method
    try:
        return "C" not in settings and "C" in methods.required(settings["method"])
    except ValueError:  # no such method, as validation will say
        return False


def _take(one: tuple[Any, str], place: str, filled: dict[str, str]) -> Any:
    value, source = one
    filled[place] = _known()["sources"][source]
    return value


@cache
def _known() -> Values:
    text = resources.files("psasc_bench.study").joinpath("protocols.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))
