"""Differentially private training by per-example scaling: the library. What is offered is listed in the stub beside
this file, and loaded when it is first used. The rooms behind it: docs/architecture.md."""

from typing import Any

import lazy_loader

_offered, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name != "__version__":
        return _offered(name)
    from importlib.metadata import version  # as slow as all the rest

    return version("psasc-bench")
