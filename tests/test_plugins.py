"""Code in files of one's own and of installed packages: found, told apart by content, refused in one line."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from psasc_bench import data, methods, models, optimisers, plugins, records
from psasc_bench.commands.creating import METHOD
from psasc_bench.data import Dataset
from psasc_bench.evidence import gate
from psasc_bench.planning import cell_study
from psasc_bench.study import Cell, ConfigError, RunSpec, Study, load_study, parse_study, spec_identity

MINE = METHOD.format(class_name="Mine", title="mine")
NET = """
from torch import nn

def net(input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""
ODD = """
from torch import nn

class _Odd(nn.Module):
    def forward(self, x):
        assert x.ndim == 7, "seven"
"""
RULE = """
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Scaled(UpdateRule):
    title = "Scaled"

    factor: float = 2.0

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return gradient * self.factor, state
"""
PROTOCOL: dict[str, Any] = {
    "source": "digits",
    "title": "Digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "epochs": 1,
    "micro_batch_size": 288,
    "delta": 1e-4,
    "learning_rate": 1,
    "momentum": 0.9,
}


def study_of(method: dict[str, Any], folder: Path = Path(), **protocol: Any) -> Study:
    values = {"seeds": 0, "epsilons": 3, "methods": {"mine": method}, "datasets": {"digits": PROTOCOL | protocol}}
    return parse_study(values, source="study", folder=folder)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# -------------------------------------------------------------------------------------------------- what is the same


def test_same_content_elsewhere_and_by_another_name_is_the_same_run(tmp_path: Path) -> None:
    one = written(tmp_path / "a" / "mine.py", MINE)
    two = written(tmp_path / "b" / "other.py", "# moved\n" + MINE)
    three = written(tmp_path / "c" / "mine.py", MINE.replace("self.C / (norm", "2 * self.C / (norm"))
    nets = [written(tmp_path / f"{name}.py", text) for name, text in (("n", NET), ("m", NET), ("o", NET + "# x"))]
    studies = [
        study_of({"file": str(path), "C": 0.1}, model={"file": str(net)})
        for path, net in zip((one, two, three), nets, strict=True)
    ]
    specs = [study.spec(Cell("digits", "mine", 3), 0) for study in studies]
    assert specs[0] == specs[1] != specs[2]
    assert specs[0].hash() == specs[1].hash() != specs[2].hash()
    assert specs[0].to_json() == specs[1].to_json()
    assert str(tmp_path) not in json.dumps(specs[0].to_json())
    ids = [spec_identity(study, spec) for study, spec in zip(studies, specs, strict=True)]
    assert ids[0] == ids[1] != ids[2]


def test_update_rule_in_a_file_is_its_content_too(tmp_path: Path) -> None:
    one = written(tmp_path / "a" / "my_rule.py", RULE)
    two = written(tmp_path / "b" / "other.py", "# moved\n" + RULE)
    three = written(tmp_path / "c" / "my_rule.py", RULE.replace("* self.factor", "/ self.factor"))
    method = {"method": "dp-sgd", "C": 0.1}
    studies = [study_of(method | {"optimiser": [{"file": str(path)}, "cosine"]}) for path in (one, two, three)]
    specs = [study.spec(Cell("digits", "mine", 3), 0) for study in studies]
    assert specs[0] == specs[1] != specs[2]
    assert specs[0].hash() == specs[1].hash() != specs[2].hash()
    assert str(tmp_path) not in json.dumps(specs[0].to_json())
    assert RunSpec.from_json(specs[0].to_json()) == specs[0]
    made = [records.fingerprint(spec, source="digits", features="pixels") for spec in specs]
    assert made[0] == made[1] != made[2]
    ids = [spec_identity(study, spec) for study, spec in zip(studies, specs, strict=True)]
    assert ids[0] == ids[1] != ids[2]


def test_update_rule_in_a_file_is_seen_from_the_study_and_set_by_its_name(tmp_path: Path) -> None:
    written(tmp_path / "my_rule.py", RULE)
    of_method = {"method": "dp-sgd", "C": 0.1, "optimiser": {"file": "my_rule.py", "factor": 3}, "my-rule.factor": 4}
    values = {"methods": {"mine": of_method}, "datasets": {"digits": {"optimiser": ["adam", {"file": "my_rule.py"}]}}}
    study = load_study(written(tmp_path / "one.yaml", json.dumps(values)))
    spec = study.spec(Cell("digits", "mine", 3), 0)
    assert spec.optimiser == ({str(tmp_path / "my_rule.py"): {"factor": 4}},)
    assert study.method_title("mine") == "DP-SGD (Scaled: factor = 3, C = 0.1, my-rule.factor = 4)"
    assert str(optimisers.create(spec.rules)) == "my-rule (factor = 4)"
    job = parse_study(json.loads(cell_study(study, "digits", "mine", 3.0)), source="/dev/stdin")
    assert job.spec(Cell("digits", "mine", 3), 0) == spec
    assert parse_study(json.loads(study.model_dump_json()), source="study.json") == study


def test_file_that_is_no_update_rule_is_refused_in_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "my_rule.py", "")
    with pytest.raises(ConfigError) as caught:
        study_of({"method": "dp-sgd", "C": 0.1, "optimiser": {"file": str(path)}})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"study: methods.mine.optimiser: {path}: must define exactly one UpdateRule, has 0")
    with pytest.raises(ConfigError, match=r"^study: methods\.mine\.optimiser: must name a Python file, NAME\.py"):
        study_of({"method": "dp-sgd", "C": 0.1, "optimiser": {"file": "rule"}})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "heavy_ball.py",
            RULE.replace("factor", "momentum"),
            "there is an update rule heavy-ball; give the file another",
        ),
        ("adam.py", RULE, "there is an update rule adam; give the file another name"),
        ("mine.py", RULE.replace('"Scaled"', '"Sca\\nled"'), "title: must have one line of printable"),
        ("mine.py", RULE.replace('"Scaled"', '""'), "title: must have 1 to 100 characters"),
    ],
)
def test_update_rule_that_would_be_taken_for_another_is_refused_in_a_line(
    name: str, text: str, told: str, tmp_path: Path
) -> None:
    """A heavy ball in a file would be trained as this suite's own."""
    path = written(tmp_path / name, text)
    with pytest.raises(ConfigError, match=told) as caught:
        study_of({"method": "dp-sgd", "C": 0.1, "optimiser": {"file": str(path)}})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"study: methods.mine.optimiser: {path}: ")


def test_update_rule_in_a_file_that_peeks_is_caught_before_training(tmp_path: Path) -> None:
    """The bug planted is a global that outlives the run."""
    path = written(tmp_path / "my_rule.py", RULE + "\n\nSEEN = []\n")
    gate.require_sound_optimiser([{str(path): {}}], tmp_path / "checks")
    peeking = RULE.replace("return gradient", "SEEN.append(1)\n        return len(SEEN) * gradient") + "\n\nSEEN = []\n"
    path = written(tmp_path / "bad" / "my_rule.py", peeking)
    with pytest.raises(ValueError, match=r"^my-rule \(factor = 2\) fails the battery and is not trained: .*no memory"):
        gate.require_sound_optimiser([{str(path): {}}], tmp_path / "checks")


def test_helpers_beside_a_file_are_its_own_whatever_else_has_their_name(tmp_path: Path) -> None:
    for name, value in (("a", 0.1), ("b", 0.2)):
        written(tmp_path / name / "helper.py", f"GAMMA = {value}\n")
        written(tmp_path / name / "mine.py", "from helper import GAMMA\n" + MINE.replace("= 0.01", "= GAMMA"))
    classes = [methods.from_file(tmp_path / name / "mine.py") for name in "ab"]
    assert [cls(C=1.0).gamma for cls in classes] == [0.1, 0.2]  # type: ignore[attr-defined,call-arg]
    assert methods.fingerprint(classes[0]) != methods.fingerprint(classes[1])
    assert "helper" not in sys.modules
    assert not any(str(tmp_path) in path for path in sys.path)


def test_code_in_a_file_is_what_a_process_found_first(tmp_path: Path, digits: Dataset) -> None:
    """Or else a record would vouch for code that it was not made by."""
    path = written(tmp_path / "mine.py", MINE)
    first = methods.from_file(path)
    before = methods.identity(str(path))
    written(path, MINE.replace("0.01", "0.02"))
    assert methods.from_file(path) is first
    assert methods.identity(str(path)) == before
    net = written(tmp_path / "net.py", NET)
    assert models.refused(str(net)) is None
    written(net, NET.replace("nn.Flatten()", "nn.Flatten(), nn.Tanh()"))
    with pytest.raises(ValueError, match=r"net\.py: was edited while this process ran; start it again"):
        models.create(str(net), digits, seed=0)


def test_import_of_a_neighbour_that_would_come_too_late_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "helper.py", "def weight():\n    import other\n")
    written(tmp_path / "other.py", "")
    late = MINE.replace("return self.C / (norm", "import other\n        return self.C / (norm")
    for name, text in (("mine.py", late), ("two.py", "import helper\n" + MINE)):
        with pytest.raises(ValueError, match=r"\.py: line \d+: import other at the top of the file"):
            methods.from_file(written(tmp_path / name, text))


FORMULA = "FACTOR = 1.0\n\n\ndef factor():\n    return FACTOR\n"
USING = MINE.replace("return self.C / (norm", "return factor() * self.C / (norm")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("formula.py", "from formula import factor"),
        ("lib/formula.py", "from lib.formula import factor"),  # a package without an __init__.py
        ("lib/formula.py", "import lib.formula\nfactor = lib.formula.factor"),
        ("lib/more/formula.py", "from lib.more.formula import factor"),
    ],
)
@pytest.mark.parametrize("packaged", [False, True])  # the method's own folder
def test_edit_of_what_a_file_imports_passes_neither_gate_nor_record(
    place: str, said: str, packaged: bool, tmp_path: Path
) -> None:
    """The bug planted is a factor of three that the sensitivity does not know of."""
    paths = []
    for folder, text in (("a", FORMULA), ("b", FORMULA.replace("1.0", "3.0"))):
        written(tmp_path / folder / place, text)
        if packaged:
            written(tmp_path / folder / "__init__.py", "")
        paths.append(str(written(tmp_path / folder / "mine.py", f"{said}\n{USING}")))
    gate.require_sound_method(paths[0], {"C": 0.1}, tmp_path / "checks")
    with pytest.raises(ValueError, match="fails the battery and is not trained: supremum is 3"):
        gate.require_sound_method(paths[1], {"C": 0.1}, tmp_path / "checks")
    specs = [study_of({"file": path, "C": 0.1}).spec(Cell("digits", "mine", 3), 0) for path in paths]
    assert specs[0].hash() != specs[1].hash()
    assert not [name for name in sys.modules if name.partition(".")[0] in ("formula", "lib")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("import importlib\nfactor = importlib.import_module('formula').factor", r"mine\.py: loads .*/formula\.py, to"),
        ("factor = __import__('lib.formula').formula.factor", r"mine\.py: loads .*lib/formula\.py, to which no import"),
        ("import sys\nsys.path.insert(0, 'lib')\nfrom formula2 import factor", r"mine\.py: changes sys\.path as it is"),
        (
            "def factor():\n    import lib.formula\n    return 1.0",
            r"line 2: import lib\.formula at the top of the file",
        ),
    ],
)
def test_file_that_is_loaded_unseen_is_refused_each_time(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else an edit of it would pass the gate by the note of what was there before."""
    monkeypatch.chdir(tmp_path)
    for name in ("formula.py", "lib/formula.py", "lib/formula2.py"):
        written(tmp_path / name, FORMULA)
    path = written(tmp_path / "mine.py", f"{said}\n{USING}")
    before, modules = list(sys.path), set(sys.modules)
    for _ in range(2):
        with pytest.raises(ValueError, match=told) as caught:
            methods.from_file(path)
        assert "\n" not in str(caught.value)
        assert sys.path == before
        assert not [name for name in sys.modules.keys() - modules if name.partition(".")[0].startswith("formula")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("torch.set_default_dtype(torch.float64)", "torch's default dtype"),
        ("torch.use_deterministic_algorithms(True)", "torch's deterministic algorithms"),
        ("torch.set_num_threads(torch.get_num_threads() + 1)", "torch's threads"),
        ("torch.set_grad_enabled(False)", "torch's gradients"),
        ("numpy.seterr(all='ignore')", "numpy's errors"),
    ],
)
def test_file_that_changes_the_runs_of_others_is_refused_and_undone(said: str, told: str, tmp_path: Path) -> None:
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), numpy.geterr()
    path = written(tmp_path / "mine.py", f"import numpy\nimport torch\n{said}\n{MINE}")
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"mine\.py: changes {told} as it is loaded"):
            methods.from_file(path)
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), numpy.geterr()) == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_file_that_draws_as_it_is_loaded_leaves_the_generators_as_they_were(tmp_path: Path) -> None:
    before = random.getstate(), numpy.random.get_state()[2], torch.random.get_rng_state()
    drawing = "import random, numpy, torch\nrandom.random(), numpy.random.random(), torch.rand(1)\n"
    methods.from_file(written(tmp_path / "mine.py", drawing + MINE))
    assert (random.getstate(), numpy.random.get_state()[2]) == before[:2]
    assert torch.equal(torch.random.get_rng_state(), before[2])


def test_file_is_refused_for_what_it_does_to_a_torch_that_it_loads_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.py", f"import torch\ntorch.set_default_dtype(torch.float64)\n{MINE}")
    program = f"from pathlib import Path\nfrom psasc_bench import methods\nmethods.from_file(Path({str(path)!r}))"
    path_to_it = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": ""}
    asked = [sys.executable, "-B", "-c", program]
    done = subprocess.run(asked, cwd=tmp_path, env=path_to_it, capture_output=True, text=True, check=False)
    assert "mine.py: changes torch's default dtype as it is loaded" in done.stderr


def test_paths_are_seen_from_the_file_that_says_them(tmp_path: Path) -> None:
    written(tmp_path / "code" / "mine.py", MINE)
    values = {"methods": {"mine": {"file": "../code/mine.py", "C": 0.1}}, "datasets": {"digits": {}}}
    study = load_study(written(tmp_path / "studies" / "one.yaml", json.dumps(values)))
    assert study.implementation("mine") == str(tmp_path / "code" / "mine.py")
    job = parse_study(json.loads(cell_study(study, "digits", "mine", 3.0)), source="/dev/stdin")
    assert job.spec(Cell("digits", "mine", 3), 0) == study.spec(Cell("digits", "mine", 3), 0)
    assert parse_study(json.loads(study.model_dump_json()), source="study.json") == study


def test_titles_and_thresholds_of_a_method_in_a_file(tmp_path: Path) -> None:
    path = str(written(tmp_path / "mine.py", MINE))
    assert study_of({"file": path, "C": 0.1}).method_title("mine") == "mine"
    study = study_of({"file": path}, sensitivity=0.3)
    assert study.method("digits", "mine").sensitivity() == pytest.approx(0.3)
    values = {"methods": {"dp-psasc": {"file": path, "C": 1}}, "datasets": {"digits": {}}}
    assert "r" not in parse_study(values, source="study").methods["dp-psasc"].settings  # nothing of its namesake


# ------------------------------------------------------------------------------------------------------- what is none


@pytest.mark.parametrize(
    ("method", "text", "told"),
    [
        ({"file": "absent.py"}, None, r"methods\.mine: .*absent\.py: not a Python file"),
        ({"file": "mine.txt"}, None, r"methods\.mine\.file: must name a Python file, NAME\.py"),
        ({"file": 3}, None, r"methods\.mine\.file: "),
        ({"file": "mine.py", "method": "dp-sgd"}, MINE, r"methods\.mine: has a method and a file"),
        ({"file": "mine.py"}, MINE + MINE.replace("Mine", "More"), "must define exactly one Method, has 2"),
        ({"file": "mine.py"}, "def f(:\n", "SyntaxError"),
        ({"file": "mine.py"}, "1 / 0\n", "ZeroDivisionError"),
        ({"file": "mine.py", "D": 1}, MINE, "has no hyper-parameter 'D'"),
    ],
)
def test_file_that_holds_no_method_is_refused_in_a_line(
    method: dict[str, Any], text: str | None, told: str, tmp_path: Path
) -> None:
    if text is not None:
        written(tmp_path / "mine.py", text)
    with pytest.raises(ConfigError, match=told) as caught:
        study_of({"C": 0.1} | method, tmp_path)
    assert all(line.startswith("study: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("key", "said", "text", "told"),
    [
        ("model", {"file": "absent.py"}, None, r"datasets\.digits\.model: .*absent\.py: cannot be read: No such file"),
        ("model", {"file": "net.py", "nme": "net"}, NET, r"must be a name, or \{file: PATH\}"),
        ("model", {"file": "net.py", "name": "nets"}, NET, "defines no nets; it defines: net"),
        ("model", {"file": "net.py"}, NET + NET.replace("net(", "more("), "has net, more; say which by `name:`"),
        ("model", {"file": "net.py"}, "x = 3\n", "must define one function or class to be used, has none"),
        ("model", {"file": "net.py"}, NET.replace("nn.Flatten()", "nn.Dropout()"), "draws at random"),
        ("source", {"file": "absent.py"}, None, r"datasets\.digits\.source: .*absent\.py: cannot be read"),
        ("source", {"file": "net.md"}, None, "must name a Python file"),
        ("source", "digit", None, "unknown source 'digit'; did you mean digits"),
    ],
)
def test_reference_to_nothing_is_refused_in_a_line(
    key: str, said: Any, text: str | None, told: str, tmp_path: Path
) -> None:
    if text is not None:
        written(tmp_path / "net.py", text)
    with pytest.raises(ConfigError, match=told) as caught:
        study_of({"method": "dp-sgd", "C": 0.1}, tmp_path, **{key: said})
    assert all(line.startswith("study: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def net():\n    return 3\n", "cannot be called with 2 arguments"),
        ("def net(shape, classes):\n    return 3\n", "must give a torch.nn.Module, gives int"),
        ("def net(shape, classes):\n    return {}['no\\nsuch']\n", "KeyError"),
        (NET.replace("nn.Linear(64, classes)", "nn.Identity()"), r"net\.py: has no parameter to train"),
        (NET.replace("64, classes)", "64, classes).requires_grad_(False)"), "has no parameter to train"),
        (
            NET.replace("classes))", "30), nn.Unflatten(1, (10, 3)))"),
            r"gives outputs \[4, 10, 3\] .* give \[4, classes\]",
        ),
        (NET.replace("classes))", "1), nn.Flatten(0))"), r"gives outputs \[4\] for 4 examples"),
        (NET.replace("classes))", "classes)).double()"), r"does not take .* \(RuntimeError: mat1 and mat2"),
        (ODD + NET.replace("nn.Flatten()", "_Odd()"), r"does not take .* \(AssertionError: seven\)"),
    ],
)
def test_network_that_cannot_be_built_is_refused_in_a_line(
    text: str, told: str, tmp_path: Path, digits: Dataset
) -> None:
    path = written(tmp_path / "net.py", text)
    with pytest.raises(ValueError, match=told) as caught:
        models.check_fit(str(path), digits)
    assert "\n" not in str(caught.value)


GIVEN = """
import numpy as np

def mine():
    x, y = np.ones((4, 3), np.float32), np.array([0, 1, 0, 1])
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y, "offset": 0.0, "scale": 1.0}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("mine()", "mine(a, b)", "cannot be called with 0 arguments"),
        ('"scale": 1.0', '"scale": 0.0', "scale must be 3 numbers above 0, or one for all"),
        ('"scale": 1.0', '"scale": [1, 2]', "scale must be 3 numbers above 0"),
        ('"offset": 0.0, ', "", "must return a dict of x_train.*scale, returns"),
        ("return {", "return [], {", "must return a dict .* returns tuple"),
        ("np.ones((4, 3)", "np.nan * np.ones((4, 3)", "12 missing, NaN or infinite"),
        ("[0, 1, 0, 1]", "[1, 2, 1, 2]", "labels from 1 to 2; it must have two classes or more, from 0"),
        ("[0, 1, 0, 1]", "[0, 0, 0, 0]", "labels from 0 to 0; it must have two classes or more"),
        ("[0, 1, 0, 1]", "[0, 1]", "must be of the same examples"),
        (
            "np.ones((4, 3)",
            "np.ones((4, 3, 1)",
            r"must be numbers, with a row for each example, or images \[n, channels",
        ),
        ("np.ones((4, 3), np.float32)", "-np.ones((4, 3), int)", r"must be token ids \[n, length\] from 0"),
        ('"x_test": x', '"x_test": [[1, 2], [3]]', r"source\.py: x_test is no array"),
        ('"offset": 0.0', '"offset": [[1, 2], 3]', r"source\.py: offset is no array"),
        ('"x_test": x', '"x_test": np.ma.array(x, mask=x > 0)', r"source\.py: x_test has masked values"),
        ('"x_test": x', '"x_test": x[:, :2]', "hold examples of unlike shape"),
    ],
)
def test_source_that_gives_what_is_no_data_is_refused_in_a_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path / "source.py", GIVEN.replace(old, new))
    with pytest.raises(ValueError, match=told) as caught:
        data.prepare(str(path), tmp_path / "out.npz", root=tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.npz").exists()


def test_method_in_a_file_does_not_pass_the_gate_for_another(tmp_path: Path) -> None:
    """The bug planted is an understated sensitivity."""
    path = written(tmp_path / "mine.py", MINE)
    gate.require_sound_method(str(path), {"C": 0.1}, tmp_path / "checks")
    (note,) = (tmp_path / "checks").iterdir()
    note.write_text("{}")  # is believed
    gate.require_sound_method(str(path), {"C": 0.1}, tmp_path / "checks")
    path = written(tmp_path / "edited.py", MINE.replace("return self.C\n", "return self.C / 2\n"))
    with pytest.raises(ValueError, match=r"edited\.py \(.*fails the battery and is not trained: supremum"):
        gate.require_sound_method(str(path), {"C": 0.1}, tmp_path / "checks")


# ------------------------------------------------------------------------------------------------- installed packages


def test_entry_points_of_installed_packages_are_found_by_name(tmp_path: Path) -> None:
    """In a process of its own, with a package as an installer leaves it."""
    site = tmp_path / "site-packages"
    written(site / "theirs" / "__init__.py", "")
    written(site / "theirs" / "scaling.py", MINE)
    written(site / "theirs" / "rules.py", RULE)
    written(site / "theirs" / "nets.py", NET)
    written(site / "theirs" / "data.py", GIVEN)
    entries = "[psasc_bench.methods]\ntheir-method = theirs.scaling:Mine\nodd = theirs.nets:net\ntwice = a:b\n"
    entries += (
        "[psasc_bench.models]\ntheir_net = theirs.nets:net\n[psasc_bench.sources]\ntheir_data = theirs.data:mine\n"
    )
    entries = entries.replace("odd =", "named.py = x:y\nUPPER = x:y\nbad name = x:y\nodd =")
    entries += "[psasc_bench.optimisers]\ntheir-rule = theirs.rules:Scaled\n"
    written(site / "theirs-1.dist-info" / "entry_points.txt", entries)
    written(site / "theirs-1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    written(site / "more-1.dist-info" / "entry_points.txt", "[psasc_bench.methods]\ntwice = c:d\n")
    written(site / "more-1.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    program = """
import sys
from pathlib import Path
from psasc_bench import data, methods, models, optimisers
print(optimisers.create([{"their-rule": {}}]), "their-rule" in optimisers.names(), optimisers.identity("their-rule"))
print(methods.create("their-method", {"C": 0.5}).sensitivity(), "their-method" in methods.names())
print([name for name in methods.names() if name in ("named.py", "UPPER", "bad name")])
print(methods.identity("their-method"), models.refused("their_net"), data.refused("their_data"))
print(methods.fingerprint(methods.load("their-method")), models.fingerprint("their_net"))
data.prepare("their_data", Path(sys.argv[1]), root=Path("."))
found = data.load(Path(sys.argv[1]))
print(found.source, models.create("their_net", found, seed=0)[1].out_features)
for name in ("odd", "twice", "none"):
    try:
        methods.load(name)
    except ValueError as error:
        print(error)
"""
    path = {"PYTHONPATH": f"{Path(__file__).parents[1]}:{site}", "PATH": ""}
    asked = [sys.executable, "-B", "-c", program, str(tmp_path / "out.npz")]
    done = subprocess.run(asked, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rule, sensitivity, unnamed, names, prints, prepared, *errors = done.stdout.splitlines()
    assert rule == "their-rule (factor = 2) True their-rule"
    assert sensitivity == "0.5 True"
    assert unnamed == "[]"
    assert names == "their-method None None"
    (tmp_path / "mine.py").write_text(MINE)
    assert prints.split()[0] == methods.fingerprint(methods.from_file(tmp_path / "mine.py"))
    assert prepared == "their_data 2"
    assert "must be a Method, is <function net" in errors[0]
    assert "is offered by a:b and c:d; uninstall one" in errors[1]
    assert errors[2].startswith("unknown method 'none'")


# ------------------------------------------------------------------------------------------------------- references


def test_reference_names_file_and_definition(tmp_path: Path) -> None:
    assert plugins.reference("a.py", "f", folder=tmp_path) == f"{tmp_path}/a.py::f"
    assert plugins.path_of(f"{tmp_path}/a.py::f") == tmp_path / "a.py"
    assert plugins.is_file("a.py::f")
    assert not plugins.is_file("dp-sgd")
    assert plugins.shown(f"{tmp_path}/a.py::f") == "a.py::f"
    assert plugins.shown("and/or") == "and/or"
