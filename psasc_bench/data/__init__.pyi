from .dataset import Dataset, as_seen, count_classes, data_root, holds_tokens, known_sha256, load, prepare
from .identity import Evaluation, Features, content, fingerprint, prepared_name
from .reading import names, refused
from .sizes import count_test_examples
from .sources import download

__all__ = [
    "Dataset",
    "Evaluation",
    "Features",
    "as_seen",
    "content",
    "count_classes",
    "count_test_examples",
    "data_root",
    "download",
    "fingerprint",
    "holds_tokens",
    "known_sha256",
    "load",
    "names",
    "prepare",
    "prepared_name",
    "refused",
]
