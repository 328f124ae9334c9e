from .battery import check_method
from .gate import require_sound
from .ledgers import holding_ledgers, verify_ledgers
from .one_run_audit import audit_run
from .step_audit import Claim, audit

__all__ = [
    "Claim",
    "audit",
    "audit_run",
    "check_method",
    "holding_ledgers",
    "require_sound",
    "verify_ledgers",
]
