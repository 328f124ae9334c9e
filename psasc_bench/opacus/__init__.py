"""The methods in training scripts written for Opacus."""

import lazy_loader

# Loaded when first used, for Opacus takes seconds; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
