from .catalogue import fingerprint, names, refused
from .creation import check_fit, create
from .networks import MODELS, cifar_cnn, digits_cnn, mnist_cnn, scatter_linear

__all__ = [
    "MODELS",
    "check_fit",
    "cifar_cnn",
    "create",
    "digits_cnn",
    "fingerprint",
    "mnist_cnn",
    "names",
    "refused",
    "scatter_linear",
]
