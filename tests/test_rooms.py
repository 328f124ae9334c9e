"""The rooms: each has a door that opens, and contracts that guard it."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "psasc_bench"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAMED = {
    line.split("==")[0]: line.split(" ;")[0] for line in (ROOT / "requirements.txt").read_text().splitlines()[::-1]
}


def test_every_folder_with_code_is_a_package() -> None:
    """import-linter does not see one that is none."""
    assert {path.parent for path in PACKAGE.rglob("*.py")} == {path.parent for path in PACKAGE.rglob("__init__.py")}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "commands"])
def test_every_room_has_a_contract_for_its_door(room: str) -> None:
    contracts = SETTINGS["tool"]["importlinter"]["contracts"]
    protected = [contract["protected_modules"] for contract in contracts if contract["type"] == "protected"]
    assert [f"psasc_bench.{room}.*"] in protected


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "commands"])
def test_every_name_at_a_door_is_there_and_hides_no_module(room: str) -> None:
    door = import_module(f"psasc_bench.{room}")
    modules = {path.stem for path in (PACKAGE / room).glob("*.py")}
    assert [name for name in door.__all__ if not hasattr(door, name) or name in modules] == []


def test_environment_of_the_workflow_has_the_versions_that_are_pinned() -> None:
    environment = yaml.safe_load((ROOT / "workflow" / "envs" / "psasc-bench.yaml").read_text())
    listed = [line.replace(" ", "") for line in environment["dependencies"][-1]["pip"]]
    assert [line for line in listed if NAMED[line.split("==")[0]] != line] == []
    project = SETTINGS["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["privacy"], *extras["study"]]
    needed = {line.split(">=")[0] for line in named} - {"snakemake", "psasc-bench[privacy]"}
    assert {line.split("==")[0] for line in listed} == needed
