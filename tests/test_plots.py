"""Figures are drawn from small tables that the suite's own functions make of hand-made runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from psasc_bench import plots, results, style

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
ACCURACY = {"nonprivate": 0.95, "noise-only": 0.1}
GREY = 0.02  # the largest difference between red, green and blue that the eye still takes for grey


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Writes the tables of a study in which every run has the status that ``status`` says, and returns their folder."""

    def make(
        *,
        methods: Iterable[str] = TITLES,
        datasets: Iterable[str] = ("digits",),
        seeds: int = 3,
        status: Callable[[str, float, int], str] = lambda method, epsilon, seed: "done",
    ) -> Path:
        runs, curves, weights = [], [], []
        for dataset in datasets:
            for method in methods:
                for epsilon in [math.inf] if method == "nonprivate" else [1.0, 8.0]:
                    for seed in range(seeds):
                        state = status(method, epsilon, seed)
                        score = ACCURACY.get(method, 0.8) + 0.01 * seed + 0.001 * len(method) * seed
                        key = {"dataset": dataset, "epsilon": epsilon, "method": method, "seed": seed}
                        key |= {"dataset_title": dataset.title(), "method_title": TITLES[method], "status": state}
                        result = score if state == "done" else np.nan
                        runs.append(key | {"control": method in CONTROLS, "delta": 1e-5, "test_accuracy": result})
                        if state in ("done", "diverged"):
                            curves += [key | _epoch(epoch, score) for epoch in range(1, 6)]
                if method not in CONTROLS:
                    norm = np.logspace(-2, 1, 31)
                    columns = {"norm": norm, "weight": 0.1 / (norm + 0.01 * len(method)), "sensitivity": 0.1}
                    weights.append(pd.DataFrame({"dataset": dataset, "method": method, **columns}))
        folder = tmp_path / "results"
        folder.mkdir(exist_ok=True)
        table = pd.DataFrame(runs)
        table.to_csv(folder / "runs.csv", index=False)
        results.summarise(table).to_csv(folder / "summary.csv", index=False)
        pd.DataFrame(curves).to_csv(folder / "curves.csv", index=False)
        pd.concat(weights).to_csv(folder / "weights.csv", index=False)
        return folder

    return make


def _epoch(epoch: int, score: float) -> dict[str, float]:
    norms = {"nonprivate_norm_q10": 0.1, "nonprivate_norm_q90": 2.0}
    return {"epoch": epoch, "test_accuracy": score * epoch / 5, "nonprivate_train_loss": 2 / epoch, **norms}


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str, Path], str]:
    """Draws a figure and returns all that is written in it."""

    def read(figure: str, folder: Path) -> str:
        plots.draw(figure, folder, tmp_path / "figures")
        svg = (tmp_path / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
        # matplotlib writes the source of each text, mathematics included, as a comment
        return " ".join(" ".join(re.findall(r"<!-- (.*?) -->", svg, flags=re.DOTALL)).split())

    return read


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_a_figure_is_written_for_screen_and_for_print(figure: str, tables: Tables, tmp_path: Path) -> None:
    plots.draw(figure, tables(), tmp_path / "figures")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [f"{figure}.pdf", f"{figure}.svg"]
    assert (tmp_path / "figures" / f"{figure}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_the_same_tables_give_the_same_bytes(figure: str, tables: Tables, tmp_path: Path) -> None:
    folder = tables()
    for output in ("first", "second"):
        plots.draw(figure, folder, tmp_path / output)
    for suffix in ("svg", "pdf"):
        first, second = (tmp_path / output / f"{figure}.{suffix}" for output in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_drawing_leaves_matplotlib_as_it_was(figure: str, tables: Tables, tmp_path: Path) -> None:
    before = dict(plots.matplotlib.rcParams)
    plots.draw(figure, tables(), tmp_path)
    assert dict(plots.matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("figure", "labels"),
    [
        ("weights", ["Gradient norm $x$", "Weight $w(x)/\\Delta$", "Contribution", "10 to 90 %"]),
        ("accuracy", ["Test accuracy (%)", "percentage points", "Privacy budget", "10^{-5}", "non-private", "3 seeds"]),
        ("convergence", ["Epoch", "Test accuracy (%)", "nats", "not private", "ε = 1", "ε = 8", "non-private"]),
    ],
)
def test_axes_and_methods_are_named(
    figure: str, labels: list[str], tables: Tables, text: Callable[[str, Path], str]
) -> None:
    found = text(figure, tables())
    assert [label for label in [*labels, "DP-SGD", "DP-PSASC", "My method", "Digits"] if label not in found] == []


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_text_is_text_and_in_an_embedded_font(figure: str, tables: Tables, tmp_path: Path) -> None:
    plots.draw(figure, tables(), tmp_path)
    assert "<text" in (tmp_path / f"{figure}.svg").read_text(encoding="utf-8")
    pdf = (tmp_path / f"{figure}.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, as publishers ask; Type 3 fonts they refuse
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("figure", plots.FIGURES)
def test_a_method_has_the_same_colour_in_every_figure(figure: str, tables: Tables, tmp_path: Path) -> None:
    folder = tables()
    plots.draw(figure, folder, tmp_path)
    svg = (tmp_path / f"{figure}.svg").read_text(encoding="utf-8")
    looks = plots.Tables(folder).looks
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


def test_unfinished_runs_are_counted_below_the_figure(tables: Tables, text: Callable[[str, Path], str]) -> None:
    def status(method: str, epsilon: float, seed: int) -> str:
        return {0: "missing", 1: "diverged"}.get(seed, "done") if (method, epsilon) == ("auto-s", 1.0) else "done"

    folder = tables(status=status)
    for figure in ("accuracy", "convergence"):
        assert "Runs that enter no mean: 1 missing, 1 diverged." in text(figure, folder)
        assert "1 to 3 seeds" in text(figure, folder)


def test_a_complete_study_mentions_no_unfinished_runs(tables: Tables, text: Callable[[str, Path], str]) -> None:
    assert "enter no mean" not in text("accuracy", tables())


def test_a_control_far_below_is_written_instead_of_squashing_the_rest(
    tables: Tables, text: Callable[[str, Path], str]
) -> None:
    folder = tables()
    assert "Below the axis: noise only, 12 to 12 %" in text("accuracy", folder)
    with plots.matplotlib.rc_context(style.settings()):
        figure = plots.accuracy(plots.Tables(folder))
    assert figure.axes[0].get_ylim()[0] > 50


def test_a_control_near_the_contestants_is_drawn(
    tables: Tables, text: Callable[[str, Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ACCURACY, "noise-only", 0.78)
    found = text("accuracy", tables())
    assert "noise only" in found
    assert "Below the axis" not in found


@pytest.mark.parametrize("figure", plots.FIGURES)
@pytest.mark.parametrize(
    "part",
    [
        {"methods": ["dp-sgd"]},
        {"methods": ["mine"]},
        {"methods": ["dp-psasc", "nonprivate"]},
        {"seeds": 1},
        {"datasets": ["digits", "mnist", "fashion", "cifar"]},
        {"status": lambda method, epsilon, seed: "done" if epsilon == 8 else "missing"},
        {"status": lambda method, epsilon, seed: "done" if method == "nonprivate" else "stale"},
        {"status": lambda method, epsilon, seed: "missing" if method == "dp-sgd" else "done"},
    ],
    ids=["reference", "one", "no-reference", "one-seed", "four-datasets", "one-budget", "only-control", "no-dp-sgd"],
)
def test_part_of_a_study_can_be_drawn(
    figure: str, part: dict, tables: Tables, text: Callable[[str, Path], str]
) -> None:
    assert text(figure, tables(**part))


def test_one_seed_has_no_interval_and_says_so(tables: Tables, text: Callable[[str, Path], str]) -> None:
    assert "One seed, hence no interval." in text("accuracy", tables(seeds=1))


@pytest.mark.parametrize("figure", ["accuracy", "convergence"])
def test_nothing_finished_is_one_clear_error(figure: str, tables: Tables, tmp_path: Path) -> None:
    folder = tables(status=lambda method, epsilon, seed: "missing")
    with pytest.raises(ValueError, match=r"no run has finished, nothing to draw; `snakemake .*` trains them$"):
        plots.draw(figure, folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_weights_need_no_finished_run(tables: Tables, text: Callable[[str, Path], str]) -> None:
    found = text("weights", tables(status=lambda method, epsilon, seed: "missing"))
    assert "DP-PSASC" in found
    assert "Shaded" not in found


def test_an_unknown_figure_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no figure 'pie'; there are: accuracy, convergence, weights"):
        plots.draw("pie", tmp_path, tmp_path)


def test_points_are_the_summary_in_percent(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "dp-psasc"])
    summary = pd.read_csv(folder / "summary.csv").set_index(["method", "epsilon"])
    with plots.matplotlib.rc_context(style.settings()):
        figure = plots.accuracy(plots.Tables(folder))
    upper, lower = figure.axes
    drawn = {line.get_color(): line.get_ydata() for line in upper.lines if line.get_marker() in ("o", "v")}
    assert len(upper.collections) == 2
    for method, look in plots.Tables(folder).looks.items():
        line = next(line for line in upper.lines if line.get_marker() == look.marker)
        assert np.allclose(line.get_ydata(), 100 * summary.loc[method, "accuracy_mean"])
    assert drawn
    difference = next(line for line in lower.lines if line.get_marker() == "v")
    assert np.allclose(difference.get_ydata(), 100 * summary.loc["dp-psasc", "difference_mean"])


def test_bands_are_the_tables_own_t_intervals() -> None:
    curves = pd.DataFrame(
        {"dataset": "digits", "epsilon": 1.0, "method": "dp-sgd", "epoch": 1, "loss": [0.1, 0.4, 0.9]}
    )
    band = plots._averages(curves["loss"], curves)["digits", 1.0, "dp-sgd"].loc[1]
    assert np.allclose(band[["mean", "low", "high"]], results.t_interval(curves["loss"].to_numpy()))


def test_what_a_diverged_run_did_is_not_drawn(tables: Tables) -> None:
    folder = tables(status=lambda method, epsilon, seed: "diverged" if seed == 0 else "done")
    assert set(plots.Tables(folder).read("curves")["status"]) == {"done", "diverged"}
    assert set(plots.Tables(folder).curves["status"]) == {"done"}


def test_names_that_look_like_mathematics_are_written_as_they_are(
    tables: Tables, text: Callable[[str, Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TITLES, "mine", r"costs $5 & \alpha $6")
    for figure in plots.FIGURES:
        assert text(figure, tables())
