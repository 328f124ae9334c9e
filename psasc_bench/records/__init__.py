"""The record of a run: its format, where it lies, how far a study's records are, and merging them."""

import lazy_loader

# Loaded when first used, for torch, pandas and matplotlib take seconds each; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
