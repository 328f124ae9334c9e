"""The gate: nothing is trained whose method and optimiser have not passed the battery at the settings of the run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psasc_bench import code, methods, optimisers
from psasc_bench.files import write_text
from psasc_bench.methods import Method
from psasc_bench.optimisers import Rules
from psasc_bench.study import RunSpec

if TYPE_CHECKING:
    from psasc_bench.evidence.battery import Check


def require_sound(spec: RunSpec, passed: Path) -> None:
    """See that method and optimiser of a run pass the battery at its settings.

    What has passed is noted in the folder ``passed`` under a digest of settings, of the content of method and rules,
    wherever they are, of all of the package's code and of the files beside its methods and update rules, so that many
    runs cost one check. Raises ``ValueError`` naming every check that fails, with its figure.
    """
    require_sound_optimiser(spec.rules, passed)  # a second; the method takes ten
    require_sound_method(spec.method, spec.parameters, passed)


def require_sound_method(name: str, parameters: Mapping[str, float], passed: Path) -> None:
    """As ``require_sound``, of method ``name`` with these ``parameters``."""

    def check() -> Sequence[Check]:
        from psasc_bench.evidence.battery import check_method  # with torch, for which who only collects need not wait

        return check_method(methods.create(name, dict(parameters)))

    where = f"{name} ({', '.join(f'{key} = {value:g}' for key, value in parameters.items())})"
    content = methods.fingerprint(methods.load(name))
    _require([content, sorted(parameters.items())], check, {"method": where}, passed)


def require_sound_optimiser(rules: Rules, passed: Path) -> None:
    """As ``require_sound``, of the chain of these ``rules``."""

    def check() -> Sequence[Check]:
        from psasc_bench.evidence.battery import check_optimiser

        return check_optimiser(optimisers.create(rules))

    content = [[optimisers.fingerprint(name), settings] for name, settings in optimisers.listed(rules).items()]
    _require(["optimiser", *content], check, {"optimiser": str(optimisers.create(rules))}, passed)


def _require(parts: Sequence[Any], check: Callable[[], Sequence[Check]], what: Mapping[str, str], passed: Path) -> None:
    key = json.dumps([code.package_digest(), *parts])
    note = passed / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if note.exists():
        return
    checks = check()
    (where,) = what.values()
    _refuse_failed(checks, where)
    write_text(note, json.dumps({**what, "passed": [check.name for check in checks]}) + "\n")


@cache
def require_sound_instance(method: Method) -> None:
    """As ``require_sound_method``, of a method at hand, and once in the life of this process."""
    import torch

    from psasc_bench.evidence.battery import check_method

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its tensors are small: more take several times as long
    try:
        _refuse_failed(check_method(method), str(method))
    finally:
        torch.set_num_threads(threads)


def _refuse_failed(checks: Sequence[Check], where: str) -> None:
    if failed := [check for check in checks if not check.passed]:
        findings = "; ".join(_findings(failed))
        raise ValueError(f"{where} fails the battery and is not trained: {findings}; `psasc-bench check` says more")


def _findings(failed: Sequence[Check]) -> Iterator[str]:
    """What failed checks have found: their figures and, of those that have none, why, each reason once."""
    for one in failed:
        if not math.isnan(one.figure):
            yield f"{one.name} is {one.figure:g}, must be {one.relation} {one.limit:g}"
    without = [one for one in failed if math.isnan(one.figure)]
    for why in dict.fromkeys(one.detail for one in without):
        yield f"{', '.join(one.name for one in without if one.detail == why)}: {why}"
