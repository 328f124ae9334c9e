from .dataset import Dataset, Features, as_seen, data_root, load, prepare, prepared_name
from .sources import download

__all__ = [
    "Dataset",
    "Features",
    "as_seen",
    "data_root",
    "download",
    "load",
    "prepare",
    "prepared_name",
]
