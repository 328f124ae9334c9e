"""What all figures have in common: named axes, real text, and a reason where nothing is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import pytest
from figure_tables import CONTROLS, TITLES, Tables, text, written

from psasc_bench.report import plots


def test_drawing_leaves_matplotlib_as_it_was(study: Path, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    plots.draw_figure("weights", study, tmp_path)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("figure", "labels"),
    [
        ("forest", ["Final test accuracy", "minus", "Percentage points", "95 % interval", "±0.2", "3 seeds"]),
        ("profile", ["Runs above the threshold (%)", "Mean rank", "bootstrap over seeds", "2 pairs"]),
        ("weights", ["Gradient norm $x$", "Weight $w(x)/\\Delta$", "Contribution"]),
        ("audit", ["Lower bound", "claim", "10^{-5}", "No subsampling, 10 steps", "rate 0.25", "2,000", "99.9 %"]),
        ("accuracy", ["Test accuracy (%)", "percentage points", "Privacy budget", "10^{-5}", "non-private", "3 seeds"]),
        ("convergence", ["Epoch", "Accuracy", "Difference", "(points)", "same epoch", "ε = 1", "ε = 8"]),
    ],
)
def test_axes_and_methods_are_named(figure: str, labels: list[str], study: Path) -> None:
    found = text(study / "figures" / f"{figure}.svg")
    labels += ["DP-SGD", "DP-PSASC"] if figure == "forest" else ["DP-SGD", "DP-PSASC", "My method"]
    labels += [] if figure in ("audit", "weights", "profile") else ["Digits"]
    assert [label for label in labels if label not in found] == []


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_text_is_text_and_in_an_embedded_font(figure: str, study: Path) -> None:
    assert "<text" in (study / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    pdf = (study / "figures" / f"{figure}.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, as publishers ask; Type 3 fonts they refuse
    assert b"/Type3" not in pdf


# Colour means other things in two, and of these data sets nothing has been published.
@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"robustness", "cost", "literature"}))
def test_a_method_has_the_same_colour_in_every_figure(figure: str, study: Path) -> None:
    svg = (study / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    looks = plots.Tables(study).looks
    shown = {"dp-psasc"} if figure == "forest" else looks.keys() - CONTROLS
    shown -= {"dp-sgd"} if figure == "differences" else set()
    assert [name for name in shown if looks[name].color not in svg] == []


OF_PAIRS = {"differences", "forest", "profile"}
OF_PRIVATE_RUNS = {*OF_PAIRS, "momentum", "norms", "deviation"}


@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"cost"}))
@pytest.mark.parametrize(
    ("part", "undrawable"),
    [
        ({"methods": ["mine"], "seeds": 1}, OF_PAIRS),
        (
            {
                "methods": ["dp-psasc", "nonprivate"],
                "status": lambda key: "done" if key[0] == "nonprivate" else "stale",
            },
            OF_PRIVATE_RUNS,
        ),
        (
            {"methods": ["dp-sgd", "mine"], "status": lambda key: "missing" if key[0] == "dp-sgd" else "done"},
            OF_PAIRS,
        ),
    ],
    ids=["one method and seed", "only a control", "no DP-SGD"],
)
def test_part_of_a_study_can_be_drawn_or_the_figure_says_why_not(
    figure: str, part: dict[str, Any], undrawable: set[str], tables: Tables
) -> None:
    found = written(figure, tables(**part))
    method = part["methods"][0 if figure in ("weights", "audit", "robustness") else -1]  # a control has none
    undrawable = undrawable | {"literature"}  # which has nothing of this data set
    assert ("Nothing to draw: " in found) == (figure in undrawable)
    assert figure in undrawable or TITLES[method] in found


@pytest.mark.parametrize("figure", ["accuracy", "convergence"])
def test_nothing_finished_is_said_with_what_became_of_the_runs(figure: str, tables: Tables) -> None:
    found = written(figure, tables(methods=["dp-sgd", "mine"], status=lambda _: "missing"))
    assert "Nothing to draw: no run has finished (12 missing)." in found


def test_an_unknown_figure_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no figure 'pie'; there are: forest, accuracy, differences, "):
        plots.draw_figure("pie", tmp_path, tmp_path)


# One is about no method; of this data set nothing has been published.
@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"cost", "literature"}))
def test_a_title_that_looks_like_mathematics_is_written_as_it_is(
    figure: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TITLES, "mine", r"$\Nonsense$ & <b>")  # as mathematics it would be an error
    found = written(figure, tables(methods=["dp-sgd", "mine"], datasets=["$\\nonsense$"], refuted=["mine"]))
    assert found.count("$\\Nonsense$") >= (1 if figure in ("weights", "profile") else 2)  # of all data sets in one
