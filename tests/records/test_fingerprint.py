"""A record's fingerprint: of method, network and preparation of the data by what they do, and of nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from shipped_methods import SHIPPED

from psasc_bench import code, data, methods, models
from psasc_bench.code import PACKAGE
from psasc_bench.records import fingerprint
from psasc_bench.study import RunSpec

SOURCES = ("digits", "mnist", "fashion_mnist", "cifar10", "npz")
PRINT = """
import json, sys
from psasc_bench import methods
from psasc_bench.records import fingerprint
from psasc_bench.study import RunSpec

def spec(method, model, evaluation):
    return RunSpec(dataset="d", model=model, method=method, parameters={}, epsilon=1, delta=0.1, learning_rate=1,
                   momentum=0, seed=0, expected_batch_size=1, epochs=1, evaluation=evaluation)

print(json.dumps({
    " ".join([method, model, source, features, evaluation]):
        fingerprint(spec(method, model, evaluation), source=source, features=features)
    for method, model, source, features, evaluation in json.loads(sys.argv[1])
}))
sys.exit("torch" in sys.modules)
"""
RUNS = [
    *product(SHIPPED, ["digits_cnn"], ["digits"], ["pixels"], ["test"]),
    *product(["dp-sgd"], models.names(), ["mnist"], ["pixels"], ["test"]),
    *product(["dp-sgd"], ["mnist_cnn"], SOURCES, ["pixels"], ["test", "validation"]),
    *product(["dp-sgd"], ["scatter_linear"], SOURCES, ["scattering"], ["test"]),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to be changed at will."""
    return Path(shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")))


def fingerprints(copy: Path) -> dict[str, str]:
    """As a new process finds them, which does not load torch for it."""
    asked = [sys.executable, "-B", "-c", PRINT, json.dumps(sorted({*RUNS}))]
    return dict(json.loads(subprocess.run(asked, cwd=copy.parent, capture_output=True, check=True).stdout))


def changed(copy: Path, file: str, old: str, new: str) -> set[str]:
    """What is another after ``old`` in a file has become ``new``."""
    before, path = fingerprints(copy), copy / file
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")
    after = fingerprints(copy)
    return {name for name in before if before[name] != after[name]}


def having(word: str) -> set[str]:
    return {" ".join(run) for run in RUNS if word in run}


def test_unlike_runs_have_unlike_fingerprints(copy: Path) -> None:
    found = fingerprints(copy)
    assert len(set(found.values())) == len(found) == len({*RUNS})
    assert all(len(one) == 16 for one in found.values())


def test_an_edited_method_is_another(copy: Path) -> None:
    assert changed(copy, "methods/auto_s.py", "norm + self.gamma", "norm - self.gamma") == having("auto-s")


def test_so_is_what_derives_from_it(copy: Path) -> None:
    expected = having("dp-psasc") | having("dp-psasc-inner")
    assert changed(copy, "methods/dp_psasc.py", "self.s * norm", "norm") == expected


def test_an_edited_network_is_another(copy: Path) -> None:
    old, new = "nn.Linear(128, 32), nn.Tanh(), nn.Linear(32, 10)", "nn.Linear(128, 16), nn.Tanh(), nn.Linear(16, 10)"
    assert changed(copy, "models/networks.py", old, new) == having("digits_cnn")


def test_an_edited_reader_concerns_its_own_source(copy: Path) -> None:
    assert changed(copy, "data/sources.py", "if x.ndim == 3:", "if x.ndim < 4:") == having("npz")


def test_edited_constants_concern_their_own_source(copy: Path) -> None:
    assert changed(copy, "data/sources.py", "(0.2860,)", "(0.286001,)") == having("fashion_mnist")


def test_what_is_read_from_torchvision_is_read_by_one_function(copy: Path) -> None:
    expected = having("mnist") | having("fashion_mnist") | having("cifar10")
    assert changed(copy, "data/sources.py", "x[:, None]\n        arrays", "x[None]\n        arrays") == expected


def test_edited_features_concern_who_has_them(copy: Path) -> None:
    assert changed(copy, "data/scattering.py", "GROUPS = 27", "GROUPS = 9") == having("scattering")


def test_edited_holding_out_concerns_who_is_evaluated_so(copy: Path) -> None:
    assert changed(copy, "data/dataset.py", "fraction: float = 1 / 6", "fraction: float = 1 / 5") == having(
        "validation"
    )


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("methods/auto_s.py", "automatic clipping", "clipping by itself"),
        ("methods/auto_s.py", "        return self.C /", "        # why\n\n        return (self.C) /"),
        ("methods/base.py", "got {value!r}", "not {value!r}"),
        ("models/networks.py", "a run should take seconds", "runs take seconds"),
        ("data/sources.py", "damaged (its md5", "not sound (its md5"),
        ("data/dataset.py", "np.savez(file, allow_pickle=False", "np.savez_compressed(file, allow_pickle=False"),
        ("files.py", "os.fsync(file.fileno())", "pass"),
        ("training/step.py", "decay**age", "decay*age"),
        ("engine/gradients.py", "bad = ~norms.isfinite()", "bad = norms.isnan()"),
    ],
)
def test_words_and_what_is_vouched_for_otherwise_concern_none(file: str, old: str, new: str, copy: Path) -> None:
    assert changed(copy, file, old, new) == set()


def test_helpers_beside_a_network_are_part_of_it(copy: Path) -> None:
    (copy / "models" / "widths.py").write_text("WIDTH = 32\n\ndef width():\n    return WIDTH\n", encoding="utf-8")
    path = copy / "models" / "networks.py"
    source = path.read_text(encoding="utf-8").replace("nn.Linear(128, 32)", "nn.Linear(128, width())")
    path.write_text("from psasc_bench.models.widths import width\n" + source, encoding="utf-8")
    assert changed(copy, "models/widths.py", "WIDTH = 32", "WIDTH = 16") == having("digits_cnn")


def test_the_name_of_the_data_set_does_not_matter(digits_spec: Callable[..., RunSpec]) -> None:
    one, other = digits_spec(dataset="digits"), digits_spec(dataset="numbers", seed=7, epsilon=1)
    of_digits = {fingerprint(spec, source="digits", features="pixels") for spec in (one, other)}
    assert len(of_digits) == 1
    assert fingerprint(one, source="mnist", features="pixels") not in of_digits


def test_update_rules_are_part_of_it_where_they_are_not_the_heavy_ball_alone(
    digits_spec: Callable[..., RunSpec],
) -> None:
    chains = [(), ({"adam": {}},), ({"adam": {}}, {"cosine": {}}), ({"cosine": {}}, {"adam": {}})]
    specs = [digits_spec(optimiser=chain) for chain in chains]
    found = [fingerprint(spec, source="digits", features="pixels") for spec in specs]
    assert len(set(found)) == len(chains)
    # as it was before there were rules
    of_parts = [models.fingerprint("digits_cnn"), data.fingerprint("digits", "pixels", "test")]
    assert found[0] == code.digest([methods.fingerprint(methods.load("dp-psasc")), *of_parts])


RULE = """
from psasc_bench.records import fingerprint
from psasc_bench.study import RunSpec
spec = RunSpec(dataset="d", model="digits_cnn", method="dp-sgd", parameters={}, epsilon=1, delta=0.1, learning_rate=1,
               momentum=0, seed=0, expected_batch_size=1, epochs=1, optimiser=({"average": {}}, {"heavy-ball": {}}))
print(fingerprint(spec, source="digits", features="pixels"))
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("optimisers/average.py", "taken + 9", "taken + 19", False),
        ("optimisers/heavy_ball.py", "self.momentum * state", "state", False),
        ("optimisers/adam.py", "1 - self.beta1", "self.beta1", True),
        ("optimisers/average.py", "forgets the initial", "drops the initial", True),
        ("optimisers/base.py", "got {value!r}", "not {value!r}", True),
    ],
)
def test_an_edited_rule_concerns_who_has_it(file: str, old: str, new: str, same: bool, copy: Path) -> None:
    def asked() -> bytes:
        ran = subprocess.run([sys.executable, "-B", "-c", RULE], cwd=copy.parent, capture_output=True, check=True)
        return ran.stdout

    before, path = asked(), copy / file
    source = path.read_text(encoding="utf-8")
    assert old in source
    path.write_text(source.replace(old, new), encoding="utf-8")
    assert (asked() == before) == same


def test_an_unknown_model_or_source_is_refused(digits_spec: Callable[..., RunSpec]) -> None:
    with pytest.raises(ValueError, match="unknown model 'digit_cnn'; did you mean digits_cnn"):
        fingerprint(digits_spec(model="digit_cnn"), source="digits", features="pixels")
    with pytest.raises(ValueError, match="unknown source 'letters'; known: digits, mnist"):
        fingerprint(digits_spec(), source="letters", features="pixels")
