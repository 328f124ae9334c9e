from .folder import find, misfiled, place, read_curve, records_folder
from .identity import fingerprint
from .merging import merge
from .origin import code_version
from .predictions import pack_predictions, unpack_predictions
from .record import GENERATION, REMEDY, STATE, Record, Status, ledger, provenance, read, write
from .spool import checkpoint_file, lock_file, spool_beside
from .status import PresentData, Run, look, present_data, status_grid, status_rows, survey

__all__ = [
    "GENERATION",
    "REMEDY",
    "STATE",
    "PresentData",
    "Record",
    "Run",
    "Status",
    "checkpoint_file",
    "code_version",
    "find",
    "fingerprint",
    "ledger",
    "lock_file",
    "look",
    "merge",
    "misfiled",
    "pack_predictions",
    "place",
    "present_data",
    "provenance",
    "read",
    "read_curve",
    "records_folder",
    "spool_beside",
    "status_grid",
    "status_rows",
    "survey",
    "unpack_predictions",
    "write",
]
