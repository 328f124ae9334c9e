"""The engine on whole models: sums and norms, padding, examples that are not finite, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from explicit_gradients import check, clip, explicit_gradients, explicit_sums, from_books, relative_error
from torch import Tensor, nn

from psasc_bench import methods, models
from psasc_bench.engine.gradients import GradientBooks, WeightedSum
from psasc_bench.engine.parameters import flatten, gather

SHAPES = {"digits_cnn": (1, 8, 8), "mnist_cnn": (1, 28, 28), "cifar_cnn": (3, 32, 32), "scatter_linear": (15_552, 1, 1)}
PARAMETERS = {"C": 0.1, "gamma": 0.01, "r": 0.1, "s": 2.0}


def images(model: str, *, batch: int = 6, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, *SHAPES[model], generator=generator, dtype=torch.float64)
    return x.to(dtype), torch.randint(0, 10, (batch,), generator=generator)


def cross_entropy(x: Tensor, y: Tensor) -> Callable[[nn.Module], Tensor]:
    """The losses of a model, which gets ``x`` in its own precision."""
    return lambda model: F.cross_entropy(model(x.to(next(model.parameters()).dtype)), y, reduction="none")


def of_outputs(x: Tensor) -> Callable[[nn.Module], Tensor]:
    """Losses that need no labels."""
    return lambda model: (
        model(x.to(next(model.parameters()).dtype) if x.is_floating_point() else x).flatten(1).tanh().sum(1)
    )


def weighted_sum(model: nn.Module, x: Tensor, y: Tensor, mask: Tensor) -> WeightedSum:
    books = GradientBooks(model)
    books.record(F.cross_entropy(model(x), y, reduction="none"), mask)
    return books.weighted_sum(clip)


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seeded_layers() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", models.MODELS)
def test_sums_and_norms_are_those_of_explicit_gradients(name: str) -> None:
    check(models.create(name, seed=0).double(), cross_entropy(*images(name, batch=3)))


@pytest.mark.parametrize("name", models.MODELS)
def test_float32_is_right_to_rounding(name: str) -> None:
    # some hundred roundings of 6e-8 each
    check(models.create(name, seed=0), cross_entropy(*images(name, batch=3)), tolerance=1e-5)


@pytest.mark.parametrize("name", methods.names())
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


class ShiftedSquare(nn.Module):
    """Keeps no input for its own backward pass, so that torch does not notice when it is changed."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.shift) ** 2


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Linear(4, 4), "modified by an inplace operation"),
        (ShiftedSquare(), "input of layer '1' was changed in place"),
    ],
    ids=["by torch", "by us"],
)
def test_input_changed_after_its_use_is_refused(layer: nn.Module, message: str) -> None:
    class Overwriting(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            hidden = self[0](x)
            output = self[1](hidden)
            hidden.detach().mul_(2)
            return output

    with pytest.raises(RuntimeError, match=message):
        from_books(Overwriting(nn.Linear(4, 4), layer).double(), of_outputs(features(5, 4)))


def test_batch_norm_is_refused() -> None:
    with pytest.raises(TypeError, match=r"layer '1' is a BatchNorm2d.*use nn\.GroupNorm"):
        GradientBooks(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))


def test_layer_of_two_inputs_is_refused() -> None:
    model = nn.Bilinear(3, 3, 2).double()
    with pytest.raises(TypeError, match="must take one positional tensor"):
        from_books(model, lambda model: model(features(5, 3), features(5, 3)).sum(1))


def test_parameter_used_outside_its_layer_is_refused() -> None:
    class Around(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self[0](x), self[0].weight)

    with pytest.raises(RuntimeError, match=r"parameter of shape \(4, 4\) took part outside its layer"):
        from_books(Around(nn.Linear(4, 4)).double(), of_outputs(features(5, 4)))


def test_parameter_that_takes_no_part_is_refused() -> None:
    class Idle(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return self[0](x)

    with pytest.raises(RuntimeError, match=r"2 trainable parameter\(s\).* took no part"):
        from_books(Idle(nn.Linear(4, 4), nn.Linear(4, 3)).double(), of_outputs(features(5, 4)))


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


@pytest.mark.parametrize("name", models.MODELS)
def test_padding_contributes_exactly_nothing(name: str) -> None:
    model, (x, y) = models.create(name, seed=0), images(name, dtype=torch.float32)
    mask = torch.tensor([1.0, 1, 1, 1, 0, 0])
    one = weighted_sum(model, x, y, mask)
    two = weighted_sum(model, torch.cat([x[:4], x[:1], 100 * x[:1]]), y, mask)
    assert all(torch.equal(one.sums[p], two.sums[p]) for p in model.parameters())
    assert one.norms[4:].tolist() == [0, 0]


def test_padding_leaves_the_sums_of_the_examples() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0).double(), images("digits_cnn")
    padded = weighted_sum(model, x, y, torch.tensor([1.0, 1, 1, 1, 0, 0]))
    alone = weighted_sum(model, x[:4], y[:4], torch.ones(4))
    assert all(relative_error(padded.sums[p], alone.sums[p]) < 1e-10 for p in model.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["digits_cnn", "mnist_cnn"])
def test_example_that_is_not_finite_contributes_exactly_nothing_and_is_counted(name: str, value: float) -> None:
    model, (x, y) = models.create(name, seed=0), images(name, dtype=torch.float32)
    without = weighted_sum(model, x, y, torch.tensor([1.0, 1, 0, 1, 1, 1]))
    x[2] = value
    x[2, :, 0] = -value  # so that infinities meet
    result = weighted_sum(model, x, y, torch.ones(6))
    assert result.nonfinite == 1
    assert result.norms[2] == 0
    assert all(torch.equal(result.sums[p], without.sums[p]) for p in model.parameters())


def test_example_that_is_not_finite_is_nothing_to_written_down_gradients_either() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.PReLU(3), nn.Linear(3, 10)), features(6, 4).float()
    y = torch.arange(6)
    without = weighted_sum(model, x, y, torch.tensor([1.0, 1, 0, 1, 1, 1]))
    x[2] = float("nan")
    result = weighted_sum(model, x, y, torch.ones(6))
    assert result.nonfinite == 1
    assert all(torch.equal(result.sums[p], without.sums[p]) for p in model.parameters())


def test_padding_that_is_not_finite_is_not_counted() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0), images("digits_cnn", dtype=torch.float32)
    x[5] = float("nan")
    result = weighted_sum(model, x, y, torch.tensor([1.0, 1, 1, 1, 1, 0]))
    assert result.nonfinite == 0
    assert all(result.sums[p].isfinite().all() for p in model.parameters())


def test_empty_batch_sums_to_zero() -> None:
    model = models.create("digits_cnn", seed=0)
    result = weighted_sum(model, torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.long), torch.ones(0))
    assert all(torch.equal(result.sums[p], torch.zeros_like(p)) for p in model.parameters())
    assert len(result.norms) == result.nonfinite == 0


def test_books_are_closed_by_the_sum() -> None:
    model, (x, y) = models.create("digits_cnn", seed=0), images("digits_cnn", dtype=torch.float32)
    books = GradientBooks(model)
    results = []
    for _ in range(2):
        books.record(cross_entropy(x, y)(model), torch.ones(6))
        results.append(books.weighted_sum(clip))
    assert torch.equal(results[0].norms, results[1].norms)


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
