"""ScatterNet features, beside kymatio's other frontend and torch's own group normalisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from kymatio.torch import Scattering2D
from torch.nn import functional as F

from psasc_bench import data, models
from psasc_bench.data import scattering
from psasc_bench.study import load_study

OFFSET, SCALE = np.array([125, 123, 114], np.float32), np.array([63, 62, 67], np.float32)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def test_features_are_those_of_another_frontend_and_of_torchs_normalisation(images: np.ndarray) -> None:
    pixels = (torch.from_numpy(images).float() - torch.from_numpy(OFFSET)[:, None, None]) / torch.from_numpy(SCALE)[
        :, None, None
    ]
    maps = Scattering2D(J=2, shape=(32, 32), L=8)(pixels).view(3, 243, 8, 8)
    expected = F.group_norm(maps, num_groups=27)
    found = scattering.features(images, OFFSET, SCALE)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.reshape(3, 243, 8, 8), expected.numpy(), atol=2e-3, rtol=1e-3)


def test_features_of_an_image_are_a_function_of_it_alone(images: np.ndarray) -> None:
    """Or else they would need accounting."""
    alone = scattering.features(images[:1], OFFSET, SCALE)
    np.testing.assert_array_equal(alone, scattering.features(images, OFFSET, SCALE)[:1])


def test_more_images_than_a_batch_are_all_there(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scattering.features(images, OFFSET, SCALE)
    monkeypatch.setattr(scattering, "BATCH", 2)
    np.testing.assert_allclose(scattering.features(images, OFFSET, SCALE), whole, atol=2e-3)


def test_images_of_odd_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 30x32 pixels; sides must be multiples of 4"):
        scattering.features(np.zeros((1, 1, 30, 32), np.uint8), OFFSET[:1], SCALE[:1])


def test_prepared_features_are_what_the_model_takes(images: np.ndarray, tmp_path: Path) -> None:
    labels = np.arange(3)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "images.npz", **arrays)
    data.prepare("npz", tmp_path / "prepared.npz", root=tmp_path, path=tmp_path / "images.npz", features="scattering")
    prepared = data.load(tmp_path / "prepared.npz")
    models.check_fit("scatter_linear", prepared)
    half = np.full(3, 127.5, np.float32)  # bytes go to [-1, 1]
    np.testing.assert_array_equal(prepared.x_test, scattering.features(images, half, half))


def test_features_and_pixels_are_not_mistaken_for_each_other() -> None:
    study = load_study(Path(__file__).parents[2] / "config" / "config.yaml")
    assert study.prepared("cifar10_scatter").stem.startswith("cifar10-scattering-")
    assert not study.prepared("cifar10").stem.startswith("cifar10-scattering-")
