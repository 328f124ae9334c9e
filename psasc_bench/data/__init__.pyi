from .dataset import Dataset, as_seen, data_root, known_sha256, load, prepare
from .identity import Evaluation, Features, fingerprint, prepared_name
from .sizes import count_test_examples
from .sources import download

__all__ = [
    "Dataset",
    "Evaluation",
    "Features",
    "as_seen",
    "count_test_examples",
    "data_root",
    "download",
    "fingerprint",
    "known_sha256",
    "load",
    "prepare",
    "prepared_name",
]
