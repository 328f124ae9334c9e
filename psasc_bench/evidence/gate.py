"""The gate: nothing is trained whose method has not passed the battery at the very settings it is trained with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from psasc_bench import code, methods
from psasc_bench.files import write_text


def require_sound(name: str, parameters: Mapping[str, float], passed: Path) -> None:
    """See that method ``name`` with these ``parameters`` passes the battery.

    What has passed is noted in the folder ``passed`` under a digest of settings, of the method's content, wherever it
    is, of all of the package's code and of the files beside its methods, so that many runs of a method cost one check.
    Raises ``ValueError`` naming every check
    that fails, with its figure.
    """
    parts = [code.package_digest(), methods.fingerprint(methods.load(name)), sorted(parameters.items())]
    note = passed / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}.json"
    if note.exists():
        return
    from psasc_bench.evidence.battery import check_method  # with torch, for which who only collects need not wait

    checks = check_method(methods.create(name, dict(parameters)))
    where = f"{name} ({', '.join(f'{key} = {value:g}' for key, value in parameters.items())})"
    if failed := [check for check in checks if not check.passed]:
        figures = "; ".join(f"{one.name} is {one.figure:g}, must be {one.relation} {one.limit:g}" for one in failed)
        raise ValueError(f"{where} fails the battery and is not trained: {figures}; `psasc-bench check` says more")
    write_text(note, json.dumps({"method": where, "passed": [check.name for check in checks]}) + "\n")
