"""Every block of the guides runs as it stands, one after the other in an empty folder; so does the changed script."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", ["docs/library.md", "docs/opacus.md"])
def test_every_block_runs(page: str, tmp_path: Path) -> None:
    said = run(tmp_path, "\n".join(blocks(page)))
    assert 2.9 < float(said.splitlines()[0]) <= 3


def test_three_lines_change_in_a_script_written_for_opacus(tmp_path: Path) -> None:
    (difference,) = blocks("README.md", "diff")
    lines = difference.splitlines()
    assert [sum(line.startswith(sign) for line in lines) for sign in "-+"] == [3, 3]
    before, after = ("\n".join(line[1:] for line in lines if not line.startswith(sign)) for sign in "+-")
    around = """
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(200, 5)
model = torch.nn.Linear(5, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
data_loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=50)
{}
for _ in range(20):
    for inputs, labels in data_loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
print(float((model(x).argmax(1) == (x[:, 0] > 0)).float().mean()))
"""
    assert all(float(run(tmp_path, around.format(script))) > 0.85 for script in (before, after))
