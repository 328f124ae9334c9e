"""What people look at: figures, typeset tables, the explorer, the write-up; from tidy tables and nothing else."""

import os
import sys
from contextlib import suppress

import lazy_loader

# Figures are files and need no backend. Where this variable names one that is not installed, as a notebook's may be,
# matplotlib cannot even be imported.
if "matplotlib" not in sys.modules and (_backend := os.environ.pop("MPLBACKEND", None)):
    import matplotlib

    with suppress(ValueError):
        matplotlib.rcParams["backend"] = _backend
        os.environ["MPLBACKEND"] = _backend

# Loaded when first used, for torch, pandas and matplotlib take seconds each; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
