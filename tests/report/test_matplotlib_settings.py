"""What somebody has told matplotlib changes no byte of a figure, and keeps none from being drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from figure_tables import write_tables

DRAW = """
import sys
from pathlib import Path
from psasc_bench.report import draw_figure
for name in ("accuracy", "weights"):
    draw_figure(name, Path(sys.argv[1]), Path(sys.argv[2]))
assert "matplotlib.pyplot" not in sys.modules
"""
SETTINGS = """
axes.grid: True
axes.prop_cycle: cycler('color', ['r'])
figure.constrained_layout.h_pad: 1
figure.dpi: 200
font.family: serif
font.size: 20
image.cmap: jet
lines.markersize: 12
savefig.bbox: tight
savefig.transparent: True
svg.fonttype: path
text.usetex: True
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("drawn") / "results", methods=["dp-sgd", "dp-psasc", "nonprivate"])


def drawn(results: Path, output: Path, **environment: str) -> dict[str, bytes]:
    """The figures as a process of their own draws them, by file."""
    clean = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "MATPLOTLIBRC")}
    arguments = [sys.executable, "-W", "error", "-c", DRAW, str(results), str(output)]
    made = subprocess.run(arguments, env=clean | environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return {path.name: path.read_bytes() for path in output.iterdir()}


@pytest.fixture(scope="module")
def plain(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return drawn(results, tmp_path_factory.mktemp("plain"))


def test_settings_of_ones_own_change_no_byte(results: Path, plain: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(SETTINGS)
    assert drawn(results, tmp_path / "figures", MATPLOTLIBRC=str(tmp_path / "matplotlibrc")) == plain


@pytest.mark.parametrize("backend", ["module://not_installed_here.backend", "svg"])
def test_backend_of_ones_own_changes_no_byte(
    backend: str, results: Path, plain: dict[str, bytes], tmp_path: Path
) -> None:
    assert drawn(results, tmp_path / "figures", MPLBACKEND=backend) == plain


def test_backend_that_is_installed_stays_chosen() -> None:
    ask = "import psasc_bench.report, matplotlib, os; print(matplotlib.rcParams['backend'], os.environ['MPLBACKEND'])"
    environment = os.environ | {"MPLBACKEND": "svg"}
    said = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["svg", "svg"]
