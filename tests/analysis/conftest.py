"""A small study, and the folder of its records."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_records import PSASC, SGD, make, parse, write

from psasc_bench.study import Study


@pytest.fixture
def study() -> Study:
    return parse()


@pytest.fixture
def runs(study: Study, tmp_path: Path) -> Path:
    """DP-SGD has .50 .60 .70, DP-PSASC .54 .61 .74: differences of .04 .01 .04."""
    folder = tmp_path / "runs"
    for seed, (sgd, psasc) in enumerate([(0.50, 0.54), (0.60, 0.61), (0.70, 0.74)]):
        write(folder, make(study, SGD, seed, sgd), make(study, PSASC, seed, psasc))
    return folder
