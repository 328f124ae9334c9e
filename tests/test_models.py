"""The protocol's models, and what is said of data that they cannot take."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_shapes import PARAMETERS, SHAPES

from psasc_bench import models
from psasc_bench.data import Dataset


@pytest.mark.parametrize("name", models.MODELS)
def test_model_has_the_protocols_number_of_parameters(name: str) -> None:
    assert sum(p.numel() for p in models.create(name, seed=0).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", models.MODELS)
def test_model_maps_its_images_to_ten_classes(name: str) -> None:
    assert models.create(name, seed=0)(torch.zeros(2, *SHAPES[name])).shape == (2, 10)


@pytest.mark.parametrize("name", models.MODELS)
def test_examples_of_a_batch_do_not_mix(name: str) -> None:
    model = models.create(name, seed=0).double()
    images = torch.randn(3, *SHAPES[name], dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([model(image[None]) for image in images])
    # the same float64 sums, perhaps in another order
    torch.testing.assert_close(model(images), alone, rtol=1e-10, atol=1e-12)


def weights(name: str, *, seed: int) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in models.create(name, seed=seed).parameters()])


@pytest.mark.parametrize("name", models.MODELS)
def test_seed_determines_the_initial_weights(name: str) -> None:
    assert torch.equal(weights(name, seed=3), weights(name, seed=3))
    assert not torch.equal(weights(name, seed=3), weights(name, seed=4))


def test_initial_weights_are_torchs_own() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = torch.cat([p.detach().flatten() for p in models.mnist_cnn().parameters()])
    assert torch.equal(weights("mnist_cnn", seed=3), expected)


def test_global_generators_are_left_as_they_were() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    models.create("digits_cnn", seed=0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'resnet'.*digits_cnn, mnist_cnn, cifar_cnn"):
        models.create("resnet", seed=0)


# ------------------------------------------------------------------------------------------------ fit to the data


def test_digits_fit_their_model(digits: Dataset) -> None:
    models.check_fit("digits_cnn", digits)


@pytest.mark.parametrize("name", ["mnist_cnn", "cifar_cnn"])
def test_images_of_another_shape_are_refused(name: str, digits: Dataset) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*\(1, 8, 8\)"):
        models.check_fit(name, digits)


@pytest.mark.parametrize("label", [-1, 10])
@pytest.mark.parametrize("part", ["y_train", "y_test"])
def test_label_without_an_output_is_refused(part: str, label: int, digits: Dataset) -> None:
    labels = getattr(digits, part).copy()
    labels[5] = label
    with pytest.raises(ValueError, match=rf"{part}.*{label}.*0 to 9"):
        models.check_fit("digits_cnn", replace(digits, **{part: labels}))
