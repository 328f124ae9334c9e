"""Models whose per-example gradients the engine cannot know: they are refused, and said why."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from explicit_gradients import from_books
from model_inputs import features, of_outputs
from torch import Tensor, nn

from psasc_bench.engine import GradientBooks


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
    with pytest.raises(TypeError, match=r"layer '1' \(BatchNorm2d\) mixes .*use nn\.GroupNorm"):
        GradientBooks(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))


@pytest.mark.parametrize("embedding", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"scale_grad_by_freq": True}, "mixes the examples of a batch with scale_grad_by_freq"),
        ({"max_norm": 1.0}, "changes its weights by what it sees, without noise, with max_norm"),
    ],
)
def test_embedding_that_depends_on_other_examples_is_refused(
    embedding: type[nn.Module], how: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=rf"layer '0' \({embedding.__name__}\) {message}"):
        GradientBooks(nn.Sequential(embedding(5, 3, **how)))


def test_parameter_used_outside_its_layer_is_refused() -> None:
    class Around(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self[0](x), self[0].weight)

    with pytest.raises(RuntimeError, match=r"parameter '[^']+' took part outside its layer"):
        from_books(Around(nn.Linear(4, 4)).double(), of_outputs(features(5, 4)))


def test_parameter_that_takes_no_part_is_refused() -> None:
    class Idle(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return self[0](x)

    with pytest.raises(RuntimeError, match=r"2 trainable parameter\(s\) took no part .*, the first is '"):
        from_books(Idle(nn.Linear(4, 4), nn.Linear(4, 3)).double(), of_outputs(features(5, 4)))
