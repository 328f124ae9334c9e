"""Gradients whose terms cancel: an inner product by Gram matrices has no digit left, and bounds nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from psasc_bench import method
from psasc_bench.engine import GradientBooks

METHODS = {
    "dp-sgd": method("dp-sgd", C=1.0),
    "auto-s": method("auto-s", C=1.0, gamma=0.01),
    "auto-v": method("auto-v", C=1.0),
    "dp-psasc": method("dp-psasc", C=0.5, s=1.0, r=0.1),
}


def tokens(seed: int) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """Two far words that are all but the same, and a loss of their difference."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 1, 64, generator=draws) * 3e3 + torch.randn(3, 2, 64, generator=draws) * 0.2
    return nn.Linear(64, 64), lambda model: (model(x)[:, 0] - model(x)[:, 1]).square().sum(1) * 5


def normalised(seed: int) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 1, 48, generator=draws) * 1e3 + torch.randn(3, 5, 48, generator=draws) * 0.01
    return nn.Linear(48, 32), lambda model: F.layer_norm(model(x).mT, (5,)).square().mul(torch.arange(5)).sum((1, 2))


def pixels(seed: int) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 32, 1, 1, generator=draws) * 1e3 + torch.randn(3, 32, 4, 4, generator=draws) * 0.01

    def losses(model: nn.Module) -> Tensor:
        inside = model(x)[:, :, 1:-1, 1:-1]
        return (inside - inside.mean((2, 3), keepdim=True)).square().sum((1, 2, 3))

    return nn.Conv2d(32, 64, 3, padding=1), losses


def words(seed: int) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
    """One word twice, at two places whose gradients are all but opposite."""
    ids = torch.tensor([[seed % 7, seed % 7, 8]] * 3)
    far = torch.randn(3, 1, 16, generator=torch.Generator().manual_seed(seed)) * 3e3
    scale = torch.cat([far, -far + 1e-3, torch.ones(3, 1, 16)], 1)
    return nn.Embedding(10, 16), lambda model: (model(ids) * scale).sum((1, 2))


CASES = {"tokens": tokens, "normalised": normalised, "pixels": pixels, "words": words}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", METHODS)
def test_no_example_contributes_more_than_the_sensitivity(case: str, name: str) -> None:
    chosen = METHODS[name]
    for seed in range(5):
        torch.manual_seed(seed)
        model, losses = CASES[case](seed)
        books = GradientBooks(model)
        for one in range(3):
            each = losses(model)
            mask = F.one_hot(torch.tensor(one), 3).float()
            books.record(each, mask)
            found = books.weighted_sum(chosen.weight)
            length = torch.cat([total.flatten() for total in found.sums.values()]).norm()
            assert length <= chosen.sensitivity() * (1 + 1e-4), f"{length} of {chosen.sensitivity()}"
            assert found.norms[one] > 0


@pytest.mark.parametrize("case", CASES)
def test_norms_and_sums_are_those_of_the_gradients_by_autograd(case: str) -> None:
    """In float64, where those have their digits; the others' rows stay what they were."""
    torch.manual_seed(0)
    model, losses = CASES[case](0)
    exact = nn.ModuleList([model]).double()[0]
    if case != "words":
        losses_of = losses
        losses = lambda model: _in_double(losses_of, model)  # noqa: E731
    gradients = [
        torch.cat([g.flatten() for g in torch.autograd.grad(losses(exact)[i], list(exact.parameters()))])
        for i in range(3)
    ]
    books = GradientBooks(exact)
    each = losses(exact)
    books.record(each, torch.ones_like(each))
    found = books.weighted_sum(torch.ones_like)
    norms = torch.stack([g.norm() for g in gradients])
    torch.testing.assert_close(found.norms, norms, rtol=1e-5, atol=0)
    total = torch.cat([found.sums[p].flatten() for p in exact.parameters()])
    torch.testing.assert_close(total, torch.stack(gradients).sum(0), rtol=1e-5, atol=1e-7 * float(norms.max()))


def _in_double(losses: Callable[[nn.Module], Tensor], model: nn.Module) -> Tensor:
    class Raised(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raised: Tensor = model(x.double())
            return raised

    return losses(Raised())
