"""What becomes of a released gradient: update rules, a file each, and the chain that a run applies."""

import lazy_loader

# Loaded when first used, for torch, pandas and matplotlib take seconds each; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
