"""Where a study keeps what it makes: the shipped one in the project's own folders, any other in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psasc_bench.study import ConfigError, Study, load_study, locate_files, parse_study

SHIPPED = Path("config", "config.yaml")
STUDIES = Path("studies")


def study_folder(study: Study, files: Sequence[Path], *, project: Path) -> Path:
    """``project`` itself for the study that it ships, whichever of its data sets are trained; for any other
    ``studies/NAME`` below it, after the study's ``name`` or else the last of the ``files`` that it was read from. A
    folder that ships none has nothing to be kept apart. Raises ``ConfigError`` for a file that no folder can be called
    after."""
    shipped = project / SHIPPED
    if not shipped.exists() or _same(study, load_study(shipped, checked=True)):
        return project
    name = study.name or (files[-1].stem if files else shipped.stem)
    if name.strip() in ("", ".", "..") or set(name) & set("/\\"):
        raise ConfigError(
            f"{files[-1]}: no folder can be called {name!r}; rename the file, or give the study a `name:`"
        )
    return project / STUDIES / name


def folder_of(config: Path, *, project: Path) -> Path:
    """That of the study in the file ``config``. Raises ``ConfigError`` for a file that holds none, other than the one
    of the study that the project ships, which need not be read for this."""
    if config.resolve() == (project / SHIPPED).resolve():
        return project
    return study_folder(load_study(config), [config], project=project)


def place(
    config: Mapping[str, Any], files: Sequence[Path], *, project: Path, directory: Path | None, checked: bool = False
) -> tuple[Path, dict[str, Any]]:
    """The folder in which a workflow on ``config``, read from ``files``, runs, and its configuration there.

    The user's ``directory``, if one is given, and any other working directory than ``project`` are the user's choice.
    In the folder of a study, relative paths are taken to be below ``project``; those of files with code are absolute,
    for the workflow does not know which file said them. What has been ``checked`` is not looked through again. Raises
    ``ConfigError`` for values that are no study.
    """
    source = " + ".join(map(str, files)) or str(SHIPPED)
    located: dict[str, Any] = locate_files(config, (files[-1] if files else project / SHIPPED).parent)
    study = parse_study(located, source=source, files=files, checked=checked)
    own = study_folder(study, files, project=project)
    here = Path.cwd().resolve()
    if here not in (project.resolve(), own.resolve()) or (directory and directory.resolve() != own.resolve()):
        return here, located
    return own, located if own == project else _anchored(study, files, project, name=own.name)


def _anchored(study: Study, files: Sequence[Path], project: Path, *, name: str) -> dict[str, Any]:
    values = study.model_dump(mode="json", exclude_none=True) | {"name": name}
    values["configfile"] = [_seen_from(project, file) for file in files] or values["configfile"]
    values["data_root"] = str(project / study.data_root)
    for name, dataset in study.datasets.items():
        if dataset.path:
            values["datasets"][name]["path"] = str(project / dataset.path)
    return values


def _seen_from(project: Path, file: Path) -> str:
    path, folder = file.resolve(), project.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def write_up(folder: Path) -> Path:
    """Where the write-up stands in the folder of a study: beside the results, if it is one of a project that ships
    another."""
    above = folder.resolve().parent
    own = above.name == STUDIES.name and (above.parent / SHIPPED).exists()
    return Path("study.md") if own else Path("docs", "study.md")


def _same(one: Study, other: Study) -> bool:
    """But for where the data is and which data sets are trained, which decide no result."""
    unconcerned = {"train": None, "data_root": "", "configfile": ()}
    return one.model_copy(update=unconcerned) == other.model_copy(update=unconcerned)
