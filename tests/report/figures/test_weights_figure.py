"""The figure of weights above the norms that they meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import EPOCHS, Tables, is_of, written
from scipy import stats

from psasc_bench.report import plots


def test_weights_need_no_finished_run(tables: Tables) -> None:
    found = written("weights", tables(status=lambda _: "missing"))
    assert "DP-PSASC" in found
    assert "Bars" not in found


def test_weights_stand_above_the_norms_of_the_first_and_the_last_epoch(study: Path) -> None:
    curves = pd.read_csv(study / "curves.csv").query("method == 'dp-sgd'")
    _, _, bars = plots.figure("weights", plots.Tables(study)).axes
    segments = np.concatenate([lines.get_segments() for lines in bars.collections if is_of(lines, "dp-sgd")])
    for epoch, ((low, _), (high, _)) in zip([1, EPOCHS], segments, strict=True):
        at = curves[curves["epoch"] == epoch]
        assert np.isclose(low, stats.gmean(at["nonprivate_norm_q10"]))
        assert np.isclose(high, stats.gmean(at["nonprivate_norm_q90"]))
