"""Networks by name: their definitions, what is known of them without torch, and whether they fit data and engine."""

import lazy_loader

# Loaded when first used: studies are checked without torch, which takes seconds. The stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
