"""Figures are drawn from small tables that the suite's own functions make of hand-made runs."""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import StepPatch

from psasc_bench import plots, results, statistics, style
from psasc_bench.tables import averages

Key = tuple[str, float, int]
Tables = Callable[..., Path]
TITLES = {
    "dp-sgd": "DP-SGD",
    "auto-s": "Auto-S",
    "dp-psasc": "DP-PSASC",
    "mine": "My method",
    "nonprivate": "non-private",
    "noise-only": "noise only",
}
CONTROLS = ("nonprivate", "noise-only")
SCHEDULES = [(1.0, 10), (0.25, 20)]
ACCURACY = {"nonprivate": 0.95, "noise-only": 0.1}
GREY = 0.02  # the largest difference between red, green and blue that the eye still takes for grey


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Writes the tables of a small study, as ``write`` does, and returns their folder."""
    return partial(write, tmp_path / "results")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete study, all of whose figures are drawn, in a folder ``figures``."""
    folder = write(tmp_path_factory.mktemp("study"))
    for figure in plots.FIGURES:
        plots.draw(figure, folder, folder / "figures")
    return folder


def write(
    folder: Path,
    *,
    methods: Iterable[str] = tuple(TITLES),
    datasets: Iterable[str] = ("digits",),
    seeds: int = 3,
    status: Callable[[Key], str] = lambda _: "done",
    refuted: Iterable[str] = (),
) -> Path:
    """``status`` says of each run, by method, epsilon and seed, what has become of it; the audit has ``refuted`` the
    claims of these methods."""
    runs, curves, weights, audits = [], [], [], []
    norm = np.logspace(-2, 1, 31)
    for dataset, method in itertools.product(datasets, methods):
        for epsilon, seed in itertools.product([math.inf] if method == "nonprivate" else [1.0, 8.0], range(seeds)):
            state = status((method, epsilon, seed))
            score = ACCURACY.get(method, 0.8) + (0.01 + 0.001 * len(method)) * seed
            key = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": dataset.title(), "method_title": TITLES[method], "status": state}
            result = score if state == "done" else np.nan
            runs.append(key | {"control": method in CONTROLS, "delta": 1e-5, "test_accuracy": result})
            if state in ("done", "diverged"):
                curves += [key | _epoch(epoch, score) for epoch in range(1, 6)]
        if method not in CONTROLS:
            columns = {"norm": norm, "weight": 0.1 / (norm + 0.01 * len(method)), "sensitivity": 0.1}
            weights.append(pd.DataFrame({"dataset": dataset, "method": method, **columns}))
    for (sampling_rate, steps), epsilon, method in itertools.product(SCHEDULES, [1.0, 8.0], methods):
        if method not in CONTROLS:
            key = {"epsilon": epsilon, "method": method, "method_title": TITLES[method], "refuted": method in refuted}
            key |= {"sampling_rate": sampling_rate, "steps": steps, "delta": 1e-5, "trials": 2000, "confidence": 0.999}
            bound = (1.5 if method in refuted else 0.9 - 0.01 * len(method)) * epsilon
            audits.append(key | {"epsilon_claimed": 0.95 * epsilon, "epsilon_lower": bound})
    table = pd.DataFrame(runs)
    frames = {"runs": table, "summary": results.summarise(table), "curves": pd.DataFrame(curves)}
    frames["weights"] = pd.concat(weights) if weights else pd.DataFrame()
    frames["audit"] = pd.DataFrame(audits)
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _epoch(epoch: int, score: float) -> dict[str, float]:
    norms = {"nonprivate_norm_q10": 0.1 / epoch, "nonprivate_norm_q50": 1.0, "nonprivate_norm_q90": 2.0}
    return {"epoch": epoch, "test_accuracy": score * epoch / 5, "nonprivate_train_loss": 2 / epoch, **norms}


def written(figure: str, folder: Path) -> str:
    """Draws a figure and returns all that is written in it."""
    plots.draw(figure, folder, folder / "figures")
    return text(folder / "figures" / f"{figure}.svg")


def text(svg: Path) -> str:
    # matplotlib leaves the source of formulas as comments
    found = re.findall(r"<!-- (.*?) -->|<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"), flags=re.DOTALL)
    return html.unescape(" ".join(" ".join(comment or plain for comment, plain in found).split()))


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_the_same_tables_give_the_same_bytes(figure: str, study: Path, tmp_path: Path) -> None:
    plots.draw(figure, study, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{figure}.pdf", f"{figure}.svg"]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (study / "figures" / path.name).read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(study: Path, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    plots.draw("weights", study, tmp_path)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("figure", "labels"),
    [
        ("weights", ["Gradient norm $x$", "Weight $w(x)/\\Delta$", "Contribution", "10th to 90th percentile"]),
        ("audit", ["Lower bound", "claim", "10^{-5}", "No subsampling, 10 steps", "rate 0.25", "2,000", "99.9 %"]),
        ("accuracy", ["Test accuracy (%)", "percentage points", "Privacy budget", "10^{-5}", "non-private", "3 seeds"]),
        ("convergence", ["Epoch", "Test accuracy (%)", "nats", "not private", "ε = 1", "ε = 8", "non-private"]),
    ],
)
def test_axes_and_methods_are_named(figure: str, labels: list[str], study: Path) -> None:
    found = text(study / "figures" / f"{figure}.svg")
    labels = [*labels, "DP-SGD", "DP-PSASC", "My method", *([] if figure == "audit" else ["Digits"])]
    assert [label for label in labels if label not in found] == []


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_text_is_text_and_in_an_embedded_font(figure: str, study: Path) -> None:
    assert "<text" in (study / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    pdf = (study / "figures" / f"{figure}.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, as publishers ask; Type 3 fonts they refuse
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_a_method_has_the_same_colour_in_every_figure(figure: str, study: Path) -> None:
    svg = (study / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    looks = plots.Tables(study).looks
    assert [name for name in looks if name not in CONTROLS and looks[name].color not in svg] == []


def test_every_method_looks_different() -> None:
    methods = [*style.KNOWN, *(f"new-{i}" for i in range(10)), *style.KNOWN_CONTROLS, "my-control"]
    looks = style.looks(methods, {*style.KNOWN_CONTROLS, "my-control"})
    assert list(looks) == methods
    assert len(set(looks.values())) == len(methods)
    assert len({(look.color, look.marker) for look in looks.values()}) == len(methods)


def test_first_unknown_methods_get_colours_of_their_own() -> None:
    looks = style.looks([*style.KNOWN, "new-1", "new-2", "new-3", "new-4"], set())
    assert len({look.color for look in looks.values()}) == len(looks)


def test_another_method_at_the_end_of_a_study_changes_no_look() -> None:
    before = style.looks(["new-1", "dp-sgd", "new-2"], set())
    after = style.looks(["new-1", "dp-sgd", "new-2", "dp-psasc", "new-3"], set())
    assert before.items() <= after.items()


def test_a_method_looks_the_same_whatever_the_others_are() -> None:
    assert style.looks(["dp-psasc"], set())["dp-psasc"] == style.looks(list(style.KNOWN), set())["dp-psasc"]


def test_only_controls_are_grey() -> None:
    looks = style.looks([*style.KNOWN, "new", "nonprivate", "my-control"], {"nonprivate", "my-control"})
    spread = {name: max(to_rgb(look.color)) - min(to_rgb(look.color)) for name, look in looks.items()}
    assert {name for name, value in spread.items() if value < GREY} == {"dp-sgd", "nonprivate", "my-control"}
    assert looks["dp-sgd"].color != looks["nonprivate"].color


def test_colours_are_told_apart_in_grey_print_or_by_marker() -> None:
    """Two methods whose greys are nearer than a tenth of the way from black to white differ in the marker."""
    looks = list(style.looks([*style.KNOWN, "new-1", "new-2", "new-3", "new-4"], set()).values())
    for i, first in enumerate(looks):
        for second in looks[i + 1 :]:
            assert abs(_grey(first.color) - _grey(second.color)) > 0.1 or first.marker != second.marker


def _grey(color: str) -> float:
    return float(np.dot(to_rgb(color), (0.2126, 0.7152, 0.0722)))  # luma, ITU-R BT.709


def test_unfinished_runs_are_counted_below_the_figure(tables: Tables) -> None:
    lost = {("auto-s", 1.0, 0): "missing", ("auto-s", 1.0, 1): "diverged", ("dp-sgd", 8.0, 0): "stale"}
    found = written("accuracy", tables(status=lambda key: lost.get(key, "done")))
    assert "Runs that enter no mean: 1 missing, 1 stale, 1 diverged." in found
    assert "1 to 3 seeds" in found


def test_a_complete_study_mentions_no_unfinished_runs(study: Path) -> None:
    assert "enter no mean" not in text(study / "figures" / "convergence.svg")


def test_a_control_far_below_is_written_instead_of_squashing_the_rest(study: Path) -> None:
    assert "Below the axis: noise only, 12 to 12 %" in text(study / "figures" / "accuracy.svg")
    assert plots.figure("accuracy", plots.Tables(study)).axes[0].get_ylim()[0] > 50


def test_a_control_near_the_contestants_is_drawn(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACCURACY, "noise-only", 0.78)
    found = written("accuracy", tables())
    assert "noise only" in found
    assert "Below the axis" not in found


@pytest.mark.parametrize("figure", plots.FIGURES)
@pytest.mark.parametrize(
    "part",
    [
        {"methods": ["mine"], "seeds": 1},
        {"methods": ["dp-psasc", "nonprivate"], "status": lambda key: "done" if key[0] == "nonprivate" else "stale"},
        {"methods": ["dp-sgd", "mine"], "status": lambda key: "missing" if key[0] == "dp-sgd" else "done"},
    ],
    ids=["one method and seed", "only a control", "no DP-SGD"],
)
def test_part_of_a_study_can_be_drawn(figure: str, part: dict[str, Any], tables: Tables) -> None:
    method = part["methods"][0 if figure in ("weights", "audit") else -1]  # a control has neither
    assert TITLES[method] in written(figure, tables(**part))


def test_more_data_sets_than_fit_side_by_side_go_below() -> None:
    figure, panels = style.panels(style.MOST_ABREAST + 1, 2)
    assert [len(column) for column in panels] == [2] * (style.MOST_ABREAST + 1)
    assert list(figure.axes) == sorted(itertools.chain(*panels), key=figure.axes.index)  # and no empty one is left
    assert panels[-1][0].get_position().y1 < panels[0][1].get_position().y0


def test_one_seed_has_no_interval_and_says_so(tables: Tables) -> None:
    assert "One seed, hence no interval." in written("accuracy", tables(methods=["dp-sgd"], seeds=1))


@pytest.mark.parametrize("figure", ["accuracy", "convergence"])
def test_nothing_finished_is_one_clear_error(figure: str, tables: Tables, tmp_path: Path) -> None:
    folder = tables(status=lambda _: "missing")
    with pytest.raises(ValueError, match=r"no run has finished, nothing to draw; `snakemake .*` trains them$"):
        plots.draw(figure, folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_weights_need_no_finished_run(tables: Tables) -> None:
    found = written("weights", tables(status=lambda _: "missing"))
    assert "DP-PSASC" in found
    assert "Bars" not in found


def test_audit_needs_no_finished_run(tables: Tables) -> None:
    assert "DP-PSASC" in written("audit", tables(status=lambda _: "missing"))


def test_nothing_audited_is_one_clear_error(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no method was audited, nothing to draw"):
        plots.draw("audit", tables(methods=["nonprivate"]), tmp_path / "figures")


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


def test_an_unknown_figure_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no figure 'pie'; there are: accuracy, audit, convergence, weights"):
        plots.draw("pie", tmp_path, tmp_path)


def test_points_are_the_summary_in_percent(study: Path) -> None:
    summary = pd.read_csv(study / "summary.csv").set_index(["method", "epsilon"])
    upper, lower = plots.figure("accuracy", plots.Tables(study)).axes
    marker = style.KNOWN["dp-psasc"].marker
    for axes, name in ((upper, "accuracy_mean"), (lower, "difference_mean")):
        (line,) = [line for line in axes.lines if line.get_marker() == marker]
        assert np.allclose(line.get_ydata(), 100 * summary.loc["dp-psasc", name])


def test_intervals_do_not_cover_each_other(study: Path) -> None:
    axes = plots.figure("accuracy", plots.Tables(study)).axes[0]
    places = np.concatenate([line.get_xdata() for line in axes.lines if line.get_linestyle() == "None"])
    assert len(places) == 8  # four contestants at two budgets
    assert np.diff(np.sort(places)).min() > 0.05


def test_bands_are_the_tables_own_t_intervals() -> None:
    curves = pd.DataFrame(
        {"dataset": "digits", "epsilon": 1.0, "method": "dp-sgd", "epoch": 1, "loss": [0.1, 0.4, 0.9]}
    )
    band = averages(curves["loss"], curves)["digits", 1.0, "dp-sgd"].loc[1]
    assert np.allclose(band[["mean", "low", "high"]], statistics.t_interval(curves["loss"].to_numpy()))


def test_what_a_diverged_run_did_is_not_drawn(tables: Tables) -> None:
    found = plots.Tables(tables(methods=["dp-sgd"], status=lambda key: "done" if key[2] else "diverged"))
    assert set(found.read("curves")["status"]) == {"done", "diverged"}
    assert set(found.curves["status"]) == {"done"}


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_a_title_that_looks_like_mathematics_is_written_as_it_is(
    figure: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TITLES, "mine", r"$\Nonsense$ & <b>")  # as mathematics it would be an error
    found = written(figure, tables(methods=["mine"], datasets=["$\\nonsense$"], refuted=["mine"]))
    assert found.count("$\\Nonsense$") >= 2
