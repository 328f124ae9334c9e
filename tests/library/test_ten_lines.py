"""The README's example: as it stands, with nothing but what it needs, and installed as anybody would install it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
(EXAMPLE,) = (
    block
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    if "PrivateGradient" in block
)
ALONE = """
import sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in sys.stdlib_module_names | {"psasc_bench", "torch", "numpy", "lazy_loader"} | OF_TORCH:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import psasc_bench
assert "torch" not in sys.modules
import torch._dynamo, torch.optim  # which look for what may be installed
OF_TORCH = {name.partition(".")[0] for name in sys.modules}
assert not OF_TORCH & {"dp_accounting", "matplotlib", "opacus", "pandas", "pydantic", "scipy", "snakemake", "yaml"}
sys.meta_path.insert(0, Nothing())
"""
LEARNT = "\nassert (model(x).argmax(1) == y).float().mean() > 0.9\nassert private.steps == 200\n"


def python(folder: Path, code: str, *, executable: str = sys.executable) -> str:
    ran = subprocess.run([executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_it_has_ten_lines() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10


def test_it_trains_with_torch_numpy_and_lazy_loader_alone(tmp_path: Path) -> None:
    python(tmp_path, ALONE + EXAMPLE + LEARNT)


def test_what_it_spends_is_what_the_readme_says(tmp_path: Path) -> None:
    spent = "from psasc_bench import spent\n"
    spent += "print(spent(noise_multiplier=1.3, sampling_rate=0.05, steps=200, delta=1e-5).epsilon)"
    assert "reports an epsilon of about 3," in (ROOT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert 2.9 < float(python(tmp_path, spent)) <= 3


def test_the_command_line_says_what_it_lacks(tmp_path: Path) -> None:
    code = ALONE + "from psasc_bench.__main__ import main\nsys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", code, "info"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert re.fullmatch(
        r"psasc-bench: error: the command line needs \w+, which is not installed: pip install 'psasc-bench\[study\]'\n",
        ran.stderr,
    )


def test_epsilon_says_what_it_lacks(tmp_path: Path) -> None:
    code = ALONE + "from psasc_bench import calibrate\n"
    code += "try: calibrate(epsilon=1, delta=1e-5, sampling_rate=0.1, steps=1)\n"
    code += "except ModuleNotFoundError as error: print(error)"
    said = python(tmp_path, code)
    assert said == "epsilon needs opacus, which is not installed: pip install 'psasc-bench[privacy]'\n"


def test_the_installed_wheel_runs_it_in_an_empty_folder(tmp_path: Path) -> None:
    """In a new environment that borrows torch, which is gigabytes, from this one; all else is installed."""
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("needs uv, which builds the wheel and the environment")

    def run(*arguments: str) -> None:
        ran = subprocess.run([str(uv), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        if ran.returncode and re.search(r"fetch|resolve|network|connect|dns|offline", ran.stderr, re.IGNORECASE):
            pytest.skip(f"needs the package registry: {ran.stderr.strip().splitlines()[-1]}")
        assert ran.returncode == 0, ran.stderr

    run("build", "--wheel", "--out-dir", str(tmp_path / "dist"), str(ROOT))
    run("venv", "--quiet", "--python", sys.executable, str(tmp_path / "environment"))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    executable = str(tmp_path / "environment" / "bin" / "python")
    run("pip", "install", "--quiet", "--no-deps", "--python", executable, str(wheel), "lazy-loader", "packaging")
    (packages,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    size = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file() and file.suffix != ".pyc")
    assert size < 4e6, f"{size / 1e6:.1f} MB beside torch and NumPy"
    empty = tmp_path / "empty"
    empty.mkdir()
    borrowed = Path(str(torch.__file__)).parents[1]
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    python(empty, ALONE + EXAMPLE + LEARNT, executable=executable)
