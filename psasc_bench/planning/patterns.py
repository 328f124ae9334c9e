"""What the rules' wildcards may stand for, as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from psasc_bench.study import Trial


def alternatives(names: Iterable[str]) -> str:
    """Any of these names; of none, what matches nothing, where an empty expression would match all."""
    return "|".join(names) or "(?!)"


def settings_pattern(trials: Iterable[Trial]) -> str:
    """The settings of any of these trials, as they stand in file names."""
    return alternatives(sorted({re.escape(trial.name) for trial in trials}))
