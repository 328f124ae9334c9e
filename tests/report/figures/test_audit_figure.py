"""The figure of the audit: lower bounds beside the claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from figure_tables import SCHEDULES, Tables, text, written
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from psasc_bench.report import plots, style


def test_audit_needs_no_finished_run(tables: Tables) -> None:
    assert "DP-PSASC" in written("audit", tables(status=lambda _: "missing"))


def test_nothing_audited_is_said(tables: Tables) -> None:
    assert "Nothing to draw: no method was audited" in written("audit", tables(methods=["nonprivate"]))


def test_points_of_the_audit_are_its_bounds_and_stand_below_the_claim(study: Path) -> None:
    bounds = pd.read_csv(study / "audit.csv").set_index("method")
    panels = plots.figure("audit", plots.Tables(study)).axes
    assert len(panels) == len(SCHEDULES)
    for axes, (sampling_rate, _) in zip(panels, SCHEDULES, strict=True):
        expected = bounds[bounds["sampling_rate"] == sampling_rate].loc["dp-psasc"]
        (line,) = [line for line in axes.lines if line.get_marker() == style.KNOWN["dp-psasc"].marker]
        assert np.allclose(line.get_ydata(), expected["epsilon_lower"])
        assert np.array_equal(claimed(axes).values, expected["epsilon_claimed"])
        assert (line.get_ydata() < claimed(axes).values).all()


def test_a_bound_above_the_claim_is_in_the_shade_and_named(tables: Tables) -> None:
    folder = tables(refuted=["mine"])
    for axes in plots.figure("audit", plots.Tables(folder)).axes:
        (line,) = [line for line in axes.lines if line.get_marker() == style.looks(["mine"], set())["mine"].marker]
        (shade,) = [patch for patch in axes.patches if isinstance(patch, StepPatch) and patch.get_fill()]
        assert np.array_equal(shade.get_data().baseline, claimed(axes).values)
        assert (line.get_ydata() > shade.get_data().baseline).all()
        assert (line.get_ydata() < shade.get_data().values).all()
    assert "REFUTED: My method." in written("audit", folder)


def claimed(axes: Axes) -> Any:
    (step,) = [patch for patch in axes.patches if isinstance(patch, StepPatch) and not patch.get_fill()]
    return step.get_data()


def test_a_sound_study_has_nothing_refuted(study: Path) -> None:
    assert "REFUTED" not in text(study / "figures" / "audit.svg")
