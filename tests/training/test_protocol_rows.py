"""ImageNette and CelebA, from files in the layout in which they are published to a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from published_layouts import celeba, image_folder

from psasc_bench import optimisers, training
from psasc_bench.data import formats
from psasc_bench.study import Cell, parse_study

TINY: dict[str, Any] = {"size": 8, "expected_batch_size": 4, "micro_batch_size": 4, "epochs": 1, "delta": 1e-2}


@pytest.mark.parametrize(("name", "classes", "optimiser"), [("imagenette", 10, "nadam"), ("celeba", 2, "adam")])
def test_row_of_the_protocol_is_trained_from_published_files(
    name: str, classes: int, optimiser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not said, the network among it, is the protocol's."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "files"
    if name == "celeba":
        celeba(path)
    else:
        image_folder(path, classes=formats.IMAGENETTE, test="val")
    study = parse_study({"methods": {"dp-sgd": {}}, "datasets": {name: {"path": str(path), **TINY}}}, source="study")
    spec = study.spec(Cell(name, "dp-sgd", 8.0), 0)
    assert [*optimisers.listed(spec.optimiser)] == [optimiser]
    assert (spec.model, spec.parameters["C"], spec.accountant) == ("resnet9", study.dataset(name).sensitivity, "rdp")
    dataset = training.prepared_dataset(study, name)
    budget = training.schedule_budget(
        spec, len(dataset.y_train), epsilon=8.0, delta=spec.delta, accountant=spec.accountant
    )
    made = training.train_run(
        spec, dataset, budget, runs=tmp_path / "runs", micro_batch_size=4, device=torch.device("cpu")
    )
    assert made.status == "done"
    assert made.predictions
    assert made.predictions["classes"] == classes
    assert made.provenance["made_of"] == study.prepared(name).stem
