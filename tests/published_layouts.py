"""Data sets of images with a few files each, in the layouts in which the real ones are found."""

from __future__ import annotations

from pathlib import Path

from PIL import Image


def image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (10, 12)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def image_folder(path: Path, classes: tuple[str, ...] = ("ant", "bee"), test: str = "test") -> Path:
    """Of class i, images of the colour (10 i, n, 0)."""
    for part, count in (("train", 3), (test, 2)):
        for i, name in enumerate(classes):
            for n in range(count):
                image(path / part / name / f"{n}.png", (10 * i, n, 0))
    return path


def celeba(path: Path) -> Path:
    """Eight images: of each part, and of both values of each attribute, in the published layout."""
    names = [f"{n:06d}.jpg" for n in range(1, 9)]
    for name in names:
        image(path / "img_align_celeba" / name, (9, 9, 9), (178, 218))
    rows = [f"{name}  {'1' if n % 2 else '-1'} {'-1' if n < 2 else ' 1'}" for n, name in enumerate(names)]
    (path / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), "Male Smiling ", *rows]) + "\n")
    parts = [0, 0, 0, 0, 1, 2, 2, 2]
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    (path / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return path
