"""Layers that private training cannot have are refused in a line, before anything is spent: by how a model is written,
and by what it is and does once it is built."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_runs import CPU, budget_for
from torch import Tensor, nn

from psasc_bench import models, training
from psasc_bench.code import PACKAGE
from psasc_bench.data import Dataset
from psasc_bench.models import networks
from psasc_bench.study import RunSpec

Built = Callable[[], nn.Module]


class Passing(nn.Module):
    """Two linear layers, with something done in between that no layer shows."""

    def __init__(self, between: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.between = nn.Linear(64, 64), nn.Linear(64, 10), between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self, self.first(x.flatten(1))))


class OwnDropout(nn.Dropout):
    pass


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.randn_like(x)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x


class Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - 0.01 * x.mean(0)


class RunningMean(nn.Module):
    """Of the examples trained on, in an attribute, for evaluation alone."""

    mean: Tensor | float = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x - self.mean
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x


class Gain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * x


class CentredIfMany(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0) if len(x) > 4 else x


class Recurrent(nn.Module):
    """By rows of the image."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.last = layer, nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x[:, 0])[0][:, -1])


class Attentive(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        rows = x[:, 0]
        return self.last(self.layer(rows, rows, rows)[0].repeat(1, 1, 2)[:, -1])


class Encoded(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x[:, 0]).repeat(1, 1, 2)[:, -1])


class TimeFirst(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x[:, 0].transpose(0, 1)).repeat(1, 1, 2)[-1])


class Remembering(nn.Module):
    """Goes on from the states that the last batch left."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.states = nn.GRU(8, 16, batch_first=True), None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        start = None if self.states is None or self.states.shape[1] != len(x) else self.states.to(x)
        outputs, states = self.inner(x, start)
        self.states = states.detach()
        return outputs, states


class Packed(Recurrent):
    def __init__(self) -> None:
        super().__init__(nn.GRU(8, 16, batch_first=True))

    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.full((len(x),), 8)
        packed = nn.utils.rnn.pack_padded_sequence(x[:, 0], lengths, batch_first=True)
        return self.last(nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0][:, -1])


def flat(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(64, 10))


REFUSED: dict[str, tuple[Built, str]] = {
    "dropout": (lambda: flat(nn.Dropout(0.1)), r"layer '1' \(Dropout\) draws at random"),
    "dropout in place": (lambda: flat(nn.Dropout(0.1, inplace=True)), r"layer '1' \(Dropout\) draws at random"),
    "dropout of channels": (lambda: flat(nn.Conv2d(1, 1, 1), nn.Dropout2d()), r"\(Dropout2d\) draws at random"),
    "dropout for SELU": (lambda: flat(nn.AlphaDropout()), r"\(AlphaDropout\) draws"),
    "dropout of features for SELU": (lambda: flat(nn.FeatureAlphaDropout()), r"\(FeatureAlphaDropout\) draws"),
    "dropout by another name": (lambda: flat(OwnDropout()), r"\(OwnDropout\) draws at random"),
    "random slopes": (lambda: flat(nn.RReLU()), r"\(RReLU\) draws at random"),
    "functional dropout": (lambda: Passing(lambda m, x: F.dropout(x, 0.1, m.training)), "Passing draws at random"),
    "noise of one's own": (lambda: flat(Noise()), r"layer '1' \(Noise\) draws at random"),
    "batch normalisation": (lambda: flat(nn.BatchNorm1d(64)), r"\(BatchNorm1d\) mixes the examples.*use GroupNorm"),
    "in two dimensions": (lambda: flat(nn.BatchNorm2d(1)), r"\(BatchNorm2d\) mixes"),
    "across processes": (lambda: flat(nn.SyncBatchNorm(64)), r"\(SyncBatchNorm\) mixes"),
    "functional normalisation": (
        lambda: Passing(lambda _, x: F.batch_norm(x, None, None, training=True)),
        "Passing mixes the examples",
    ),
    "a mean of one's own": (lambda: flat(Centred()), r"layer '1' \(Centred\) mixes"),
    "a mean of many": (lambda: flat(CentredIfMany()), r"layer '1' \(CentredIfMany\) mixes"),
    "a mean that only gradients see": (
        lambda: Passing(lambda _, x: x + 5 * (x.mean(0) - x.mean(0).detach())),
        "Passing mixes the examples",
    ),
    "a mean that one layer's gradients see": (
        lambda: Passing(lambda m, x: x + m.first(y := x.detach().mean(0)) - m.first(y).detach()),
        "Passing mixes the examples",
    ),
    "running statistics": (
        lambda: nn.Sequential(nn.InstanceNorm2d(1, track_running_stats=True), *flat()),
        r"layer '0' \(InstanceNorm2d\) keeps a state",
    ),
    "a mean for evaluation": (lambda: flat(RunningMean()), r"layer '1' \(RunningMean\) keeps a state"),
    "a count of one's own": (lambda: flat(Counting()), r"layer '1' \(Counting\) keeps a state"),
    "spectral normalisation": (
        lambda: nn.Sequential(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(64, 10))),
        "keeps a state",
    ),
    "dropout between recurrences": (
        lambda: Recurrent(nn.LSTM(8, 16, 2, dropout=0.1, batch_first=True)),
        r"layer 'layer' \(LSTM\) draws at random",
    ),
    "dropout of attention": (
        lambda: Attentive(nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)),
        r"layer 'layer' \(MultiheadAttention\) draws at random",
    ),
    "dropout of a transformer": (
        lambda: Encoded(nn.TransformerEncoderLayer(8, 2, batch_first=True)),
        r"layer 'layer.self_attn' \(MultiheadAttention\) draws at random",
    ),
    "a recurrence over the batch": (lambda: Recurrent(nn.RNN(8, 16)), r"layer 'layer' \(RNN\) mixes the examples"),
    "attention to other examples": (
        lambda: Attentive(nn.MultiheadAttention(8, 2)),
        r"layer 'layer' \(MultiheadAttention\) mixes the examples",
    ),
    "states kept between calls": (lambda: Recurrent(Remembering()), r"layer 'layer' \(Remembering\) draws at random"),
    "packed sequences": (lambda: Packed(), r"layer 'layer' \(GRU\) has a PackedSequence.*give it a padded one"),
    "a parameter around its layer": (
        lambda: Passing(lambda m, x: F.linear(x, m.first.weight)),
        "took part outside its layer",
    ),
    "a layer that is not used": (
        lambda: nn.ModuleList([nn.Linear(64, 10), nn.Linear(64, 10)]),
        "does not take images",
    ),
}
ACCEPTED: dict[str, Built] = {
    "a number that is trained": lambda: flat(Gain()),
    "group normalisation": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(144, 10)
    ),
    "instance normalisation": lambda: nn.Sequential(nn.InstanceNorm2d(1), *flat()),
    "layer normalisation": lambda: flat(nn.LayerNorm(64), nn.ReLU(inplace=True)),
    "a bias before a normalisation": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    ),
    "a recurrence": lambda: Recurrent(nn.RNN(8, 16, batch_first=True)),
    "long memory": lambda: Recurrent(nn.LSTM(8, 16, 2, batch_first=True)),
    "gates": lambda: Recurrent(nn.GRU(8, 16, batch_first=True)),
    "attention": lambda: Attentive(nn.MultiheadAttention(8, 2, batch_first=True)),
    "a transformer": lambda: Encoded(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, dropout=0.0, batch_first=True), 2)
    ),
    "a transformer that has time first": lambda: TimeFirst(nn.TransformerEncoderLayer(8, 2, dropout=0.0)),
    "a constant in single precision": lambda: Passing(lambda _, x: x @ torch.eye(64)),
    "an activation in between": lambda: Passing(lambda _, x: x.tanh()),
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[[Built], str]:
    """Lets there be a model."""

    def as_model(built: Built) -> str:
        monkeypatch.setitem(networks.MODELS, "odd_one", built)
        return "odd_one"

    return as_model


# ------------------------------------------------------------------------------------------------ once it is built


@pytest.mark.parametrize("case", REFUSED)
def test_layer_that_private_training_cannot_have_is_refused_by_its_name(
    case: str, known: Callable[[Built], str], digits: Dataset, digits_spec: Callable[..., RunSpec]
) -> None:
    built, message = REFUSED[case]
    spec = digits_spec(model=known(built))
    random_state = torch.get_rng_state()
    with pytest.raises(ValueError, match=message) as refused:
        training.train(spec, digits, budget_for(spec, digits), micro_batch_size=64, device=CPU)
    assert str(refused.value).startswith("datasets.digits.model: ")
    assert "\n" not in str(refused.value)
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.parametrize("case", ACCEPTED)
def test_other_layers_are_welcome(case: str, known: Callable[[Built], str], digits: Dataset) -> None:
    training.check_fit(known(ACCEPTED[case]), digits, name="digits")


@pytest.mark.parametrize("name", models.MODELS)
def test_models_of_the_protocol_are_welcome(name: str, digits: Dataset) -> None:
    shape = {"digits_cnn": (1, 8, 8), "mnist_cnn": (1, 28, 28), "cifar_cnn": (3, 32, 32)}.get(name, (15_552, 1, 1))
    images = np.zeros((4, *shape), np.float32)
    labels = digits.y_train[:4]
    few = dataclasses.replace(digits, x_train=images, x_test=images, y_train=labels, y_test=labels)
    training.check_fit(name, few, name="any")
    assert models.refused(name) is None


def test_model_for_other_images_is_refused_by_the_key(digits: Dataset) -> None:
    with pytest.raises(ValueError, match=r"^datasets\.some\.model: model mnist_cnn does not take images of shape \(1,"):
        training.check_fit("mnist_cnn", digits, name="some")


# ------------------------------------------------------------------------------------------ from how it is written


MODEL = """
def odd_one() -> nn.Module:
    {body}


MODELS: dict[str, Callable[[], nn.Module]] = {{
    "odd_one": odd_one,
"""
ASK = """
import json, sys
from psasc_bench import models
print(json.dumps([models.names(), models.refused("odd_one"), models.refused("digits_cnn")]))
sys.exit("torch" in sys.modules)
"""


def read(folder: Path, body: str, *, above: str = "") -> str | None:
    """What a process says that has such a model and does not load torch."""
    copy = Path(shutil.copytree(PACKAGE, folder / "psasc_bench", ignore=shutil.ignore_patterns("__pycache__")))
    path = copy / "models" / "networks.py"
    source = path.read_text(encoding="utf-8")
    table = "MODELS: dict[str, Callable[[], nn.Module]] = {"
    path.write_text(f"{above}\n" + source.replace(table, MODEL.format(body=body).strip()), encoding="utf-8")
    asked = subprocess.run([sys.executable, "-B", "-c", ASK], cwd=folder, capture_output=True, check=True)
    names, odd, fine = json.loads(asked.stdout)
    assert names[0] == "odd_one"
    assert fine is None
    return None if odd is None else str(odd)


@pytest.mark.parametrize(
    ("body", "above", "message"),
    [
        ("return nn.Sequential(nn.Dropout(0.1))", "", "model odd_one has torch.nn.Dropout, which draws at random"),
        ("return D()", "from torch.nn import Dropout2d as D", "has torch.nn.Dropout2d, which draws"),
        ("return Own()", "from torch import nn\nclass Own(nn.Dropout): pass", "has torch.nn.Dropout, which"),
        ("return helper()", "def helper():\n    return nn.BatchNorm2d(3)", "torch.nn.BatchNorm2d, which mixes"),
        (
            "return Own()",
            "import torch.nn.functional as F\nfrom torch import nn\n"
            "class Own(nn.Module):\n    def forward(self, x): return F.dropout(x, 0.5, self.training)",
            "torch.nn.functional.dropout, which draws",
        ),
        ("return nn.InstanceNorm2d(1, track_running_stats=True)", "", "track_running_stats, which keeps a state"),
    ],
)
def test_layer_is_refused_from_how_the_model_is_written(body: str, above: str, message: str, tmp_path: Path) -> None:
    assert message in str(read(tmp_path, body, above=above))


@pytest.mark.parametrize(
    "body",
    ["return nn.InstanceNorm2d(1, track_running_stats=False)", "return nn.GroupNorm(1, 1)  # rather than BatchNorm2d"],
)
def test_what_only_looks_like_it_is_let_pass(body: str, tmp_path: Path) -> None:
    assert read(tmp_path, body, above="def idle():\n    return nn.Dropout()") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit_cnn", r"^unknown model 'digit_cnn'; did you mean digits_cnn\? known: digits_cnn, mnist_cnn"),
        ("perceiver", r"^unknown model 'perceiver'; known: digits_cnn"),
    ],
)
def test_unknown_model_is_refused_with_the_likeliest_one(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        raise ValueError(models.refused(name))
    with pytest.raises(ValueError, match=message):
        models.create(name, seed=0)
