"""The README's sample of a method runs when pasted."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_sample_passes_the_check_that_the_readme_names(tmp_path: Path) -> None:
    (sample,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "(Method)" in block)
    (command,) = re.findall(r"`psasc-bench (check\s+--file\s[^`]+)`", README)
    (tmp_path / "my_method.py").write_text(sample, encoding="utf-8")
    asked = [sys.executable, "-m", "psasc_bench", *shlex.split(command)]
    ran = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("my_method: AutoS(")
    assert ran.stdout.endswith("all checks passed\n")
