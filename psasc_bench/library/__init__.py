"""For training scripts of somebody's own: private gradients of any model, and what they cost."""

import lazy_loader

# Loaded when first used, for torch takes seconds; the stub beside this file lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
