"""The README's sample of a method is the file that its command writes, and runs when pasted."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def psasc_bench(folder: Path, command: str) -> str:
    asked = [sys.executable, "-m", "psasc_bench", *shlex.split(command)]
    ran = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_sample_is_what_the_command_writes_and_passes_the_check(tmp_path: Path) -> None:
    (sample,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "(Method)" in block)
    (begin,) = re.findall(r"`psasc-bench (new\s+method\s[^`]+)`", README)
    (check,) = re.findall(r"`psasc-bench (check\s+--file\s[^`]+)`", README)
    psasc_bench(tmp_path, begin)
    assert (tmp_path / "my_method.py").read_text() == sample
    said = psasc_bench(tmp_path, check)
    assert said.startswith("my_method: MyMethod(")
    assert said.endswith("all checks passed\n")
