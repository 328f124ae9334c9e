from .apart import examples_apart
from .catalogue import fingerprint, identity, names, refused
from .creation import check_fit, create, inputs_like
from .families import FAMILIES
from .networks import MODELS, cifar_cnn, digits_cnn, mnist_cnn, scatter_linear

__all__ = [
    "FAMILIES",
    "MODELS",
    "check_fit",
    "cifar_cnn",
    "create",
    "digits_cnn",
    "examples_apart",
    "fingerprint",
    "identity",
    "inputs_like",
    "mnist_cnn",
    "names",
    "refused",
    "scatter_linear",
]
