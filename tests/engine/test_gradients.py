"""The engine on whole models: its sums and norms are those of explicit gradients, and of Opacus."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from explicit_gradients import check, clip, explicit_gradients, explicit_sums, from_books, relative_error
from model_inputs import cross_entropy, features, images, of_outputs, weighted_sum
from shipped_methods import SHIPPED
from torch import Tensor, nn

from psasc_bench import methods, models
from psasc_bench.engine import GradientBooks, flatten, gather

PARAMETERS = {"C": 0.1, "gamma": 0.01, "r": 0.1, "s": 2.0}


@pytest.mark.parametrize("name", models.MODELS)
def test_sums_and_norms_are_those_of_explicit_gradients(name: str) -> None:
    check(models.create(name, seed=0).double(), cross_entropy(*images(name, batch=3)))


@pytest.mark.parametrize("name", models.MODELS)
def test_float32_is_right_to_rounding(name: str) -> None:
    # some hundred roundings of 6e-8 each
    check(models.create(name, seed=0), cross_entropy(*images(name, batch=3)), tolerance=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_methods_weights_are_applied(name: str) -> None:
    known = {field.split("=")[0] for field in methods.describe(methods.load(name))}
    method = methods.create(name, {key: value for key, value in PARAMETERS.items() if key in known})
    check(models.create("digits_cnn", seed=0).double(), cross_entropy(*images("digits_cnn")), weight=method.weight)


@pytest.mark.parametrize("name", models.MODELS)
def test_memory_layout_of_model_and_images_does_not_matter(name: str) -> None:
    x, y = images(name)
    plain, flattened = models.create(name, seed=0).double(), models.create(name, seed=0).double()
    flatten(flattened)
    expected = from_books(plain, cross_entropy(x, y)).sums
    result = from_books(flattened, cross_entropy(x.contiguous(memory_format=torch.channels_last), y)).sums
    sums = (
        gather(flattened.parameters(), result),
        gather(plain.parameters(), expected),
    )
    assert relative_error(*sums) < 1e-10


def test_layer_used_twice_has_one_gradient() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.kernel = nn.Linear(4, 4), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.kernel(self.kernel(x[:, None]).tanh()).flatten(1)
            return self.layer(self.layer(x).tanh())

    check(Twice().double(), of_outputs(features(5, 2, 2)))


def test_parameter_shared_by_two_layers_has_one_gradient() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
    model[2].weight = model[0].weight
    check(model, of_outputs(features(5, 4)))


def test_embedding_tied_to_the_output_layer_has_one_gradient() -> None:
    model = nn.Sequential(nn.Embedding(6, 3), nn.Tanh(), nn.Linear(3, 6, bias=False)).double()
    model[2].weight = model[0].weight
    check(model, of_outputs(torch.randint(0, 6, (5, 4), generator=torch.Generator().manual_seed(0))))


def test_activations_may_be_in_place() -> None:
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.GroupNorm(2, 4), nn.Mish(inplace=True)),
        *(nn.Flatten(), nn.Linear(4 * 36, 5)),
    )
    check(model.double(), of_outputs(features(5, 1, 8, 8)))


def test_frozen_layers_are_left_alone() -> None:
    model = models.create("digits_cnn", seed=0).double()
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    check(model, cross_entropy(*images("digits_cnn")))


def test_evaluation_between_steps_is_not_recorded() -> None:
    model = models.create("digits_cnn", seed=0).double()
    x, y = images("digits_cnn")
    expected = from_books(model, cross_entropy(x, y))
    books = GradientBooks(model)
    model.eval()
    model(x)
    model.train()
    with torch.no_grad():
        model(x)
    books.record(cross_entropy(x, y)(model), torch.ones(6))
    result = books.weighted_sum(clip)
    assert all(torch.equal(result.sums[p], expected.sums[p]) for p in model.parameters())


def test_books_are_closed_by_the_sum() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0), images("digits_cnn", dtype=torch.float32)
    books = GradientBooks(model)
    results = []
    for _ in range(2):
        books.record(cross_entropy(x, y)(model), torch.ones(6))
        results.append(books.weighted_sum(clip))
    assert torch.equal(results[0].norms, results[1].norms)


@pytest.mark.parametrize("name", models.MODELS)
def test_sums_under_several_weights_are_those_under_each(name: str) -> None:
    """To the last bit, although the books are closed once."""
    model, (x, y) = models.create(name, seed=0), images(name, batch=3, dtype=torch.float32)
    weights = [clip, torch.ones_like, torch.square]
    books = GradientBooks(model)
    books.record(cross_entropy(x, y)(model), torch.ones(3))
    for weight, together in zip(weights, books.weighted_sums(weights), strict=True):
        alone = from_books(model, cross_entropy(x, y), weight)
        assert torch.equal(together.norms, alone.norms)
        assert all(torch.equal(together.sums[p], alone.sums[p]) for p in model.parameters())


def test_bfloat16_forward_pass_gives_gradients_to_its_precision() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0), images("digits_cnn", dtype=torch.float32)
    sums, norms = explicit_sums(explicit_gradients(model, cross_entropy(x, y)), clip)
    books = GradientBooks(model)
    with torch.autocast("cpu", torch.bfloat16):
        losses = F.cross_entropy(model(x).float(), y, reduction="none")
    books.record(losses, torch.ones(6))
    result = books.weighted_sum(clip)
    # bfloat16 rounds by 4e-3 at each of four layers, forwards and backwards
    assert relative_error(result.norms, norms) < 4e-2
    assert all(relative_error(result.sums[p], s) < 4e-2 for p, s in zip(model.parameters(), sums, strict=True))


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("mode", ["hooks", "ghost"])
@pytest.mark.parametrize("name", ["mnist_cnn", "cifar_cnn"])
def test_opacus_agrees(name: str, mode: str) -> None:
    from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping

    x, y = images(name)
    ours, theirs = models.create(name, seed=0).double(), models.create(name, seed=0).double()
    threshold = 1.0
    result = from_books(ours, cross_entropy(x, y), lambda norms: (threshold / (norms + 1e-6)).clamp(max=1.0))
    if mode == "hooks":
        wrapped = GradSampleModule(theirs, loss_reduction="sum")
        F.cross_entropy(wrapped(x), y, reduction="sum").backward()
        gradients = [p.grad_sample for p in theirs.parameters()]
        sums, norms = explicit_sums(gradients, lambda norms: (threshold / (norms + 1e-6)).clamp(max=1.0))
    else:
        wrapped = GradSampleModuleFastGradientClipping(theirs, max_grad_norm=threshold, loss_reduction="sum")
        losses = F.cross_entropy(wrapped(x), y, reduction="none")
        losses.sum().backward(retain_graph=True)
        norms, coefficients = wrapped.get_norm_sample(), wrapped.get_clipping_coef()
        wrapped.zero_grad()
        wrapped.disable_hooks()
        (coefficients * losses).sum().backward()
        sums = [p.grad for p in theirs.parameters()]
    assert relative_error(result.norms, norms) < 1e-10
    assert all(relative_error(result.sums[p], s) < 1e-10 for p, s in zip(ours.parameters(), sums, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", models.MODELS)
def test_gpu_gives_the_same(name: str) -> None:
    x, y = images(name)
    expected = from_books(models.create(name, seed=0).double(), cross_entropy(x, y))
    model = models.create(name, seed=0).double().cuda()
    result = weighted_sum(model, x.cuda(), y.cuda(), torch.ones(6, device="cuda"))
    assert relative_error(result.norms.cpu(), expected.norms) < 1e-10
    for actual, wanted in zip(result.sums.values(), expected.sums.values(), strict=True):
        assert relative_error(actual.cpu(), wanted) < 1e-10
