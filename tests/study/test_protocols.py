"""A study that leaves values unsaid: what is filled in, from where, and what is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from psasc_bench.study import Cell, ConfigError, Study, load_study, parse_study

ROOT = Path(__file__).parents[2]


def parsed(**values: Any) -> Study:
    return parse_study({"methods": {"dp-sgd": {}}, "datasets": {"mnist": {}}} | values, source="study.yaml")


def test_two_lines_are_a_whole_study() -> None:
    study = parsed(methods={"dp-sgd": {}, "dp-psasc": {}})
    spec = study.spec(Cell("mnist", "dp-psasc", 3.0), seed=0)
    assert (spec.model, spec.expected_batch_size, spec.epochs, spec.learning_rate) == ("mnist_cnn", 512, 40, 0.5)
    assert dict(spec.parameters) == {"iterates": 1, "decay": 0.1, "C": 0.2, "s": 2.0, "r": 0.1}


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion_mnist", "cifar10", "cifar10_scatter"])
def test_what_is_filled_in_is_what_the_shipped_study_says(name: str) -> None:
    shipped = load_study(ROOT / "config" / "config.yaml")
    given: dict[str, Any] = {method: {} for method in shipped.methods if method != "dp-psasc-inner"}
    given["dp-psasc-inner"] = {"iterates": 2, "decay": 0.1}
    study = parsed(methods=given, datasets={name: {}})
    for cell in (cell for cell in study.cells() if cell in set(shipped.cells())):
        assert study.spec(cell, seed=0) == shipped.spec(cell, seed=0)
    for key in ("micro_batch_size", "share_process", "probe_every_epochs"):
        assert getattr(study.dataset(name), key) == getattr(shipped.dataset(name), key)


def test_every_value_that_was_filled_in_has_a_source() -> None:
    study = parsed()
    assert study.filled["datasets.mnist.epochs"].startswith("AdaSig")
    assert study.filled["datasets.mnist.model"].startswith("Tramer & Boneh")
    assert {"seeds", "epsilons", "datasets.mnist.sensitivity"} <= set(study.filled)


def test_value_that_is_given_goes_before_the_published_one_and_has_no_source() -> None:
    study = parsed(datasets={"mnist": {"epochs": 2, "learning_rate": 0.1}}, seeds=[7])
    spec = study.spec(Cell("mnist", "dp-sgd", 3.0), seed=7)
    assert (spec.epochs, spec.learning_rate, spec.expected_batch_size) == (2, 0.1, 512)
    assert not {"seeds", "datasets.mnist.epochs", "datasets.mnist.learning_rate"} & set(study.filled)


@pytest.mark.parametrize(
    ("dataset", "accountant"),
    [
        ({"digits": {}}, "pld"),
        ({"mnist": {}}, "rdp"),
        ({"mine": {"source": "cifar10"}}, "rdp"),
        ({"mnist": {"accountant": "pld"}}, "pld"),
    ],
    ids=str,
)
def test_noise_is_calibrated_as_published_or_else_by_the_tighter_accountant(
    dataset: dict[str, Any], accountant: str
) -> None:
    study = parsed(datasets=dataset)
    (name,) = dataset
    assert study.spec(Cell(name, "dp-sgd", 3.0), seed=0).accountant == accountant
    assert study.spec(Cell(name, "dp-sgd", float("inf")), seed=0).accountant == "rdp"  # no noise to calibrate


def test_data_set_of_ones_own_has_the_tighter_accountant() -> None:
    given = parsed().dataset("mnist").model_dump(exclude={"path", "accountant"}) | {"source": "npz", "path": "a.npz"}
    assert parsed(datasets={"mnist": given}).dataset("mnist").accountant == "pld"


def test_accountant_is_filled_in_where_nothing_else_is() -> None:
    """Or a whole protocol, written out as it was published, would not have the published noise."""
    given = parsed().dataset("mnist").model_dump(exclude={"accountant"})
    study = parsed(datasets={"mnist": given})
    assert study.dataset("mnist").accountant == "rdp"
    assert [key for key in study.filled if key.startswith("datasets")] == ["datasets.mnist.accountant"]


def test_unknown_accountant_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"datasets\.mnist\.accountant: input should be 'rdp' or 'pld', got 'prv'"):
        parsed(datasets={"mnist": {"accountant": "prv"}})


def test_data_set_that_lacks_nothing_is_left_as_it_is() -> None:
    values = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    study = parse_study(values, source="smoke.yaml")
    assert study.filled == {}
    assert study.dataset("digits").probe_every_epochs == 0


def test_protocol_is_found_by_the_source_where_the_name_is_ones_own() -> None:
    study = parsed(datasets={"mine": {"source": "fashion_mnist"}})
    assert study.dataset("mine").expected_batch_size == 2048


def test_name_of_a_known_data_set_gives_no_protocol_to_another_source() -> None:
    with pytest.raises(ConfigError, match=r"datasets.mnist.model: this key is needed"):
        parsed(datasets={"mnist": {"source": "npz", "path": "mine.npz"}})
    assert parsed(datasets={"digits": {"source": "mnist"}}).dataset("digits").model == "mnist_cnn"


def test_threshold_that_is_not_given_has_the_sensitivity_of_the_data_set() -> None:
    study = parsed(methods={"dp-sgd": {}, "dp-psasc": {"s": 8}}, datasets={"mnist": {"sensitivity": 0.5}})
    assert study.method("mnist", "dp-sgd").sensitivity() == 0.5
    assert study.method("mnist", "dp-psasc").sensitivity() == pytest.approx(0.5)


def test_threshold_that_is_given_stays() -> None:
    assert parsed(methods={"dp-sgd": {"C": 3}}).method("mnist", "dp-sgd").sensitivity() == 3


def test_learning_rate_without_privacy_comes_with_the_protocol() -> None:
    study = parsed(methods={"dp-sgd": {}, "nonprivate": {}, "plain": {"method": "nonprivate", "title": "plain"}})
    for name in ("nonprivate", "plain"):
        assert study.spec(Cell("mnist", name, float("inf")), seed=0).learning_rate == 0.05
    own = parsed(methods={"nonprivate": {"learning_rate": 1}})
    assert own.spec(Cell("mnist", "nonprivate", float("inf")), seed=0).learning_rate == 1


def test_two_settings_of_one_method_are_two_methods() -> None:
    study = parsed(methods={"dp-psasc": {}, "dp-psasc-s8": {"method": "dp-psasc", "s": 8}})
    one, other = (study.spec(Cell("mnist", name, 3.0), seed=0) for name in study.methods)
    assert (one.method, other.method) == ("dp-psasc", "dp-psasc")
    assert (one.name(), other.name()) == ("mnist/dp-psasc/eps-3/seed-0", "mnist/dp-psasc-s8/eps-3/seed-0")
    assert one.parameters["s"] == 2
    assert other.parameters["s"] == 8
    assert study.method_title("dp-psasc-s8") == "DP-PSASC (s = 8)"


def test_name_of_ones_own_for_a_method_does_not_make_another_run() -> None:
    own = parsed(methods={"mine": {"method": "dp-sgd"}}).spec(Cell("mnist", "mine", 3.0), seed=0)
    plain = parsed().spec(Cell("mnist", "dp-sgd", 3.0), seed=0)
    assert own == plain
    assert own.hash() == plain.hash()


def test_study_as_it_was_filled_in_is_the_same_study() -> None:
    study = parsed(methods={"dp-sgd": {}, "dp-psasc-s8": {"method": "dp-psasc", "s": 8}})
    assert parse_study(study.model_dump(mode="json"), source="study.json") == study


@pytest.mark.parametrize("title", ["None", "NA", "null", "nan", "007", "true"])
def test_any_text_is_a_title(title: str) -> None:
    assert parsed(datasets={"mnist": {"title": title}}).dataset("mnist").title == title


def test_equal_titles_are_refused_with_both_keys() -> None:
    with pytest.raises(ConfigError, match=r"datasets.b.title: 'MNIST' looks like the title of datasets.a"):
        parsed(datasets={name: {"source": "mnist"} for name in "ab"})
    with pytest.raises(ConfigError, match=r"methods.b.title: 'DP-SGD' looks like the title of methods.dp-sgd"):
        parsed(methods={"dp-sgd": {}, "b": {"method": "dp-sgd", "title": "DP-SGD"}})


@pytest.mark.parametrize("value", [3, [3]])
def test_single_epsilon_or_seed_needs_no_list(value: Any) -> None:
    study = parsed(epsilons=value, seeds=value)
    assert (study.epsilons, study.seeds) == ((3.0,), (3,))


def test_home_is_expanded_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parsed(data_root="~/data").data_root == "/home/me/data"
    dataset = parsed(datasets={"mnist": {}}).dataset("mnist").model_dump(exclude={"path"})
    study = parsed(datasets={"a": dataset | {"source": "npz", "path": "$HOME/a.npz"}})
    assert study.dataset("a").path == "/home/me/a.npz"
