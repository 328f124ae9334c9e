"""A model's parameters as one buffer."""

from __future__ import annotations

import pytest
import torch
from model_shapes import PARAMETERS
from torch import nn

from psasc_bench import models
from psasc_bench.engine import flatten, gather, point_at


@pytest.mark.parametrize("name", models.MODELS)
def test_flattened_model_computes_what_it_did(name: str) -> None:
    model = models.create(name, seed=0)
    before = [p.detach().clone() for p in model.parameters()]
    buffer = flatten(model)
    assert buffer.shape == (PARAMETERS[name],)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_gather_inverts_point_at() -> None:
    model = models.create("cifar_cnn", seed=0)
    point = torch.randn(PARAMETERS["cifar_cnn"], generator=torch.Generator().manual_seed(0))
    point_at(model.parameters(), point)
    assert torch.equal(gather(model.parameters(), {p: p.detach() for p in model.parameters()}), point)


def test_parameters_are_views_of_the_buffer() -> None:
    model = models.create("digits_cnn", seed=0)
    buffer = flatten(model)
    buffer.fill_(0.5)
    assert all(bool((p == 0.5).all()) for p in model.parameters())


def test_pointing_elsewhere_leaves_the_old_point_alone() -> None:
    model = models.create("digits_cnn", seed=0)
    old = flatten(model)
    kept = old.clone()
    point_at(model.parameters(), torch.zeros_like(old))
    assert all(not bool(p.any()) for p in model.parameters())
    assert torch.equal(old, kept)


def test_kernels_lie_channels_last_in_the_buffer() -> None:
    model = models.create("cifar_cnn", seed=0)
    kernel = next(m for m in model.modules() if isinstance(m, nn.Conv2d)).weight
    expected = kernel.detach().permute(0, 2, 3, 1).flatten()
    assert torch.equal(flatten(model)[: kernel.numel()], expected)
    assert kernel.is_contiguous(memory_format=torch.channels_last)


def test_gradients_reach_the_viewed_parameters() -> None:
    model = models.create("digits_cnn", seed=0)
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.autograd.grad(model(images).square().sum(), list(model.parameters()))
    flatten(model)
    found = torch.autograd.grad(model(images).square().sum(), list(model.parameters()))
    for f, e in zip(found, expected, strict=True):
        # float32, convolved in another memory layout
        torch.testing.assert_close(f, e, rtol=1e-4, atol=1e-5)
