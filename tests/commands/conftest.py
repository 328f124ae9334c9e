"""A small study's file, and a command that must be refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_calls import Refused, write_study

from psasc_bench import cli


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small study's file, in a folder of its own where the commands run."""
    monkeypatch.chdir(tmp_path)
    return write_study(tmp_path / "study.yaml")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; its lines on standard error."""

    def run(*arguments: str | Path) -> list[str]:
        assert cli.main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert all(line.startswith("psasc-bench: error: ") for line in lines)
        return [line.removeprefix("psasc-bench: error: ") for line in lines]

    return run
