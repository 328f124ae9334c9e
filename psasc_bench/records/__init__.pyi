from .merging import merge
from .record import GENERATION, Record, Status, ledger, provenance, read, records_folder, write
from .spool import checkpoint_file, lock_file, spool_beside
from .status import Run, look, status_grid, status_rows, survey

__all__ = [
    "GENERATION",
    "Record",
    "Run",
    "Status",
    "checkpoint_file",
    "ledger",
    "lock_file",
    "look",
    "merge",
    "provenance",
    "read",
    "records_folder",
    "spool_beside",
    "status_grid",
    "status_rows",
    "survey",
    "write",
]
