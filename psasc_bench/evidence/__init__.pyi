from .battery import Check, check_method, check_optimiser
from .gate import require_sound, require_sound_instance
from .ledgers import Verified, verify_ledgers
from .one_run_audit import audit_run
from .settings import OptimiserSetting, Setting, distinct_optimisers, distinct_settings
from .step_audit import Claim, audit

__all__ = [
    "Check",
    "Claim",
    "OptimiserSetting",
    "Setting",
    "Verified",
    "audit",
    "audit_run",
    "check_method",
    "check_optimiser",
    "distinct_optimisers",
    "distinct_settings",
    "require_sound",
    "require_sound_instance",
    "verify_ledgers",
]
