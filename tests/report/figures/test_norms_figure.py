"""The figure of gradient norms and of the norm at which a weight peaks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import title

from psasc_bench.report import plots


def test_norms_are_those_of_the_curves_and_the_peak_that_of_the_weight(study: Path) -> None:
    drawn = plots.figure("norms", plots.Tables(study))
    columns = {title(axes): axes for axes in drawn.axes[: len(drawn.axes) // 2]}  # of the first budget
    curves = pd.read_csv(study / "curves.csv")
    curves = (
        curves[(curves["epsilon"] == 1) & (curves["method"] == "dp-psasc")].groupby("epoch").mean(numeric_only=True)
    )
    median, peak = columns["DP-PSASC"].lines
    assert np.allclose(median.get_ydata(), curves["nonprivate_norm_q50"])
    assert np.allclose(peak.get_ydata(), math.sqrt(0.25) - 0.1, rtol=0.01)  # as near as the table's norms
    assert len(columns["DP-SGD"].lines) == 1
    (share,) = columns["Below peak (%)"].lines
    assert np.allclose(share.get_ydata(), 100 * curves["nonprivate_below_peak"])
