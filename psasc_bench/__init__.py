"""Differentially private training by per-example scaling: the library. What is offered is listed in the stub beside
this file, and loaded when it is first used. The rooms behind it: docs/architecture.md."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
