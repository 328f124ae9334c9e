"""What is known of the models from how they are written, without loading torch: of those of this room, by name, and of
those in files or installed packages, see ``plugins``."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from psasc_bench import code, plugins
from psasc_bench.code import Content

NETWORKS = Path(__file__).with_name("networks.py")
FAMILIES = Path(__file__).with_name("families.py")
# The dictionary of each file that has those of this room; the second ones are built for the data's shape and classes.
TABLES = {NETWORKS: "MODELS", FAMILIES: "FAMILIES"}
KIND = "models"  # of plug-ins
RANDOM = "draws at random in every pass, so that a run cannot be repeated; leave it out"
MIXING = "mixes the examples of a batch, so that no example has a gradient of its own; use GroupNorm"
STATE = "keeps a state of the examples that it has seen, which is released without noise; leave it out"
# By the names of torch's layers and functions, and of such as are widely used with it. Of others, and of layers that
# derive from these, `layers` knows when the model is built.
REFUSED = {
    **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"), RANDOM),
    **dict.fromkeys(("RReLU", "FractionalMaxPool2d", "FractionalMaxPool3d", "StochasticDepth", "DropPath"), RANDOM),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "rrelu", "rrelu_"), RANDOM),
    **dict.fromkeys(("feature_alpha_dropout", "feature_dropout", "gumbel_softmax", "stochastic_depth"), RANDOM),
    **dict.fromkeys((f"{lazy}BatchNorm{d}d" for lazy in ("", "Lazy") for d in (1, 2, 3)), MIXING),
    **dict.fromkeys(("SyncBatchNorm", "batch_norm"), MIXING),
}
TRACKING = "track_running_stats"  # of InstanceNorm


def names() -> list[str]:
    """The models' names, as they are written in ``MODELS`` and ``FAMILIES``, and those that installed packages offer.
    Raises ``ValueError`` if they cannot be read there."""
    return [*(name for path, table in TABLES.items() for name in code.entries(path, table)), *plugins.names(KIND)]


def unknown(name: str) -> str:
    """Why there is no model ``name``, with the likeliest that was meant."""
    meant = get_close_matches(name, names(), n=1)
    return f"unknown model {name!r}; {f'did you mean {meant[0]}? ' if meant else ''}known: {', '.join(names())}"


def identity(name: str) -> str:
    """What a run's record calls a model: its ``name`` or, of one in a file of its own, its content, which is the same
    wherever it lies and whatever it is called."""
    return f"file-{fingerprint(name)}" if plugins.is_file(name) else name


def fingerprint(name: str) -> str:
    """A digest of the network called ``name`` with all that it uses of this package and of files beside its own,
    comments, docstrings and formatting aside; of libraries the names count. Raises ``ValueError`` if there is none."""
    return _content(name).digest


@cache
def refused(name: str) -> str | None:
    """Why no study can have the model ``name``, as far as it can be read from how it is written: there is none, or it
    has a layer that private training cannot have. None if nothing is known against it."""
    try:
        content = _content(name)
    except ValueError as error:
        return str(error)
    for library in sorted(content.libraries):
        layer = library.rpartition(".")[2]
        if layer in REFUSED:
            return f"model {name} has {library}, which {REFUSED[layer]}"
    for node in (node for definition in content.syntax for node in ast.walk(definition)):
        if isinstance(node, ast.keyword) and node.arg == TRACKING and getattr(node.value, "value", True):
            return f"model {name} has a layer with {TRACKING}, which {STATE}"
    return None


@cache
def _content(name: str) -> Content:
    """As this process runs it, whether it is edited meanwhile or not."""
    for path, table in TABLES.items():
        if name in code.entries(path, table):
            return code.content_of_entry(path, table, name)
    if plugin := plugins.find(name, KIND):
        return plugin.content()
    raise ValueError(unknown(name))
