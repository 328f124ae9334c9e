"""The figure of weights, once for all data sets with the same settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from figure_tables import Tables, marked, title, written

from psasc_bench.report import plots
from psasc_bench.study import load_study


def test_weights_are_in_units_of_the_sensitivity(study: Path) -> None:
    weights = pd.read_csv(study / "weights.csv").query("method == 'dp-psasc'")
    weight, contribution = plots.figure("weights", plots.Tables(study)).axes
    (line,) = marked(weight, "dp-psasc")
    assert np.allclose(line.get_ydata(), weights["weight"] / 0.1)
    (line,) = marked(contribution, "dp-psasc")
    assert np.allclose(line.get_ydata(), weights["norm"] * weights["weight"] / 0.1)


def test_weights_need_no_finished_run(tables: Tables) -> None:
    assert "DP-PSASC" in written("weights", tables(status=lambda _: "missing"))


def test_data_sets_share_a_row_unless_a_method_has_other_weights_there(tables: Tables) -> None:
    folder = tables(datasets=["one", "two", "three"])
    assert len(plots.figure("weights", plots.Tables(folder)).axes) == 2
    weights = pd.read_csv(folder / "weights.csv")
    weights = weights[(weights["dataset"] != "three") | (weights["method"] != "mine")]  # not trained there
    weights.to_csv(folder / "weights.csv", index=False)
    assert len(plots.figure("weights", plots.Tables(folder)).axes) == 2
    weights.loc[(weights["dataset"] == "two") & (weights["method"] == "auto-s"), "weight"] *= 2
    weights.to_csv(folder / "weights.csv", index=False)
    drawn = plots.figure("weights", plots.Tables(folder)).axes
    assert [title(axes) for axes in drawn[::2]] == ["One, Three", "Two"]


def test_the_legend_has_the_settings_of_the_study(tables: Tables) -> None:
    folder = tables(methods=["dp-sgd", "dp-psasc", "mine"])
    methods = {"dp-sgd": {"C": 0.5}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}}
    methods["mine"] = {"method": "auto-s", "C": 0.1, "gamma": 0.01, "iterates": 2, "decay": 0.3}
    study = {"methods": methods, "datasets": {"digits": {}}, "epsilons": [1, 8], "seeds": [0]}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    (folder / "study.json").write_text(load_study(folder / "study.yaml").model_dump_json(), encoding="utf-8")
    (legend,) = (axes.get_legend() for axes in plots.figure("weights", plots.Tables(folder)).axes[1:])
    gamma = "\N{GREEK SMALL LETTER GAMMA}"
    assert [text.get_text() for text in legend.get_texts()] == [
        "DP-SGD\nC = 0.5",
        "DP-PSASC\nC = 0.2, s = 2, r = 0.1",
        f"My method\nC = 0.1, {gamma} = 0.01, k = 2,\nβ = 0.3",
    ]
