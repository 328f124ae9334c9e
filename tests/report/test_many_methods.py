"""A study of more methods than can be told apart side by side: rows of them, several panels, shared lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from figure_tables import CONTROLS, Tables, write_tables, written
from matplotlib.axes import Axes

from psasc_bench.report import by_method, plots, style
from psasc_bench.study import load_study

METHODS = ("dp-sgd", "auto-s", "dp-psasc", *(f"own-{letter}" for letter in "abcdefgh"))
EPSILONS = (1.0, 3.0, 8.0)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    return write_tables(folder, methods=(*METHODS, *CONTROLS), epsilons=EPSILONS, refuted=["own-h"])


def drawn(name: str, folder: Path) -> list[Axes]:
    return plots.figure(name, plots.Tables(folder)).axes


def points(axes: Axes) -> dict[float, float]:
    """What is marked in a panel of rows, by its row; arrowheads are at the ends of the axis."""
    ends = axes.get_xlim()
    marks = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_xdata()[0] not in ends]
    return {float(line.get_ydata()[0]): float(line.get_xdata()[0]) for line in marks}


def test_up_to_eight_methods_stand_side_by_side(tables: Tables) -> None:
    assert not by_method.many(range(8))
    assert by_method.many(range(9))
    assert len(drawn("accuracy", tables(methods=METHODS[:8]))) == 2


def test_accuracies_have_a_row_per_method_and_a_panel_per_budget(many: Path) -> None:
    summary = pd.read_csv(many / "summary.csv").set_index(["epsilon", "method"])["accuracy_mean"]
    panels = drawn("accuracy", many)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["DP-SGD", "Auto-S", "DP-PSASC", *METHODS[3:]]
    for epsilon, axes in zip(EPSILONS, panels, strict=True):
        shown = points(axes)
        expected = [100 * summary[epsilon, method] for method in METHODS]
        assert np.allclose([shown[y] for y in sorted(shown)], expected)


def test_controls_of_many_methods_are_written(many: Path) -> None:
    assert "non-private, Digits: 97.0 %. noise only, Digits: 12.0 %." in written("accuracy", many)


def test_differences_have_a_row_per_method_but_the_reference_on_one_scale(many: Path) -> None:
    panels = drawn("differences", many)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["Auto-S", "DP-PSASC", *METHODS[3:]]
    assert len({axes.get_xlim() for axes in panels}) == 1


def test_a_refuted_bound_of_many_is_beyond_the_claim_and_named(many: Path) -> None:
    claimed = pd.read_csv(many / "audit.csv").groupby("epsilon")["epsilon_claimed"].max()
    panels = drawn("audit", many)
    for axes, claim in zip(panels, [claimed[1], claimed[8]] * 2, strict=True):
        beyond = {y for y, bound in points(axes).items() if bound > claim}
        assert beyond == {max(points(axes))}
    assert "REFUTED: own-h" in written("audit", many)


@pytest.mark.parametrize(("name", "drawn_there"), [("convergence", METHODS[1:]), ("norms", METHODS)])
def test_curves_of_many_methods_are_spread_over_panels_with_a_key_each(
    name: str, drawn_there: tuple[str, ...], many: Path
) -> None:
    keys = [axes.get_legend() for axes in drawn(name, many) if axes.get_legend()]
    entries = [entry.get_text() for key in keys for entry in key.get_texts()]
    titles = plots.Tables(many).method_titles
    assert entries == [titles[method] for method in drawn_there]
    assert all(len(key.get_texts()) <= 6 for key in keys)


def test_profiles_of_many_are_grey_but_for_the_two_compared(many: Path) -> None:
    left, _ = drawn("profile", many)
    colours = [line.get_color() for line in left.lines if len(line.get_xdata()) > 2]
    coloured = {style.KNOWN[name].color for name in ("dp-sgd", "dp-psasc")}
    assert sorted(colours) == sorted([*coloured, *["0.75"] * (len(METHODS) - 2)])
    assert "Grey: the others." in written("profile", many)


def test_figures_of_many_are_the_same_in_every_process(many: Path, tmp_path: Path) -> None:
    command = "import sys; from pathlib import Path; from psasc_bench.report import plots\n"
    command += "for name in ('profile', 'norms'): plots.draw_figure(name, Path(sys.argv[1]), Path(sys.argv[2]))"
    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", command, str(many), str(tmp_path / seed)]
        subprocess.run(arguments, env=os.environ | {"PYTHONHASHSEED": seed}, check=True)
    for name in ("profile.svg", "norms.svg"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_methods_of_one_weight_share_a_line(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "dp-psasc", "mine"])
    weights = pd.read_csv(folder / "weights.csv")
    of_first = weights.loc[weights["method"] == "dp-sgd", "weight"].to_numpy()
    weights.loc[weights["method"] == "mine", "weight"] = of_first
    weights.to_csv(folder / "weights.csv", index=False)
    methods = {
        "dp-sgd": {"C": 0.5},
        "dp-psasc": {"C": 0.2},
        "mine": {"method": "dp-sgd", "C": 0.5, "optimiser": "adam"},
    }
    study = {"methods": methods, "datasets": {"digits": {}}, "epsilons": [1, 8], "seeds": [0]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    (folder / "study.json").write_text(load_study(folder / "study.yaml").model_dump_json(), encoding="utf-8")
    (legend,) = (axes.get_legend() for axes in drawn("weights", folder)[1:])
    assert [entry.get_text().splitlines()[0] for entry in legend.get_texts()] == ["DP-SGD, My method", "DP-PSASC"]


def test_a_known_method_with_another_update_rule_has_no_published_accuracy(tables: Tables) -> None:
    methods = {"dp-sgd": {"C": 0.1}, "mine": {"method": "dp-sgd", "C": 0.1, "optimiser": "adam"}}
    folder = tables(methods=list(methods), datasets=["mnist"], epsilons=[3.0])
    study = {"methods": methods, "datasets": {"mnist": {}}, "epsilons": [3], "seeds": [0]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    (folder / "study.json").write_text(load_study(folder / "study.yaml").model_dump_json(), encoding="utf-8")
    assert set(plots.Tables(folder).published["method"]) == {"dp-sgd"}


def test_data_set_with_another_update_rule_has_no_published_accuracy(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"], datasets=["mnist"], epsilons=[3.0])
    for rule, expected in (("heavy-ball", {"dp-sgd"}), ("adam", set())):
        datasets = {"mnist": {"optimiser": rule}}
        study = {"methods": {"dp-sgd": {"C": 0.1}}, "datasets": datasets, "epsilons": [3], "seeds": [0]}
        (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
        (folder / "study.json").write_text(load_study(folder / "study.yaml").model_dump_json(), encoding="utf-8")
        assert set(plots.Tables(folder).published["method"]) == expected


def test_commands_that_pages_name_are_those_of_their_study(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd"], datasets=["mnist"], epsilons=[3.0])
    study: dict[str, object] = {"methods": {"dp-sgd": {"C": 0.1}}, "datasets": {"mnist": {}}}
    text = "`snakemake --cores 8 results/deviation.csv` makes it"
    for given, expected in (
        ([], text),
        (["my studies/a.yaml"], text.replace("--cores", "--configfile 'my studies/a.yaml' --cores")),
    ):
        (folder / "study.yaml").write_text(yaml.safe_dump(study | {"configfile": given}), encoding="utf-8")
        (folder / "study.json").write_text(load_study(folder / "study.yaml").model_dump_json(), encoding="utf-8")
        assert plots.Tables(folder).as_called(text) == expected


def test_more_cells_without_a_run_than_can_be_named_are_counted(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psasc_bench.report.tables.MOST_NAMED", 80)
    there = {("dp-sgd", epsilon) for epsilon in EPSILONS}
    gone = {(method, epsilon) for k, method in enumerate(METHODS[1:]) for epsilon in EPSILONS[k % 3 :]}
    folder = tables(
        methods=METHODS, epsilons=EPSILONS, status=lambda key: "missing" if key[:2] in gone - there else "done"
    )
    assert f"No finished run: Digits ({len(gone)} of 33 cells)." in written("accuracy", folder)
