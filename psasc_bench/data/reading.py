"""Reading a source: one of this room's, by name, or somebody's function, see ``plugins``."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psasc_bench import code, plugins
from psasc_bench.code import Content
from psasc_bench.data import formats, sources
from psasc_bench.data.sources import PARTS, Arrays, Constants, Place

KIND = "sources"  # of plug-ins
GIVEN = (*PARTS, "offset", "scale")  # what somebody's source gives


def names() -> list[str]:
    """The sources' names, those that installed packages offer included."""
    return [*sources.READERS, *formats.READERS, *plugins.names(KIND)]


def identity(source: str) -> str:
    """What stands for a source in names of files: its own or, for one in a file, the word."""
    return "file" if plugins.is_file(source) else source


def refused(source: str) -> str | None:
    """Why no study can have this source: there is none. None if there is."""
    try:
        content(source)
    except ValueError as error:
        return str(error)
    return None


@cache
def content(source: str) -> Content:
    """What reads ``source``, with all that it uses, as this process runs it, whether it is edited meanwhile or not.
    Raises ``ValueError``."""
    for module in (sources, formats):
        if source in module.READERS:
            return code.content_of_entry(Path(str(module.__file__)), "READERS", source)
    if plugin := plugins.find(source, KIND):
        return plugin.content()
    meant = get_close_matches(source, names(), n=1)
    hint = f"did you mean {meant[0]}? " if meant else ""
    raise ValueError(f"unknown source {source!r}; {hint}known: {', '.join(names())}")


def read(source: str, place: Place) -> tuple[Arrays, Constants]:
    """The ``PARTS`` of ``source`` as they are to be stored: images ``[n, channels, height, width]``, rows ``[n, d]`` or
    token ids ``[n, length]``, and labels int64; and offset and scale of each channel or column in their units.

    Raises ``FileNotFoundError`` for data that is not there and ``ValueError`` for data that cannot be right; both say
    what to do.
    """
    readers = sources.READERS | formats.READERS
    if source in readers:
        return readers[source](place)
    content(source)  # or say what is known
    plugin = plugins.find(source, KIND)
    assert plugin
    given = plugins.call(str(plugin), plugin.load(), *([place.path] if place.path else []))
    return _checked(plugins.path_of(str(plugin)), given)


def _checked(path: Path, given: Any) -> tuple[Arrays, Constants]:
    if not isinstance(given, dict) or set(given) != set(GIVEN):
        found = ", ".join(map(str, given)) if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{path}: must return a dict of {', '.join(GIVEN)}, returns {found}")
    arrays = {name: _array(path, name, given[name]) for name in PARTS}
    if arrays["x_train"].dtype != arrays["x_test"].dtype:
        types = " and ".join(f"{name} {arrays[name].dtype}" for name in ("x_train", "x_test"))
        raise ValueError(f"{path}: {types} must be of one type")
    arrays = formats.sound(path, arrays)
    for name in ("x_train", "x_test"):
        x = arrays[name]
        if x.dtype == np.int64 and (x.ndim != 2 or x.min() < 0):
            raise ValueError(
                f"{path}: {name} of int64 {x.shape} must be token ids [n, length] from 0; or make it float32"
            )
    width = arrays["x_train"].shape[1]
    offset, scale = (_constants(path, name, given[name], width) for name in ("offset", "scale"))
    return arrays, (offset, scale)


def _array(path: Path, name: str, values: Any) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise ValueError(f"{path}: {name} has masked values; fill them in, or leave their examples out")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: {name} is no array: {' '.join(str(error).split())}") from None


def _constants(path: Path, name: str, values: Any, width: int) -> list[float]:
    given = _array(path, name, values)
    found = given.astype(np.float64).reshape(-1) if given.dtype.kind in "iuf" else np.array([np.nan])
    found = np.repeat(found, width) if len(found) == 1 else found
    if len(found) != width or not np.isfinite(found).all() or (name == "scale" and not (found > 0).all()):
        above = " above 0" if name == "scale" else ""
        raise ValueError(f"{path}: {name} must be {width} numbers{above}, or one for all; public constants")
    return [float(value) for value in found]
