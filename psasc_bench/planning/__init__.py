"""What the workflow's rules ask of a study: paths, digests, what is due."""

import lazy_loader

# Loaded when first used, and light even then, for every job of the workflow plans it anew; the stub lists it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
