"""One finished study, made once a session, which every test copies, so that it trains no more than it is about."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import STUDY, new_project, snakemake


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all runs and tables made; not to be changed."""
    folder = new_project(tmp_path_factory.mktemp("finished"), STUDY)
    snakemake(folder, "results/README.md", "results/claims.md")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return shutil.copytree(finished, tmp_path / "project")
