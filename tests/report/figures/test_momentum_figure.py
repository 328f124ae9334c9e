"""The figure of inner momentum against none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from figure_tables import STEPS, Tables, is_of, marked, title

from psasc_bench.analysis import statistics
from psasc_bench.report import plots


def test_momentum_is_compared_with_the_study_at_equal_steps_and_at_equal_computing(study: Path) -> None:
    runs = pd.read_csv(study / "runs.csv").query("method == 'dp-psasc' and epsilon == 8").set_index("seed")
    sweeps = pd.read_csv(study / "sweeps.csv").query("method == 'dp-psasc' and evaluation == 'test'")
    steps, compute = plots.figure("momentum", plots.Tables(study)).axes
    for axes, taken in ((steps, STEPS), (compute, STEPS // 2)):
        tested = sweeps[sweeps["steps_taken"] == taken].set_index("seed")["accuracy"]
        mean, low, high = statistics.t_interval(100 * (tested - runs["test_accuracy"]).to_numpy())
        (point,) = marked(axes, "dp-psasc")
        (interval,) = [lines.get_segments()[0] for lines in axes.collections if is_of(lines, "dp-psasc")]
        assert np.allclose(point.get_ydata(), mean)
        assert np.allclose(interval[:, 1], [low, high])


def test_momentum_leaves_out_what_differs_in_more(tables: Tables) -> None:
    folder = tables()
    sweeps = pd.read_csv(folder / "sweeps.csv")
    sweeps.loc[sweeps["steps_taken"] == STEPS, "settings"] = "decay=0.5,iterates=2,learning_rate=9"
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    (compute,) = plots.figure("momentum", plots.Tables(folder)).axes
    assert title(compute).endswith("equal computing")
