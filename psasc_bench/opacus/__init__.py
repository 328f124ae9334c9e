"""The methods in training scripts written for Opacus."""

from importlib.util import find_spec

import lazy_loader

if not find_spec("opacus"):
    message = "psasc_bench.opacus needs opacus, which is not installed: pip install 'psasc-bench[opacus]'"
    raise ModuleNotFoundError(message, name="opacus")

# Loaded when first used, for Opacus takes seconds; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
