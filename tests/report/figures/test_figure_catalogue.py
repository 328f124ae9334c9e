"""The catalogue of figures: complete, and right about the tables that each is drawn from."""

from __future__ import annotations

from pathlib import Path

import pytest
from figure_tables import Tables

from psasc_bench.report import figures, plots


def test_every_module_of_figures_is_in_the_catalogue_with_a_caption() -> None:
    modules = {path.stem for path in Path(figures.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(figures.FIGURES) == modules
    assert all(plan.caption.endswith(".") for plan in figures.FIGURES.values())


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_a_function_of_the_tables_that_the_catalogue_names(name: str, study: Path, tmp_path: Path) -> None:
    plan = figures.FIGURES[name]
    for table in (*plan.tables, *plan.needs, *plan.shows):
        if (study / f"{table}.csv").exists():
            (tmp_path / f"{table}.csv").write_bytes((study / f"{table}.csv").read_bytes())
    drawn = plots.draw_figure(name, tmp_path, tmp_path / "figures")
    assert [path.name for path in drawn] == [f"{name}.svg", f"{name}.pdf"]
    for path in drawn:
        assert path.read_bytes() == (study / "figures" / path.name).read_bytes()


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
