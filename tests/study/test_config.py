"""Configurations: what is accepted, what a study then holds, and that everything else gets a line with file and key."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError

from psasc_bench import methods
from psasc_bench.study import config
from psasc_bench.study.study import Cell, ConfigError, DatasetConfig, Study, Sweep

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))

DATASET: dict[str, Any] = {
    "source": "digits",
    "title": "Digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "micro_batch_size": 64,
    "epochs": 2,
    "delta": 1e-4,
    "learning_rate": 0.5,
    "momentum": 0.9,
}
STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [1, 8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}, "nonprivate": {}},
    "datasets": {"digits": DATASET},
}


# A data set of one's own: no protocol is known for it.
OWN = STUDY | {"datasets": {"mine": DATASET | {"source": "npz", "path": "mine.npz", "title": "Mine"}}}


def changed(key: str, value: Any) -> dict[str, Any]:
    """The study with the value at the dotted ``key`` replaced."""
    values = copy.deepcopy(STUDY)
    *path, last = key.split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
    place[last] = value
    return values


def parse(values: Any) -> Study:
    return config.parse_study(values, source="study.yaml")


def problems(values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(values)
    return str(caught.value).splitlines()


# ------------------------------------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_study_is_valid(path: Path) -> None:
    study = config.load_study(path)
    assert list(study.cells())


def test_resolved_study_comes_back_as_it_was(tmp_path: Path) -> None:
    """The workflow's jobs read the study from the JSON that it resolved."""
    path = tmp_path / "study.json"
    study = parse(changed("datasets.digits.delta", 1e-5))
    path.write_text(study.model_dump_json(indent=1))
    assert config.load_study(path) == study


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    """YAML 1.1 reads 1e-5, without a point, as a string."""
    values = yaml.safe_load(yaml.safe_dump(STUDY).replace("delta: 0.0001", "delta: 1e-5"))
    assert values["datasets"]["digits"]["delta"] == "1e-5"
    assert parse(values).dataset("digits").delta == 1e-5


def test_lists_from_the_command_line_are_lists() -> None:
    """`snakemake --config 'seeds=[3, 4]'` hands over text."""
    assert parse(changed("seeds", "[3, 4]")).seeds == (3, 4)


# ------------------------------------------------------------------------------------------------ what a study holds


def test_cells_are_the_grid_with_one_cell_without_privacy() -> None:
    assert list(parse(STUDY).cells()) == [
        Cell("digits", "dp-sgd", 1.0),
        Cell("digits", "dp-sgd", 8.0),
        Cell("digits", "dp-psasc", 1.0),
        Cell("digits", "dp-psasc", 8.0),
        Cell("digits", "nonprivate", math.inf),
    ]


def test_data_set_may_have_its_own_epsilons_and_seeds() -> None:
    own = DATASET | {"epsilons": [3], "seeds": [7], "title": "Other"}
    study = parse(STUDY | {"datasets": {"digits": DATASET, "other": own}})
    assert (study.cell_epsilons("digits", "dp-sgd"), study.cell_seeds("digits", 1)) == ((1, 8), (0, 1))
    assert (study.cell_epsilons("other", "dp-sgd"), study.cell_seeds("other", 3)) == ((3,), (7,))


def test_an_epsilon_may_have_more_seeds() -> None:
    study = parse(changed("datasets.digits.more_seeds", {8: [2, 3]}))
    assert [study.cell_seeds("digits", epsilon) for epsilon in (1, 8, math.inf)] == [(0, 1), (0, 1, 2, 3), (0, 1)]
    assert config.parse_study(study.model_dump(mode="json"), source="json") == study


def test_spec_has_the_protocol_of_the_data_set() -> None:
    spec = parse(STUDY).spec(Cell("digits", "dp-psasc", 8.0), seed=1)
    assert {"C": 0.2, "s": 2.0, "r": 0.1}.items() <= spec.parameters.items()
    assert (spec.epsilon, spec.delta, spec.seed, spec.epochs) == (8.0, 1e-4, 1, 2)
    assert (spec.expected_batch_size, spec.learning_rate, spec.momentum) == (256, 0.5, 0.9)


def test_override_beats_method_beats_data_set() -> None:
    values = changed("methods.dp-sgd", {"C": 0.1, "learning_rate": 2, "momentum": 0.5})
    values["datasets"]["digits"] |= {"overrides": {"dp-sgd": {"C": 0.3, "learning_rate": 4}}}
    spec = parse(values).spec(Cell("digits", "dp-sgd", 1.0), seed=0)
    assert (spec.parameters["C"], spec.learning_rate, spec.momentum) == (0.3, 4, 0.5)
    assert parse(values).spec(Cell("digits", "dp-psasc", 1.0), seed=0).learning_rate == 0.5


BY_EPSILON = {8: {"dp-sgd": {"C": 0.4, "learning_rate": 3}}}


def test_override_for_an_epsilon_goes_before_all_others_there() -> None:
    values = changed("datasets.digits.overrides", {"dp-sgd": {"C": 0.3, "momentum": 0.5}})
    values["datasets"]["digits"] |= {"overrides_by_epsilon": BY_EPSILON}
    study = parse(values)
    specs = [study.spec(Cell("digits", "dp-sgd", epsilon), seed=0) for epsilon in (1.0, 8.0)]
    assert [(spec.parameters["C"], spec.learning_rate, spec.momentum) for spec in specs] == [
        (0.3, 0.5, 0.5),
        (0.4, 3, 0.5),
    ]
    assert [study.method("digits", "dp-sgd", epsilon).sensitivity() for epsilon in (1, 8, math.inf)] == [0.3, 0.4, 0.3]
    assert study.spec(Cell("digits", "dp-psasc", 8.0), seed=0).learning_rate == 0.5


def test_threshold_that_gives_the_sensitivity_follows_from_what_an_epsilon_has() -> None:
    values = changed("methods.dp-psasc", {"s": 2, "r": 0.1})
    values["datasets"]["digits"] |= {"sensitivity": 0.1, "overrides_by_epsilon": {8: {"dp-psasc": {"s": 4}}}}
    study = parse(values)
    found = [study.spec(Cell("digits", "dp-psasc", epsilon), seed=0).parameters["C"] for epsilon in (1.0, 8.0)]
    assert found == [pytest.approx(0.2), pytest.approx(0.4)]


def test_study_with_overrides_for_epsilons_comes_back_as_it_was() -> None:
    study = parse(changed("datasets.digits.overrides_by_epsilon", BY_EPSILON))
    assert config.parse_study(study.model_dump(mode="json"), source="json") == study


def test_data_set_may_have_some_of_the_methods() -> None:
    some = DATASET | {"title": "Some", "methods": ["nonprivate", "dp-psasc"], "epsilons": [3], "tuned": True}
    study = parse(STUDY | {"datasets": {"digits": DATASET, "some": some}})
    assert study.methods_on("digits") == ["dp-sgd", "dp-psasc", "nonprivate"]
    assert study.methods_on("some") == ["dp-psasc", "nonprivate"]
    cells = [cell for cell in study.cells() if cell.dataset == "some"]
    assert cells == [Cell("some", "dp-psasc", 3.0), Cell("some", "nonprivate", math.inf)]
    assert [dataset.tuned for dataset in study.datasets.values()] == [False, True]


def test_method_needs_settings_only_where_it_is_trained() -> None:
    mine = DATASET | {"source": "npz", "path": "mine.npz"}
    there = mine | {"overrides": {"dp-sgd": {"C": 1}}}
    not_there = mine | {"title": "Not there", "methods": ["nonprivate"]}
    values = STUDY | {"methods": {"dp-sgd": {}, "nonprivate": {}}, "datasets": {"there": there, "not_there": not_there}}
    assert len(list(parse(values).cells())) == 4


@pytest.mark.parametrize(("dataset", "method"), [("cifar", "dp-sgd"), ("digits", "dp-psac")])
def test_asking_for_what_the_study_has_not_names_what_it_has(dataset: str, method: str) -> None:
    with pytest.raises(
        ConfigError, match=r"no (data set 'cifar'; there are: digits|method 'dp-psac'; there are: dp-sgd)"
    ):
        parse(STUDY).spec(Cell(dataset, method, 1.0), seed=0)


# ------------------------------------------------------------------------------------------------ what is refused

POSITIVE = ["epsilons.0", "methods.dp-sgd.C", *(f"datasets.digits.{key}" for key in ("learning_rate", "delta"))]
COUNTS = [f"datasets.digits.{key}" for key in ("expected_batch_size", "micro_batch_size", "epochs")]
NOT_NUMBERS = [True, "many", None, [1], {"a": 1}]
NOT_FINITE = [math.nan, math.inf, -math.inf, ".nan", "nan", "inf"]


def with_value(key: str, value: Any) -> dict[str, Any]:
    return changed("epsilons", [value]) if key == "epsilons.0" else changed(key, value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, *NOT_FINITE, 0, -1, -0.0], ids=repr)
@pytest.mark.parametrize("key", [*POSITIVE, *COUNTS])
def test_value_that_must_be_a_positive_number_is_refused_by_key(key: str, value: Any) -> None:
    (line,) = problems(with_value(key, value))
    assert line.startswith(f"study.yaml: {key}")


@pytest.mark.parametrize("value", [0.5, "2.5"])
@pytest.mark.parametrize("key", COUNTS)
def test_broken_count_is_refused_by_key(key: str, value: Any) -> None:
    (line,) = problems(changed(key, value))
    assert line.startswith(f"study.yaml: {key}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("datasets.digits.delta", 1),
        ("datasets.digits.momentum", 1),
        ("datasets.digits.momentum", -0.1),
        ("datasets.digits.momentum", math.nan),
        ("datasets.digits.momentum", False),
        ("methods.dp-sgd.momentum", 1),
        ("methods.dp-sgd.learning_rate", math.inf),
        ("datasets.digits.share_process", "perhaps"),
        ("datasets.digits.source", "imagenet"),
        ("datasets.digits.title", 5),
        ("datasets.digits.model", None),
        ("data_root", 5),
        ("seeds", []),
        ("epsilons", []),
        ("methods", {}),
        ("methods", ["dp-sgd"]),
        ("methods.dp-sgd", 0.1),
        ("datasets", {}),
        ("datasets.digits", 3),
        ("datasets.digits.seeds", []),
        ("datasets.digits.epsilons", []),
    ],
    ids=str,
)
def test_impossible_value_is_refused_by_key(key: str, value: Any) -> None:
    (line,) = problems(changed(key, value))
    assert line.startswith(f"study.yaml: {key}: ")


@pytest.mark.parametrize("key", ["clip", "datasets.digits.clip"])
def test_unknown_key_is_refused_by_name(key: str) -> None:
    assert problems(changed(key, 1)) == [f"study.yaml: {key}: unknown key; see config/README.md for the known ones"]


@pytest.mark.parametrize("place", ["methods.dp-psasc", "datasets.digits.overrides.dp-psasc"])
def test_unknown_hyper_parameter_is_refused_with_the_known_ones(place: str) -> None:
    (line,) = problems(changed(f"{place}.clip", 1))
    assert line.startswith(f"study.yaml: {place}: dp-psasc has no hyper-parameter 'clip'; it has: ")
    assert "C, s, r" in line


def test_model_that_there_is_not_is_refused_with_the_likeliest() -> None:
    (line,) = problems(changed("datasets.digits.model", "digit_cnn"))
    assert line.startswith("study.yaml: datasets.digits.model: unknown model 'digit_cnn'; did you mean digits_cnn?")


def test_needed_hyper_parameter_is_asked_for() -> None:
    (line,) = problems(OWN | {"methods": {"dp-sgd": {}}})
    assert line == "study.yaml: methods.dp-sgd: dp-sgd needs a value for 'C'"


def test_unknown_method_is_refused_with_the_known_ones() -> None:
    (line,) = problems(changed("methods.dp-sgf", {"C": 1}))
    assert line.startswith("study.yaml: methods.dp-sgf: unknown method 'dp-sgf'; did you mean dp-sgd? known: adasig, ")


@pytest.mark.parametrize(("train", "trained"), [(None, ["digits"]), (["digits"], ["digits"]), ([], [])], ids=str)
def test_data_sets_are_trained_unless_others_are_named(train: list[str] | None, trained: list[str]) -> None:
    assert parse(changed("train", train)).trained() == trained


def test_unknown_data_set_to_train_is_refused_with_the_known_ones() -> None:
    (line,) = problems(changed("train", ["mnist"]))
    assert line == "study.yaml: train: not in this study: mnist; there are: digits"


@pytest.mark.parametrize("key", [*DATASET, "methods", "datasets"])
def test_needed_key_is_asked_for(key: str) -> None:
    values = copy.deepcopy(OWN)
    place = values["datasets"]["mine"] if key in DATASET else values
    del place[key]
    prefix = "datasets.mine." if key in DATASET else ""
    assert problems(values) == [f"study.yaml: {prefix}{key}: this key is needed; see config/README.md"]


@pytest.mark.parametrize("name", ["CIFAR", "cifar-10", "a/b", "", "../up", "_x"])
def test_data_set_name_unfit_for_a_file_name_is_refused(name: str) -> None:
    (line,) = problems(STUDY | {"datasets": {name: DATASET}})
    assert line.startswith(f"study.yaml: datasets.{name}: string should match pattern")


@pytest.mark.parametrize("place", ["", "datasets.digits."])
@pytest.mark.parametrize(("key", "values"), [("seeds", [0, 0]), ("seeds", [1, "1"]), ("epsilons", [1, 1.0])], ids=str)
def test_value_named_twice_is_refused(place: str, key: str, values: list[Any]) -> None:
    (line,) = problems(changed(place + key, values))
    assert line.startswith(f"study.yaml: {place}{key}: must not name a value twice")


def test_epsilons_that_would_share_a_file_name_are_refused() -> None:
    (line,) = problems(changed("epsilons", [1, 1.0000001]))
    assert line.startswith("study.yaml: epsilons.1: must have at most 6 significant digits")


def test_negative_seed_is_refused() -> None:
    (line,) = problems(changed("seeds", [0, -1]))
    assert line.startswith("study.yaml: seeds.1: ")


def test_only_invalid_items_of_a_list_are_named_not_that_none_is_left() -> None:
    assert [line.split(": ")[1] for line in problems(changed("epsilons", [0, "a"]))] == ["epsilons.0", "epsilons.1"]


def test_momentum_of_one_method_alone_is_checked_too() -> None:
    (line,) = problems(changed("datasets.digits.overrides", {"dp-sgd": {"momentum": 1.5}}))
    assert line == "study.yaml: datasets.digits.overrides.dp-sgd.momentum: must be less than 1, got 1.5"


def test_override_for_an_absent_method_is_refused() -> None:
    (line,) = problems(changed("datasets.digits.overrides", {"auto-s": {"C": 1}}))
    assert line.startswith(
        "study.yaml: datasets.digits.overrides.auto-s: not a method of this study, which has: dp-sgd"
    )


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"source": "npz"}, "path"),
        ({"path": "x.npz"}, "path"),
        ({"source": "npz", "path": "x.npz", "mean": [0.5]}, "mean"),
        ({"source": "npz", "path": "x.npz", "deviation": [0.5]}, "deviation"),
        ({"mean": [0.5], "deviation": [0.5]}, "mean"),
        ({"source": "npz", "path": "x.npz", "mean": [math.nan], "deviation": [1]}, "mean"),
        ({"source": "npz", "path": "x.npz", "mean": [0.5], "deviation": [0]}, "deviation"),
    ],
    ids=str,
)
def test_key_of_an_npz_in_the_wrong_place_is_refused(values: dict[str, Any], key: str) -> None:
    (line,) = problems(changed("datasets.digits", DATASET | values))
    assert line.startswith("study.yaml: datasets.digits")
    assert key in line


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"more_seeds": {3: [2]}}, "more_seeds: 3 is no epsilon of this data set"),
        ({"more_seeds": {8: [1, 2]}}, "more_seeds.8: must name none that there is already: 1"),
        ({"more_seeds": {8: [2]}, "share_process": True}, "more_seeds: not with share_process"),
        ({"more_seeds": {8: []}}, "more_seeds.8: "),
        ({"more_seeds": {"many": [2]}}, "more_seeds.many: "),
        ({"more_seeds": {8: [2], "8": [3]}}, "more_seeds: must not have a key twice, as 8, got "),
    ],
    ids=str,
)
def test_impossible_additional_seeds_are_refused(values: dict[str, Any], problem: str) -> None:
    (line,) = problems(changed("datasets.digits", DATASET | values))
    assert line.startswith(f"study.yaml: datasets.digits.{problem}")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"overrides_by_epsilon": {3: {"dp-sgd": {"C": 1}}}}, "overrides_by_epsilon: 3 is no epsilon of this data set"),
        ({"overrides_by_epsilon": {8: {"auto-s": {"C": 1}}}}, "overrides_by_epsilon.8.auto-s: not a method of this st"),
        ({"overrides_by_epsilon": {8: {"dp-sgd": {"r": 1}}}}, "overrides_by_epsilon.8.dp-sgd: dp-sgd has no hyper-par"),
        ({"overrides_by_epsilon": {8: {"dp-sgd": {"momentum": 1}}}}, "overrides_by_epsilon.8.dp-sgd.momentum: must be"),
        ({"overrides_by_epsilon": {8: {"dp-sgd": {"C": 0}}}}, "overrides_by_epsilon.8.dp-sgd.C: "),
        ({"overrides_by_epsilon": {8: {}, "8": {}}}, "overrides_by_epsilon: must not have a key twice, as 8, got "),
        ({"methods": ["auto-s"]}, "methods: not in this study: auto-s; there are: dp-sgd, dp-psasc, nonprivate"),
        ({"methods": ["dp-sgd", "dp-sgd"]}, "methods: must not name a value twice"),
        ({"methods": []}, "methods: "),
        ({"tuned": "perhaps"}, "tuned: "),
    ],
    ids=str,
)
def test_impossible_override_for_an_epsilon_or_choice_of_methods_is_refused(
    values: dict[str, Any], problem: str
) -> None:
    (line,) = problems(changed("datasets.digits", DATASET | values))
    assert line.startswith(f"study.yaml: datasets.digits.{problem}")


def test_every_problem_gets_a_line() -> None:
    values = changed("clip", 1) | {"seeds": []}
    values["datasets"]["digits"] |= {"epochs": 0, "delta": 2}
    assert [line.split(": ")[1] for line in problems(values)] == [
        "seeds",
        "datasets.digits.epochs",
        "datasets.digits.delta",
        "clip",
    ]


def test_problem_of_a_method_is_told_once_however_many_data_sets_there_are() -> None:
    values = changed("methods.dp-sgd", {"clip": 1})
    values["datasets"]["other"] = DATASET | {"title": "Other"}
    assert len(problems(values)) == 1


@pytest.mark.parametrize("values", [None, 5, "seeds", [STUDY], {1, 2}], ids=str)
def test_what_is_no_mapping_is_refused(values: Any) -> None:
    (line,) = problems(values)
    assert line.startswith("study.yaml: must be a mapping")


MISTAKEN = {"source": "npz", "path": "$NOTHING"}


def test_empty_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTHING", "")
    (line,) = problems(changed("datasets.digits", DATASET | MISTAKEN))
    assert line == "study.yaml: datasets.digits.path: must not be empty, got '$NOTHING'"


@pytest.mark.parametrize("key", ["method", "title"])
def test_sweep_of_what_is_no_setting_is_refused_in_a_line(key: str) -> None:
    sweep = {"evaluation": "test", "datasets": ["digits"], "epsilons": 1, "seeds": 7, "methods": {"dp-sgd": {key: [1]}}}
    (line,) = problems(STUDY | {"sweeps": {"grid": sweep}})
    assert line.startswith(
        f"study.yaml: sweeps.grid.methods.dp-sgd.0: must vary settings of a method, which '{key}' is"
    )


@pytest.mark.parametrize(
    "title", ["", " ", "a ", "a\nb", "a\x1b[1mb", "a\x85b", "a\ufffeb", "a\U0001ffffb", "\u200b", "x" * 101]
)
def test_title_that_no_table_can_hold_is_refused(title: str) -> None:
    for values in (changed("datasets.digits.title", title), changed("methods.dp-sgd.title", title)):
        (line,) = problems(values)
        assert ".title: must have " in line


def test_half_of_a_pair_is_no_title() -> None:
    (line,) = problems(changed("methods.dp-sgd.title", "a\ud800b"))
    assert line.startswith("study.yaml: methods.dp-sgd.title: ")


@pytest.mark.parametrize(
    "other", ["e\u0301 b", "\u00e9\u200b b", "\u00e9  b", "\u00e9\u00a0b", "e\u200b\u0301 b", "\u00e9 \uff42"]
)
def test_titles_that_look_the_same_are_refused(other: str) -> None:
    (line,) = problems(
        STUDY | {"methods": {"dp-sgd": {"C": 1, "title": "\u00e9 b"}, "auto-s": {"C": 1, "gamma": 1, "title": other}}}
    )
    assert line.startswith("study.yaml: methods.auto-s.title: ")
    assert line.endswith(" looks like the title of methods.dp-sgd; give it another")


def test_titles_may_differ_in_capitals_alone() -> None:
    values = changed("datasets.other", DATASET | {"title": "digits"})
    assert [dataset.title for dataset in parse(values).datasets.values()] == ["Digits", "digits"]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Lets there be a method in a file of its own, as if it stood beside the others."""

    def add(source: str) -> str:
        file = tmp_path / "odd_one.py"
        file.write_text(source)
        load, names = methods.load, methods.names
        monkeypatch.setattr(methods, "load", lambda name: methods.from_file(file) if name == "odd-one" else load(name))
        monkeypatch.setattr(methods, "names", lambda: [*names(), "odd-one"])
        return "odd-one"

    return add


ODD = """
from dataclasses import dataclass
from psasc_bench.methods.base import Method

@dataclass(frozen=True, kw_only=True)
class Odd(Method):
    title = "odd"
    C: float
    def weight(self, norm):
        return self.C / (norm + 1)
    def sensitivity(self):
        return self.C
"""


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        (ODD.replace("@dataclass(frozen=True, kw_only=True)", ""), "Odd: write @dataclass"),
        (ODD.replace('"odd"', "3"), "Odd.title: must be text, got 3"),
        (ODD.replace("    C: float", "    C: float\n    seed: float = 1"), "Odd.seed: this name means something else"),
        (ODD.replace("return self.C\n", "return 0.0\n"), "odd-one: sensitivity(): must return a number above 0"),
        (ODD.replace("return self.C\n", "return None\n"), "odd-one: sensitivity(): must return a number above 0"),
        (ODD + "    def __post_init__(self):\n        raise TypeError('no')\n", "odd-one: TypeError: no"),
    ],
)
@pytest.mark.parametrize("settings", [{"C": 1.0}, {}], ids=["settled", "from the data set's sensitivity"])
def test_faulty_method_is_refused_in_a_line(
    source: str, problem: str, settings: dict[str, float], added: Callable[[str], str]
) -> None:
    datasets = {"digits": DATASET | {"sensitivity": 0.1}, "other": DATASET | {"sensitivity": 0.1, "title": "Other"}}
    (line,) = problems(STUDY | {"methods": {"dp-sgd": {}, added(source): settings}, "datasets": datasets})
    assert line.startswith("study.yaml: methods.odd-one: ")
    assert problem in line


# ------------------------------------------------------------------------------------------------ files and garbage

BAD_YAML = {
    "unclosed": b"seeds: [0, 1",
    "tab": b"seeds:\n\t- 0",
    "binary": bytes(range(256)),
    "not utf-8": b"title: \xff",
    "null byte": b"seeds: \x00",
    "impossible date": b"seeds: 2001-99-99",
    "python object": b"seeds: !!python/object/apply:os.getcwd []",
    "impossible integer": b"seeds: !!int many",
    "impossible truth value": b"seeds: !!bool perhaps",
    "impossible time": b"seeds: !!timestamp now",
    "empty integer": b"seeds: !!int ''",
    "unhashable key": b"? {a: {b: 1}}\n: 1",
    "bottomless": b"[" * 20_000,
    "endless integer": b"seeds: [" + b"9" * 5_000 + b"]",
}
GARBAGE = {
    "empty": b"",
    "a list": b"- 1\n- 2",
    "a cycle": b"seeds: &a [*a]\nmethods: &b {x: *b}",
    "key of two lines": b'{"a\\nb": 1, "c\\u2028d": 2}',
    "keys of other types": b"{1: 2, null: 3, 2001-01-01: 4, true: 5}",
    "a bomb": b"a: &a [x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 8)) for i in range(12)),
}


@pytest.mark.parametrize("text", BAD_YAML.values(), ids=list(BAD_YAML))
def test_text_that_is_no_yaml_is_refused_in_one_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        config.load_study(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: not valid YAML: ")


@pytest.mark.parametrize(
    ("text", "key", "line", "column"),
    [
        ("seeds: [0]\nseeds: [1]", "seeds", 2, 1),
        ("methods:\n  dp-sgd: {C: 1, s: 2, C: 3}", "C", 2, 24),
        ("'seeds': [0]\nseeds: [1]", "seeds", 2, 1),
        ("seeds: [{a: {b: 1, b: 1}}]", "b", 1, 20),
        ("seeds: {3: 1, 3.0: 1}", "3.0", 1, 15),
        ("seeds: {<<: {a: 1}, <<: {a: 2}}", "<<", 1, 21),
    ],
)
def test_key_given_twice_is_refused_with_its_place(text: str, key: str, line: int, column: int, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load_study(path)
    (told,) = str(caught.value).splitlines()
    assert told.startswith(f"{path}: not valid YAML: key {key!r} is given twice in ")
    assert f"line {line}, column {column}:" in told


def flow(value: Any) -> str:
    """As YAML; a mapping is a list of pairs here."""
    return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value) + "}" if isinstance(value, list) else value


pairs = st.recursive(
    st.just("1"), lambda inner: st.lists(st.tuples(st.sampled_from("abcdef"), inner), max_size=4), max_leaves=20
)


@given(value=st.lists(st.tuples(st.sampled_from(["seeds", "methods"]), pairs), max_size=2))
def test_key_given_twice_is_one_to_ruamel_yaml_too(value: Any) -> None:
    text = flow(value)
    try:
        expected = YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError:
        with pytest.raises(yaml.MarkedYAMLError, match="is given twice"):
            yaml.load(text, Loader=config._Loader)
    else:
        assert yaml.load(text, Loader=config._Loader) == expected


def test_values_are_those_that_snakemake_reads() -> None:
    """It reads with PyYAML, which is YAML 1.1; to ruamel.yaml and YAML 1.2, the first five are other values."""
    text = "[1e-5, no, 017, 1:30, 1e5, 1.0e-5, .inf, 2001-01-01, ~]"
    values = yaml.load(text, Loader=config._Loader)
    assert values == yaml.safe_load(text) == ["1e-5", False, 15, 90, "1e5", 1e-5, math.inf, date(2001, 1, 1), None]
    theirs = YAML(typ="safe", pure=True).load(text)
    assert [mine == other for mine, other in zip(values, theirs, strict=True)] == [False] * 5 + [True] * 4


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_study_is_read_alike_by_all(path: Path) -> None:
    text = path.read_text()
    read = yaml.load(text, Loader=config._Loader)
    assert read == yaml.safe_load(text) == YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("text", GARBAGE.values(), ids=list(GARBAGE))
def test_yaml_that_is_no_study_is_refused_with_short_lines(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        config.load_study(path)
    assert all(
        line.startswith(f"{path}: ") and len(line) < len(str(path)) + 300 for line in str(caught.value).splitlines()
    )


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_file_that_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r": cannot be read: "):
        config.load_study(tmp_path / name)


KEYS = [*STUDY, *DATASET, "dp-sgd", "digits", "overrides", "path", "mean", "data_root", "clip"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.sampled_from(["digits", "dp-sgd", "npz", "1e-5", "[0]", "{a: 1}", "2001-99-99", "[" * 5_000])
)
keys = st.sampled_from(KEYS) | st.text(max_size=4) | st.integers() | st.none() | st.tuples(st.integers())
garbage = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
PLACES = [
    *STUDY,
    *(f"datasets.digits.{key}" for key in [*DATASET, "overrides", "overrides.dp-sgd", "path", "mean", "share_process"]),
    *(f"datasets.digits.{key}" for key in ["methods", "tuned", "overrides_by_epsilon", "overrides_by_epsilon.8"]),
    "datasets.digits",
    "methods.dp-sgd",
    "methods.dp-sgd.C",
    "sweeps",
    "sweeps.tuning",
    "clip",
]


def parses_or_names_every_problem(values: Any) -> None:
    try:
        study = parse(values)
    except ConfigError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.startswith("study.yaml: ") for line in lines)
    else:
        for cell in study.cells():
            study.spec(cell, study.cell_seeds(cell.dataset, cell.epsilon)[0])


@given(values=garbage)
def test_garbage_is_refused_like_anything_else(values: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parses_or_names_every_problem(values)


@given(place=st.sampled_from(PLACES), value=garbage)
def test_garbage_in_one_place_is_refused_like_anything_else(place: str, value: Any) -> None:
    parses_or_names_every_problem(changed(place, value))


@given(key=keys, value=garbage, place=st.sampled_from(["datasets.digits", "datasets", "methods", "methods.dp-sgd"]))
def test_garbage_key_is_refused_like_anything_else(key: Any, value: Any, place: str) -> None:
    values = copy.deepcopy(STUDY)
    inner = values
    for part in place.split("."):
        inner = inner[part]
    inner[key] = value
    parses_or_names_every_problem(values)


def test_every_key_is_explained() -> None:
    explained = (ROOT / "config" / "README.md").read_text()
    keys = {*Study.model_fields, *DatasetConfig.model_fields, *Sweep.model_fields}
    keys -= {"filled", "configfile"}  # which are said, not given
    assert [key for key in sorted(keys) if f"`{key}`" not in explained] == []


# ------------------------------------------------------------------------------------------------ augmentations


def test_augmentations_of_one_method_go_before_those_of_the_data_set() -> None:
    values = changed("datasets.digits", DATASET | {"augment": ["shift", "flip"], "augmentations": 2})
    study = parse(values | {"methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "augmentations": 4}}})
    specs = [study.spec(Cell("digits", name, 1.0), 0) for name in study.methods]
    assert [(spec.augmentations, spec.augment) for spec in specs] == [(2, ("shift", "flip")), (4, ("shift", "flip"))]
    assert "augmentations" not in specs[1].parameters


def test_a_method_may_alter_images_where_the_others_do_not() -> None:
    study = parse(
        STUDY
        | {
            "methods": {
                "dp-sgd": {"C": 0.1},
                "many": {"method": "dp-sgd", "C": 0.1, "augment": ["shift"], "augmentations": 4},
            }
        }
    )
    specs = [study.spec(Cell("digits", name, 1.0), 0) for name in study.methods]
    assert [(spec.augmentations, spec.augment) for spec in specs] == [(1, ()), (4, ("shift",))]
    assert study.roles().earlier == ()
    assert Study.model_validate(study.model_dump()) == study


@pytest.mark.parametrize(
    ("method", "dataset", "problem"),
    [
        ({"augmentations": 2}, {}, "methods.dp-sgd.augmentations: say how, under datasets.digits.augment: [shift, "),
        ({"augmentations": 1.5}, {"augment": ["flip"]}, "methods.dp-sgd.augmentations: must be a whole number from"),
        ({"augmentations": 1001}, {"augment": ["flip"]}, "methods.dp-sgd.augmentations: must be a whole number from"),
        ({}, {"augment": ["flip", "flip"]}, "datasets.digits.augment: must not name a value twice"),
        ({}, {"augment": ["turn"]}, "datasets.digits.augment.0: input should be 'shift' or 'flip'"),
        (
            {},
            {"augment": ["flip"], "features": "scattering"},
            "datasets.digits.augment: goes with images; digits has scattering",
        ),
    ],
)
def test_augmentations_that_make_no_sense_are_refused(
    method: dict[str, Any], dataset: dict[str, Any], problem: str
) -> None:
    values = changed("datasets.digits", DATASET | dataset) | {"methods": {"dp-sgd": {"C": 0.1} | method}}
    assert any(line.startswith(f"study.yaml: {problem}") for line in problems(values))
