"""The guide's study of data of one's own runs when pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

GUIDE = (Path(__file__).parents[2] / "config" / "README.md").read_text(encoding="utf-8")


def psasc_bench(folder: Path, *command: str) -> str:
    asked = [sys.executable, "-m", "psasc_bench", *command]
    ran = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_study_of_a_table_and_a_folder_of_images_runs_as_printed(tmp_path: Path) -> None:
    (sample,) = re.findall(r"```yaml\n(# flowers\.yaml\n.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "flowers.yaml").write_text(sample, encoding="utf-8")
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    columns = {name: rng.normal(3.5 + kind, 1.0) for name in ("length", "width")}
    pd.DataFrame({**columns, "kind": kind}).to_csv(tmp_path / "flowers.csv", index=False)
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (folder := tmp_path / "photos" / place).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{number}.png")
    cell = ["--method", "auto-s", "--epsilon", "3", "--seed", "0"]
    said = psasc_bench(tmp_path, "train", "--config", "flowers.yaml", "--dataset", "flowers", *cell)
    assert "flowers/auto-s/eps-3/seed-0" in said
    photos = ["--source", "image_folder", "--path", "photos", "--size", "32", "--output", "photos.npz"]
    assert "wrote photos.npz" in psasc_bench(tmp_path, "prepare", *photos)
