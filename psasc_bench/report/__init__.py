"""What people look at: figures, typeset tables, the explorer, the write-up; from tidy tables and nothing else."""

import lazy_loader

# Loaded when first used, for torch, pandas and matplotlib take seconds each; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
