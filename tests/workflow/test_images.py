"""What images are built of, and that jobs run in one."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from projects import ROOT, RUNS, STUDY, new_project, snakemake

STAND_IN = """#!/bin/sh
# Says that it has been asked, and runs what an engine would run in the image.
if [ "$1" = --version ]; then echo "apptainer version 1.3.4"; exit; fi
echo "$@" >> "$ASKED"
for last in "$@"; do :; done
exec bash -c "$last"
"""


def copied_by_docker() -> set[str]:
    lines = re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return {name for line in lines for name in shlex.split(line)[:-1]}


def copied_by_apptainer() -> set[str]:
    (section,) = re.findall(r"^%files\n((?: +.*\n)+)", (ROOT / "apptainer.def").read_text(), re.MULTILINE)
    return {line.split()[0] for line in section.splitlines()}


def test_both_images_are_made_of_the_same() -> None:
    assert copied_by_docker() == copied_by_apptainer()
    docker, apptainer = ((ROOT / name).read_text() for name in ("Dockerfile", "apptainer.def"))
    bases = re.findall(r"^FROM (.*)$", docker, re.MULTILINE), re.findall(r"^From: (.*)$", apptainer, re.MULTILINE)
    assert bases[0] == bases[1]
    assert "sh workflow/envs/install.sh" in docker
    assert "sh workflow/envs/install.sh" in apptainer


def test_images_have_all_that_the_package_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {project["project"]["readme"], *project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert needed | {"requirements.txt", "pyproject.toml"} <= copied_by_docker()
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    assert kept == copied_by_docker()
    assert all((ROOT / name).exists() for name in kept)


def test_install_script_is_sound_shell() -> None:
    subprocess.run(["sh", "-n", ROOT / "workflow" / "envs" / "install.sh"], check=True)


def test_jobs_run_in_the_image_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    new_project(project, STUDY | {"seeds": [0], "methods": {"nonprivate": {}}})
    image, engine, asked = tmp_path / "psasc-bench.sif", tmp_path / "bin" / "apptainer", tmp_path / "asked"
    image.touch()
    engine.parent.mkdir()
    engine.write_text(STAND_IN)
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:{Path('/usr/bin')}:{Path('/bin')}")
    monkeypatch.setenv("ASKED", str(asked))
    monkeypatch.setenv("PSASC_BENCH_IMAGE", str(image))
    target = f"{RUNS}/nonprivate/eps-inf/seed-0.json"
    snakemake(project, target, "--software-deployment-method", "apptainer")
    assert (project / target).exists()
    commands = asked.read_text()
    assert commands.count(f" {image} bash -c ") == 3
    assert re.findall(r"python -m psasc_bench (\S+)", commands) == ["prepare", "budgets", "train"]
