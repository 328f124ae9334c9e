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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from scipy import stats

from psasc_bench.analysis import literature, results, statistics
from psasc_bench.report import figures, layout, plots, style
from psasc_bench.report.tables import averages

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
EPOCHS, STEPS = 5, 100
COSTS = [
    {"model": model, "batch": 64, "contestant": name, "median": median, "q25": 0.9 * median, "q75": 1.1 * median}
    for model, medians in {"small": [1.0, 1.5, 3.0], "large": [1.0, 1.1, np.nan]}.items()
    for name, median in zip(["plain", "psasc-bench", "other"], medians, strict=True)
]
# What is left of linear red, green and blue (Machado, Oliveira and Fernandes, 2009, at full severity).
SIMULATED = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of linear sRGB
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
        plots.draw_figure(figure, folder, folder / "figures")
    return folder


def write(
    folder: Path,
    *,
    methods: Iterable[str] = tuple(TITLES),
    datasets: Iterable[str] = ("digits",),
    epsilons: Iterable[float] = (1.0, 8.0),
    seeds: int = 3,
    status: Callable[[Key], str] = lambda _: "done",
    refuted: Iterable[str] = (),
) -> Path:
    """``status`` says of each run, by method, epsilon and seed, what has become of it; the audit has ``refuted`` the
    claims of these methods."""
    contestants = [method for method in methods if method not in CONTROLS]
    runs, curves = [], []
    for dataset, method in itertools.product(datasets, methods):
        for epsilon, seed in itertools.product([math.inf] if method == "nonprivate" else epsilons, range(seeds)):
            state = status((method, epsilon, seed))
            score = ACCURACY.get(method, 0.8) + (0.01 + 0.001 * len(method)) * seed
            key = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
            key |= {"dataset_title": dataset.title(), "method_title": TITLES.get(method, method), "status": state}
            result = score if state == "done" else np.nan
            columns = {"control": method in CONTROLS, "delta": 1e-5, "test_accuracy": result, "steps_taken": STEPS}
            runs.append(key | columns)
            if state in ("done", "diverged"):
                curves += [key | _epoch(epoch, score) for epoch in range(1, EPOCHS + 1)]
    table = pd.DataFrame(runs)
    frames = {
        "runs": table,
        "summary": results.summarise(table),
        "curves": pd.DataFrame(curves),
        "weights": _weights(datasets, contestants),
        "audit": _audit(contestants, refuted),
        "deviation": _deviation(datasets, contestants, epsilons),
        "sweeps": _sweeps(table[~table["control"]]),
        "cost": pd.DataFrame(COSTS),
    }
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _epoch(epoch: int, score: float) -> dict[str, float]:
    norms = {"norm_q10": 0.1 / epoch, "norm_q50": score, "norm_q90": 2.0, "below_peak": 0.1 * epoch}
    measured = {"cosine": score / epoch, "relative_error": 1 - score / epoch} if epoch % 2 else {}
    columns = {"train_loss": 2 / epoch, "signal_to_noise": 1 / epoch, **norms, **measured}
    return {"epoch": epoch, "test_accuracy": score * epoch / EPOCHS, **_nonprivate(columns)}


def _nonprivate(columns: dict[str, float]) -> dict[str, float]:
    return {f"nonprivate_{name}": value for name, value in columns.items()}


def _weights(datasets: Iterable[str], methods: Iterable[str]) -> pd.DataFrame:
    """Weights that fall, but for that of DP-PSASC, which peaks at ``sqrt(.25) - .1``."""
    norm = np.logspace(-2, 1, 31)
    frames = []
    for dataset, method in itertools.product(datasets, methods):
        beside = 0.25 / (norm + 0.1) if method == "dp-psasc" else 0.01 * len(method)
        columns = {"norm": norm, "weight": 0.1 / (norm + beside), "sensitivity": 0.1}
        frames.append(pd.DataFrame({"dataset": dataset, "method": method, **columns}))
    return pd.concat(frames) if frames else pd.DataFrame()


def _audit(methods: Iterable[str], refuted: Iterable[str]) -> pd.DataFrame:
    rows = []
    for (sampling_rate, steps), epsilon, method in itertools.product(SCHEDULES, [1.0, 8.0], methods):
        key = {
            "epsilon": epsilon,
            "method": method,
            "method_title": TITLES.get(method, method),
            "refuted": method in refuted,
        }
        key |= {"sampling_rate": sampling_rate, "steps": steps, "delta": 1e-5, "trials": 2000, "confidence": 0.999}
        bound = (1.5 if method in refuted else 0.9 - 0.01 * len(method)) * epsilon
        rows.append(key | {"epsilon_claimed": 0.95 * epsilon, "epsilon_lower": bound})
    return pd.DataFrame(rows)


def _deviation(datasets: Iterable[str], methods: Iterable[str], epsilons: Iterable[float]) -> pd.DataFrame:
    keys = ["dataset", "method", "epsilon", "seed", "epoch"]
    rows = itertools.product(datasets, methods, epsilons, [0, 1], range(1, EPOCHS + 1))
    table = pd.DataFrame(rows, columns=keys)
    cosine = 1 / table["epoch"] - 0.1 * table["seed"] if len(table) else None
    return table.assign(trajectory="dp-sgd", cosine=cosine, relative_error=0.5)


def _sweeps(runs: pd.DataFrame) -> pd.DataFrame:
    """Of every contestant a grid of rates and ``r`` at the first epsilon, and inner momentum at the last: as many
    steps as the study's runs, and half as many."""
    cell = ["dataset", "dataset_title", "method", "method_title"]
    rows: list[dict[str, Any]] = []
    for key in runs[cell].drop_duplicates().to_dict("records"):
        own = runs[(runs["dataset"] == key["dataset"]) & (runs["method"] == key["method"])]
        key |= {"status": "done", "sensitivity": 0.1}
        for rate, r, seed in itertools.product([0.5, 1.0], [0.1, 1.0], [100, 101]):
            trial = {"sweep": "tuning", "evaluation": "validation", "settings": f"learning_rate={rate:g},r={r:g}"}
            columns = {"epsilon": own["epsilon"].min(), "seed": seed, "learning_rate": rate, "r": r}
            rows.append(key | trial | columns | {"accuracy": 0.9 - 0.008 * rate - 0.02 * r + 0.0001 * seed})
        for steps, seed in itertools.product([STEPS, STEPS // 2], own["seed"].unique()):
            settings = "decay=0.5,iterates=2" + ("" if steps == STEPS else ",epochs=2")
            trial = {"sweep": "momentum", "evaluation": "test", "settings": settings, "iterates": 2, "decay": 0.5}
            columns = {"epsilon": own["epsilon"].max(), "seed": seed, "steps_taken": steps}
            rows.append(key | trial | columns | {"accuracy": 0.8 - 0.01 * seed + steps / 10000})
    return pd.DataFrame(rows)


def written(figure: str, folder: Path) -> str:
    """Draws a figure and returns all that is written in it."""
    plots.draw_figure(figure, folder, folder / "figures")
    return text(folder / "figures" / f"{figure}.svg")


def text(svg: Path) -> str:
    # matplotlib leaves the source of formulas as comments
    found = re.findall(r"<!-- (.*?) -->|<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"), flags=re.DOTALL)
    return html.unescape(" ".join(" ".join(comment or plain for comment, plain in found).split()))


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_the_same_tables_give_the_same_bytes(figure: str, study: Path, tmp_path: Path) -> None:
    plots.draw_figure(figure, study, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{figure}.pdf", f"{figure}.svg"]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (study / "figures" / path.name).read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(study: Path, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    plots.draw_figure("weights", study, tmp_path)
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


# Colour means other things in two, and of these data sets nothing has been published.
@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"robustness", "cost", "literature"}))
def test_a_method_has_the_same_colour_in_every_figure(figure: str, study: Path) -> None:
    svg = (study / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
    looks = plots.Tables(study).looks
    shown = looks.keys() - CONTROLS - ({"dp-sgd"} if figure == "differences" else set())
    assert [name for name in shown if looks[name].color not in svg] == []


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables as wide as those of the study that is shipped: of six contestants, on data sets with long names."""
    methods = ("dp-sgd", "auto-s", "nsgd", "dp-psac", "dp-psasc", "dp-psasc-inner", *CONTROLS)
    datasets = ("digits", "fashion-mnist", "mnist", "cifar-10 scattering (rebuilt copy)")
    return write(tmp_path_factory.mktemp("wide"), methods=methods, datasets=datasets, epsilons=(1.0, 2.0, 3.0, 8.0))


@pytest.mark.parametrize("name", plots.FIGURES)
def test_nothing_is_cut_off_and_no_heading_runs_into_the_next(name: str, wide: Path) -> None:
    with style.applied():
        drawn = plots.figure(name, plots.Tables(wide))
        layout.lay_out(drawn)
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
    headings = [axes.title if axes.get_title("center") else axes._left_title for axes in drawn.axes]
    labels = [axis.label for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)]
    legends = [text for legend in drawn.legends for text in legend.get_texts()]
    boxes = {
        text: text.get_window_extent(canvas.get_renderer())
        for text in [*headings, *labels, *legends, *drawn.texts]
        if text.get_text() and text.get_visible()
    }
    for text, box in boxes.items():
        assert min(*box.min, *(drawn.bbox.max - box.max)) > -1, text.get_text()  # pixels
    for one, other in itertools.combinations([heading for heading in headings if heading in boxes], 2):
        assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())


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


def test_the_interval_of_a_yardstick_does_not_widen_the_axis(tables: Tables) -> None:
    folder = tables()
    before = plots.figure("accuracy", plots.Tables(folder)).axes[0].get_ylim()
    summary = pd.read_csv(folder / "summary.csv")
    summary.loc[summary["method"] == "nonprivate", ["accuracy_low", "accuracy_high"]] = -1, 3
    summary.to_csv(folder / "summary.csv", index=False)
    assert plots.figure("accuracy", plots.Tables(folder)).axes[0].get_ylim() == before


def test_a_control_near_the_contestants_is_drawn(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACCURACY, "noise-only", 0.78)
    found = written("accuracy", tables())
    assert "noise only" in found
    assert "Below the axis" not in found


OF_PRIVATE_RUNS = {"differences", "momentum", "norms", "deviation"}


@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"cost"}))
@pytest.mark.parametrize(
    ("part", "undrawable"),
    [
        ({"methods": ["mine"], "seeds": 1}, {"differences"}),
        (
            {
                "methods": ["dp-psasc", "nonprivate"],
                "status": lambda key: "done" if key[0] == "nonprivate" else "stale",
            },
            OF_PRIVATE_RUNS,
        ),
        (
            {"methods": ["dp-sgd", "mine"], "status": lambda key: "missing" if key[0] == "dp-sgd" else "done"},
            {"differences"},
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
    assert ("Nothing to draw: no " in found) == (figure in undrawable)
    assert (TITLES[method] in found) == (figure not in undrawable)


def test_more_data_sets_than_fit_side_by_side_go_below() -> None:
    figure, panels = layout.panels(layout.MOST_ABREAST + 1, 2)
    assert [len(column) for column in panels] == [2] * (layout.MOST_ABREAST + 1)
    assert list(figure.axes) == sorted(itertools.chain(*panels), key=figure.axes.index)  # and no empty one is left
    assert panels[-1][0].get_position().y1 < panels[0][1].get_position().y0


def test_one_seed_has_no_interval_and_says_so(tables: Tables) -> None:
    assert "One seed, hence no interval." in written("accuracy", tables(methods=["dp-sgd"], seeds=1))


@pytest.mark.parametrize("figure", ["accuracy", "convergence", "norms", "deviation"])
def test_nothing_finished_is_one_clear_error(figure: str, tables: Tables, tmp_path: Path) -> None:
    folder = tables(status=lambda _: "missing")
    with pytest.raises(ValueError, match=r"no run has finished, nothing to draw; `snakemake .*` trains them$"):
        plots.draw_figure(figure, folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_weights_need_no_finished_run(tables: Tables) -> None:
    found = written("weights", tables(status=lambda _: "missing"))
    assert "DP-PSASC" in found
    assert "Bars" not in found


def test_audit_needs_no_finished_run(tables: Tables) -> None:
    assert "DP-PSASC" in written("audit", tables(status=lambda _: "missing"))


def test_nothing_audited_is_one_clear_error(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no method was audited, nothing to draw"):
        plots.draw_figure("audit", tables(methods=["nonprivate"]), tmp_path / "figures")


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
    with pytest.raises(ValueError, match="no figure 'pie'; there are: accuracy, audit, convergence, "):
        plots.draw_figure("pie", tmp_path, tmp_path)


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


# One is about no method; of this data set nothing has been published.
@pytest.mark.parametrize("figure", sorted(plots.FIGURES.keys() - {"cost", "literature"}))
def test_a_title_that_looks_like_mathematics_is_written_as_it_is(
    figure: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TITLES, "mine", r"$\Nonsense$ & <b>")  # as mathematics it would be an error
    found = written(figure, tables(methods=["dp-sgd", "mine"], datasets=["$\\nonsense$"], refuted=["mine"]))
    assert found.count("$\\Nonsense$") >= 2


def test_every_module_of_figures_is_in_the_catalogue_with_a_caption() -> None:
    modules = {path.stem for path in Path(figures.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(figures.FIGURES) == modules
    assert all(plan.caption.endswith(".") for plan in figures.FIGURES.values())


def test_the_catalogue_names_the_tables_that_a_figure_reads(study: Path, tmp_path: Path) -> None:
    for name, plan in figures.FIGURES.items():
        folder = tmp_path / name
        folder.mkdir()
        for table in (*plan.tables, *plan.needs, *plan.shows):
            if (study / f"{table}.csv").exists():
                (folder / f"{table}.csv").write_bytes((study / f"{table}.csv").read_bytes())
        plots.draw_figure(name, folder, tmp_path / "figures")
        assert (tmp_path / "figures" / f"{name}.svg").read_bytes() == (study / f"figures/{name}.svg").read_bytes()


@pytest.mark.parametrize(
    ("figure", "remedy"), [("robustness", "tune"), ("momentum", "sweeps"), ("cost", "step_cost.py")]
)
def test_a_figure_whose_table_nobody_asked_for_names_the_command(
    figure: str, remedy: str, tables: Tables, tmp_path: Path
) -> None:
    folder = tables()
    for table in figures.REQUESTED:
        (folder / f"{table}.csv").unlink(missing_ok=True)
    assert figure not in figures.drawable(folder)
    with pytest.raises(ValueError, match=rf"^{figure}: needs .*\.csv, which `[^`]*{remedy}[^`]*` makes$"):
        plots.draw_figure(figure, folder, tmp_path / "figures")


def test_published_accuracies_stand_beside_ours_hollow_with_their_sources(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "auto-s"], datasets=["fashion_mnist"], epsilons=[3.0])
    axes = plots.figure("accuracy", plots.Tables(folder)).axes[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    published = literature.published()
    for method in ("dp-sgd", "auto-s"):
        of_one = (published["dataset"] == "fashion_mnist") & (published["method"] == method)
        color = style.KNOWN[method].color
        found = [value for line in hollow if line.get_markeredgecolor() == color for value in line.get_ydata()]
        assert sorted(found) == sorted(published.loc[of_one, "accuracy"])
    assert "(AdaSig 2025, Auto-S 2023, R+R Auto-S 2024, Tramer & Boneh 2021)" in written("accuracy", folder)


def test_each_published_accuracy_has_a_row_below_ours(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "auto-s", "nonprivate"], datasets=["mnist", "digits"], epsilons=[1.0, 3.0])
    (axes,) = plots.figure("literature", plots.Tables(folder)).axes
    rows = {
        round(place): label.get_text() for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    }
    sources = ["AdaSig 2025", "Auto-S 2023", "R+R Auto-S 2024"]
    wanted = ["DP-SGD, ε = 3: ours", *sources, "Tramer & Boneh 2021", "Auto-S, ε = 3: ours", *sources]
    assert [rows[-y] for y in range(len(rows))] == wanted
    means = {round(line.get_ydata()[0]): line for line in axes.lines if line.get_marker() not in ("None", "")}
    published = literature.published().set_index(["dataset", "epsilon", "method", "source"])["accuracy"]
    summary = pd.read_csv(folder / "summary.csv").set_index(["dataset", "epsilon", "method"])["accuracy_mean"]
    assert means[0].get_xdata()[0] == pytest.approx(100 * summary["mnist", 3, "dp-sgd"])
    assert means[-2].get_xdata()[0] == published["mnist", 3, "dp-sgd", "Auto-S 2023"]
    assert means[-6].get_xdata()[0] == published["mnist", 3, "auto-s", "AdaSig 2025"]
    assert (means[0].get_markerfacecolor(), means[-2].get_markerfacecolor()) == (style.KNOWN["dp-sgd"].color, "white")
    assert means[-6].get_markeredgecolor() == style.KNOWN["auto-s"].color
    # hand-made accuracies of .81 to .85: far from all that is published, but what has no interval cannot be apart
    assert [text.get_text().endswith("apart") for text in axes.texts] == [True, True, True, False, True, True, True]


def test_without_published_accuracies_none_are_spoken_of(study: Path) -> None:
    assert "Hollow" not in text(study / "figures" / "accuracy.svg")


def test_convergence_has_a_panel_for_each_data_set_and_budget(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["first", "second"])
    drawn = plots.figure("convergence", plots.Tables(folder))
    upper = [axes for axes in drawn.axes if title(axes)]
    titles = [title(axes) for axes in upper]
    assert titles == ["First, ε = 1", "First, ε = 8", "Second, ε = 1", "Second, ε = 8"]
    assert upper[0].get_ylim() == upper[1].get_ylim()
    curves = pd.read_csv(folder / "curves.csv")
    mine = curves[(curves["dataset"] == "second") & (curves["epsilon"] == 8) & (curves["method"] == "mine")]
    (line,) = marked(upper[3], "mine")
    assert np.allclose(line.get_ydata(), 100 * mine.groupby("epoch")["test_accuracy"].mean())


def title(axes: Axes) -> str:
    return axes.get_title(loc=matplotlib.rcParams["axes.titlelocation"])


def marked(axes: Axes, method: str, methods: Iterable[str] = TITLES) -> list[Line2D]:
    """The lines with the method's marker."""
    look = style.looks(list(methods), set(CONTROLS))[method]
    return [line for line in axes.lines if line.get_marker() == look.marker]


def test_what_has_no_run_is_named_once(tmp_path: Path) -> None:
    gone = {("dp-sgd", 1.0), ("mine", 1.0), ("mine", 8.0)}
    folder = write(
        tmp_path / "results", methods=["dp-sgd", "mine"], status=lambda key: "missing" if key[:2] in gone else "done"
    )
    assert plots.Tables(folder).gaps() == ["No finished run: Digits (ε = 1; My method at ε = 8)."]


def test_a_data_set_without_a_run_is_left_out_and_named(tables: Tables) -> None:
    folder = tables(datasets=["digits", "empty"])
    for name in ("runs", "curves"):
        table = pd.read_csv(folder / f"{name}.csv")
        gone = table["dataset"] == "empty"
        table = table[~gone] if name == "curves" else table.assign(status=table["status"].mask(gone, "missing"))
        table.to_csv(folder / f"{name}.csv", index=False)
    results.summarise(pd.read_csv(folder / "runs.csv")).to_csv(folder / "summary.csv", index=False)
    for figure in ("accuracy", "convergence", "differences", "norms", "deviation", "weights"):
        found = written(figure, folder)
        assert found.count("Empty") == 1, figure
        assert "No finished run: Empty." in found or "Without a finished run: Empty." in found


def test_weights_stand_above_the_norms_of_the_first_and_the_last_epoch(study: Path) -> None:
    curves = pd.read_csv(study / "curves.csv").query("method == 'dp-sgd'")
    _, _, bars = plots.figure("weights", plots.Tables(study)).axes
    segments = np.concatenate([lines.get_segments() for lines in bars.collections if _is(lines, "dp-sgd")])
    for epoch, ((low, _), (high, _)) in zip([1, EPOCHS], segments, strict=True):
        at = curves[curves["epoch"] == epoch]
        assert np.isclose(low, stats.gmean(at["nonprivate_norm_q10"]))
        assert np.isclose(high, stats.gmean(at["nonprivate_norm_q90"]))


def _is(lines: LineCollection, method: str) -> bool:
    return bool(np.allclose(lines.get_edgecolor()[0][:3], to_rgb(style.KNOWN[method].color)))


def test_differences_are_the_summarys_with_their_intervals_in_the_margin_of_a_tie(study: Path) -> None:
    summary = pd.read_csv(study / "summary.csv").set_index(["method", "epsilon"])
    (axes,) = plots.figure("differences", plots.Tables(study)).axes
    found = [line.get_xdata()[0] for line in marked(axes, "mine")]
    assert np.allclose(found, 100 * summary.loc["mine", "difference_mean"])
    segments = np.concatenate([lines.get_segments() for lines in axes.collections if len(lines.get_segments())])
    ends = 100 * summary.loc[["auto-s", "dp-psasc", "mine"], ["difference_low", "difference_high"]]
    assert np.allclose(np.sort(segments[:, :, 0].ravel()), np.sort(ends.to_numpy().ravel()))
    (margin,) = axes.patches
    assert np.allclose([margin.get_x(), margin.get_width()], [-0.2, 0.4])


def test_differences_say_p_and_verdict(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine", "dp-psasc"], seeds=8)
    summary = pd.read_csv(folder / "summary.csv")
    told = dict(zip(summary["verdict"], summary["difference_p_holm"], strict=True))
    assert "better" in told
    assert f"p {results.p_text(told['better'])}, better" in written("differences", folder)


def test_one_pair_has_no_interval_and_a_missing_one_no_point(tables: Tables) -> None:
    missing = ("mine", 8)
    folder = tables(
        methods=["dp-sgd", "mine", "dp-psasc"], seeds=1, status=lambda key: "missing" if key[:2] == missing else "done"
    )
    (axes,) = plots.figure("differences", plots.Tables(folder)).axes
    assert [text.get_text() for text in axes.texts] == ["one pair", "one pair", "one pair", "no pair"]
    assert not any(len(segment) for lines in axes.collections for segment in lines.get_segments())


def test_one_data_set_can_be_drawn_alone(tables: Tables) -> None:
    folder = tables(datasets=["digits", "mnist"])
    for dataset, panels in ((None, 4), ("mnist", 2)):
        assert len(plots.figure("accuracy", plots.Tables(folder, dataset)).axes) == panels


def test_budget_that_has_not_begun_is_not_spelt_out_row_by_row(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], seeds=1, status=lambda key: "missing" if key[1] == 8 else "done")
    (axes,) = plots.figure("differences", plots.Tables(folder)).axes
    assert [text.get_text() for text in axes.texts] == ["one pair"]


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


def test_deviation_is_drawn_along_the_shared_run_and_along_its_own(study: Path) -> None:
    tables = plots.Tables(study)
    axes = plots.figure("deviation", tables).axes[::2]  # of the first budget
    assert [panel.get_ylabel().split(",")[0] for panel in axes][:4] == ["Cosine", "Relative error"] * 2
    for panel, table, column in (
        (axes[0], tables.read("deviation"), "cosine"),
        (axes[2], tables.curves, "nonprivate_cosine"),
        (axes[4], tables.curves, "nonprivate_signal_to_noise"),
    ):
        rows = table[(table["epsilon"] == 1) & (table["method"] == "mine")]
        (line,) = marked(panel, "mine")
        assert np.allclose(line.get_ydata(), rows.groupby("epoch")[column].mean().dropna())


def test_deviation_shows_the_budgets_that_have_a_shared_run(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "mine"], datasets=["digits", "mnist"], epsilons=[1.0, 3.0, 8.0])
    measured = pd.read_csv(folder / "deviation.csv")
    here = (measured["dataset"] == "digits") & (measured["epsilon"] == 3)
    measured[here].to_csv(folder / "deviation.csv", index=False)
    drawn = plots.figure("deviation", plots.Tables(folder))
    titles = [title(axes) for axes in drawn.axes if title(axes)]
    assert titles == ["Digits\nε = 3", "Mnist\nε = 1", "Mnist\nε = 8"]


def test_deviation_without_a_shared_run_says_how_to_get_one(tables: Tables) -> None:
    folder = tables()
    (folder / "deviation.csv").unlink()
    found = written("deviation", folder)
    assert "Not measured along a shared run: `snakemake" in found
    assert "shared run Cosine" not in found


def test_robustness_has_the_mean_of_each_setting_and_the_share_near_the_best(study: Path) -> None:
    """Of the fixture's grid, two of four settings are within a point: those with the smaller r."""
    drawn = plots.figure("robustness", plots.Tables(study))
    grid = pd.read_csv(study / "sweeps.csv").query("method == 'mine' and evaluation == 'validation'")
    means = 100 * grid.pivot_table(index="learning_rate", columns="r", values="accuracy")
    panels = [axes for axes in drawn.axes if axes.images]
    (mine,) = [axes for axes in panels if title(axes) == "My method: 50 %"]
    assert np.allclose(mine.images[0].get_array(), means)
    assert [text.get_text() for text in mine.texts] == [f"{mean:.1f}" for mean in means.to_numpy().ravel()]
    assert len({(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in panels}) == 1  # of one data set


def test_robustness_marks_settings_without_a_result_and_leaves_those_not_tried_blank(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"])
    sweeps = pd.read_csv(folder / "sweeps.csv")
    trial = sweeps["settings"] == "learning_rate=1,r=0.1"
    sweeps.loc[trial & (sweeps["seed"] == 100), "status"] = "diverged"
    sweeps = sweeps[sweeps["settings"] != "learning_rate=0.5,r=1"]
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    axes = plots.figure("robustness", plots.Tables(folder)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["90.4", "\N{MULTIPLICATION SIGN}", "88.2"]
    assert "Runs that enter no mean: 1 diverged." in written("robustness", folder)


def test_sweeps_without_a_result_are_drawn_as_that(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"])
    sweeps = pd.read_csv(folder / "sweeps.csv").assign(status="missing", accuracy=np.nan)
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    for figure in ("robustness", "momentum"):
        assert "Nothing to draw: no sweep has" in written(figure, folder)


def test_momentum_is_compared_with_the_study_at_equal_steps_and_at_equal_computing(study: Path) -> None:
    runs = pd.read_csv(study / "runs.csv").query("method == 'dp-psasc' and epsilon == 8").set_index("seed")
    sweeps = pd.read_csv(study / "sweeps.csv").query("method == 'dp-psasc' and evaluation == 'test'")
    steps, compute = plots.figure("momentum", plots.Tables(study)).axes
    for axes, taken in ((steps, STEPS), (compute, STEPS // 2)):
        tested = sweeps[sweeps["steps_taken"] == taken].set_index("seed")["accuracy"]
        mean, low, high = statistics.t_interval(100 * (tested - runs["test_accuracy"]).to_numpy())
        (point,) = marked(axes, "dp-psasc")
        (interval,) = [lines.get_segments()[0] for lines in axes.collections if _is(lines, "dp-psasc")]
        assert np.allclose(point.get_ydata(), mean)
        assert np.allclose(interval[:, 1], [low, high])


def test_momentum_leaves_out_what_differs_in_more(tables: Tables) -> None:
    folder = tables()
    sweeps = pd.read_csv(folder / "sweeps.csv")
    sweeps.loc[sweeps["steps_taken"] == STEPS, "settings"] = "decay=0.5,iterates=2,learning_rate=9"
    sweeps.to_csv(folder / "sweeps.csv", index=False)
    (compute,) = plots.figure("momentum", plots.Tables(folder)).axes
    assert title(compute).endswith("equal computing")


def test_cost_has_a_panel_per_model_and_says_what_was_not_measured(study: Path) -> None:
    small, large = plots.figure("cost", plots.Tables(study)).axes
    assert [title(axes) for axes in (small, large)] == ["small, batch 64", "large, batch 64"]
    assert sorted(value for line in small.lines[:2] for value in line.get_xdata()) == [1.0, 1.5, 3.0]
    assert [text.get_text() for text in large.texts] == ["1.00", "1.10", "none"]


@pytest.mark.parametrize("deficiency", SIMULATED)
def test_colours_of_known_methods_are_told_apart_by_the_colour_blind(deficiency: str) -> None:
    """A difference of 10 in CIE Lab is seen at a glance; 2.3 is just noticeable."""
    seen = [_lab(np.array(SIMULATED[deficiency]) @ _linear(look.color)) for look in style.KNOWN.values()]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 10


def _linear(color: str) -> Any:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: Any) -> Any:
    """CIE Lab of linear sRGB, under its white point D65."""
    xyz = XYZ @ np.clip(linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
