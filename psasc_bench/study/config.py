"""A study's configuration: read, and validated to the last key."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from psasc_bench import plugins
from psasc_bench.study.problems import study_problems, sweep_problems
from psasc_bench.study.protocols import fill
from psasc_bench.study.settings import ConfigError
from psasc_bench.study.study import Study

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


def load_study(path: Path, *, checked: bool = False) -> Study:
    """Read and validate a YAML (or JSON) file, as ``parse_study``. Raises ``ConfigError``."""
    # what comes through a pipe is of no folder but that where it is read
    return parse_study(_read(path), source=str(path), folder=path.parent if path.is_file() else Path(), checked=checked)


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except YAML_ERRORS as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def parse_study(
    values: Any, *, source: str, files: Iterable[Path] = (), folder: Path = Path(), checked: bool = False
) -> Study:
    """Validate configuration ``values``; ``source`` names where they came from. If it was Snakemake that read them, it
    was from these ``files``, in which it overlooks a key that is given twice. What the values have under ``file`` is
    seen from the folder of the last of them, or else from ``folder``. What has been ``checked`` is not looked through
    again for what is wrong in the files and between the keys. Raises ``ConfigError`` with a line per problem.
    """
    for file in files:
        if not checked:
            _read(file)
        folder = file.parent
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: must be a mapping of keys to values, is {type(values).__name__}")
    try:
        read = {key: _parse_string(key, value) for key, value in values.items()}
        filled_in, sources = fill(locate_files(read, folder))
        study = Study.model_validate({"filled": sources} | filled_in)
        problems = [] if checked else list(study_problems(study)) or list(sweep_problems(study))
    except ValidationError as error:
        problems = _explain(error)
    if problems:
        # a key may hold any character: one line each
        lines = [" ".join(f"{source}: {problem}".split()) for problem in problems]
        raise ConfigError("\n".join(dict.fromkeys(lines)))
    return study


def locate_files(value: Any, folder: Path, *, depth: int = 5) -> Any:
    """The configuration ``value``, read from a file in ``folder``, with every text under the key ``file``, as in
    ``datasets.NAME.model.file``, as the path that holds wherever it is read."""
    if not isinstance(value, Mapping | list) or not depth:  # YAML may go round in a circle
        return value
    if isinstance(value, list):
        return [locate_files(one, folder, depth=depth - 1) for one in value]
    return {
        key: plugins.reference(os.path.expandvars(os.path.expanduser(one)), folder=folder)
        if key == "file" and isinstance(one, str)
        else locate_files(one, folder, depth=depth - 1)
        for key, one in value.items()
    }


def _parse_string(key: Any, value: Any) -> Any:
    """Lists given as `snakemake --config 'seeds=[0]'` arrive as strings."""
    try:
        return yaml.load(value, Loader=_Loader) if isinstance(value, str) and key != "data_root" else value
    except YAML_ERRORS:
        return value


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
