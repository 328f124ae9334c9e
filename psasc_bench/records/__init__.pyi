from .identity import fingerprint
from .merging import merge
from .origin import code_version
from .record import GENERATION, Record, Status, ledger, provenance, read, records_folder, write
from .spool import checkpoint_file, lock_file, spool_beside
from .status import PresentData, Run, look, present_data, status_grid, status_rows, survey

__all__ = [
    "GENERATION",
    "PresentData",
    "Record",
    "Run",
    "Status",
    "checkpoint_file",
    "code_version",
    "fingerprint",
    "ledger",
    "lock_file",
    "look",
    "merge",
    "present_data",
    "provenance",
    "read",
    "records_folder",
    "spool_beside",
    "status_grid",
    "status_rows",
    "survey",
    "write",
]
