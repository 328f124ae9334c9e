"""The command line as a process: every mistake is a line that says what to do, and exit status 2."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_calls import train
from shipped_methods import SHIPPED

from psasc_bench import cli
from psasc_bench.commands import overview


@pytest.mark.parametrize(
    "option", [["--seeds", "-1"], ["--seeds", "a"], ["--threads", "0"], ["--epsilon", "many"], ["--device", "abacus"]]
)
def test_option_that_makes_no_sense_is_refused_by_name(
    option: list[str], study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in train(study, *option)])
    assert stopped.value.code == 2
    assert f"psasc-bench train: error: argument {option[0]}" in capsys.readouterr().err


def test_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m psasc_bench info | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("adasig (AdaSig)")
    assert ran.stderr == ""


def test_closed_output_is_no_error() -> None:
    """The pipe is closed before anything is written, so that the write must fail."""
    command = [sys.executable, "-m", "psasc_bench", "info"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_error_is_a_line_and_exit_status_2() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "psasc_bench", "info", "dp-sgf"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("psasc-bench: error: unknown method 'dp-sgf'")


@pytest.mark.parametrize(("told", "threads"), [({}, "1"), ({"OMP_NUM_THREADS": "2"}, "2")], ids=["default", "told"])
def test_command_computes_on_one_thread_unless_told_otherwise(told: dict[str, str], threads: str) -> None:
    asked = "from psasc_bench.__main__ import main; main(); import torch; print(torch.get_num_threads())"
    silent = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", asked, "info", "dp-sgd"]
    ran = subprocess.run(command, env=silent | told, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == threads


def test_info_loads_no_large_library() -> None:
    """The workflow reads methods and configuration on every start, which must not wait for torch."""
    code = "import sys; from psasc_bench import cli; cli.main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code, "info", *SHIPPED], capture_output=True, text=True, check=True)
    assert not {"torch", "opacus", "pandas", "scipy", "matplotlib", "sklearn"} & set(ran.stderr.split())


def test_help_begins_with_what_one_needs_and_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert stopped.value.code == 0
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")][:3] == ["status", "table", "check"]
    with pytest.raises(SystemExit):
        cli.main(["no-command"])
    known = set(re.findall(r"'([a-z-]+)'", capsys.readouterr().err.split("choose from")[1]))
    assert {name for names in overview.HEADINGS.values() for name in names} == known


def test_version_names_the_commit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert re.match(r"psasc-bench \d+\.\d+\.\d+, commit [0-9a-f]{40}", capsys.readouterr().out)


def test_command_says_what_it_wrote(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--config", str(study)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "psasc-bench: wrote results/status.csv"
