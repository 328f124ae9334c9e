"""One finished study, made once for all processes, which every test copies: it trains no more than it is about."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from projects import STUDY, new_project, snakemake

from psasc_bench import files


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all runs and tables made; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "finished"
    with files.exclusive(shared / "finished.lock", lambda: None):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            snakemake(new_project(folder, STUDY), "results/README.md", "results/claims.md")
            (folder / "made").touch()
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return shutil.copytree(finished, tmp_path / "project")
