"""What is said of a study's settings follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from psasc_bench.report.protocol import Protocol
from psasc_bench.study import load_study, parse_study

SHIPPED = Path(__file__).parents[2] / "config" / "config.yaml"
METHODS = {"dp-sgd": {}, "dp-psasc": {}}


def protocol(**values: Any) -> Protocol:
    return Protocol(parse_study({"methods": METHODS, "datasets": {"fashion_mnist": {}}, **values}, source="test"))


def test_shipped_study_follows_those_that_it_names() -> None:
    shipped = Protocol(load_study(SHIPPED))
    assert shipped.models_and_schedules() == (
        "Models and schedules are those of AdaSig (NeurIPS 2025) and Tramer & Boneh (2021), but for the digits' own."
    )
    assert shipped.untouched() == "on the larger data sets no setting of a private method was tuned on the data"
    shared = shipped.shared(weights_differ=True)
    assert (
        "the sensitivity 0.1 and one learning rate per data set; what differs is the weight and, with inner" in shared
    )
    assert shipped.filled() == []
    assert shipped.follows("fashion_mnist", "fashion_mnist")


def test_minimal_study_follows_the_published_protocol_and_says_what_was_filled_in() -> None:
    minimal = protocol()
    assert "those of AdaSig (NeurIPS 2025) and Tramer & Boneh (2021)." in minimal.models_and_schedules()
    assert minimal.untouched() == "no setting of a private method was tuned on the data"
    filled = dict(minimal.filled())
    (adasig,) = [settings for source, settings in filled.items() if source.startswith("AdaSig")]
    assert "of `datasets.fashion_mnist` expected_batch_size 2048, epochs 40" in adasig
    (suite,) = [settings for source, settings in filled.items() if source == "psasc-bench's own choice"]
    assert "seeds [0, 1, 2, 3, 4]" in suite
    assert "of `methods.dp-psasc` s 2, r 0.1" in suite


def test_what_differs_from_the_published_protocol_is_said() -> None:
    changed = protocol(datasets={"fashion_mnist": {"epochs": 20, "learning_rate": 2}})
    said = changed.models_and_schedules()
    assert "On Fashion-MNIST, `epochs` is 20 instead of 40 and `learning_rate` is 2 instead of 4." in said
    assert not changed.follows("fashion_mnist", "fashion_mnist")
    assert changed.untouched() == ""


def test_accountants_are_named_with_the_data_sets_where_they_differ() -> None:
    pld, rdp = "dp-accounting's privacy loss distributions (PLD)", "Opacus' RDP accountant"
    assert protocol(datasets={"digits": {}}).accountants() == f"Noise is calibrated by {pld}, and checked by others."
    one, other = protocol(), protocol(datasets={"mnist": {}, "digits": {}, "fashion_mnist": {}})
    assert one.accountants().startswith(f"Noise is calibrated by {rdp}, and checked by others. For the same epsilon,")
    said = (
        f"Noise is calibrated by {rdp}, but on Digits by {pld}, and checked by others. For the same epsilon, RDP asks"
    )
    assert other.accountants().startswith(said)


def test_noise_by_another_accountant_than_the_published_one_is_a_departure() -> None:
    changed = protocol(datasets={"fashion_mnist": {"accountant": "pld"}})
    assert changed.models_and_schedules().endswith("On Fashion-MNIST, `accountant` is pld instead of rdp.")
    assert not changed.follows("fashion_mnist", "fashion_mnist")


def test_augmentations_are_a_departure() -> None:
    changed = protocol(datasets={"fashion_mnist": {"augment": ["shift"], "augmentations": 4}})
    said = "On Fashion-MNIST, `augment` is [shift] instead of [] and `augmentations` is 4 instead of 1."
    assert changed.models_and_schedules().endswith(said)
    assert not changed.follows("fashion_mnist", "fashion_mnist")


def test_data_set_of_ones_own_has_a_protocol_of_its_own() -> None:
    given = {"title": "Mine", "model": "digits_cnn", "expected_batch_size": 8, "micro_batch_size": 8, "epochs": 1}
    given |= {"source": "digits", "delta": 1e-5, "learning_rate": 1, "momentum": 0, "sensitivity": 0.1}
    own = protocol(datasets={"mine": given})
    assert own.models_and_schedules() == "Models and schedules are the study's own."
    assert own.untouched() == ""
    both = protocol(datasets={"mine": given, "fashion_mnist": {}})
    assert both.models_and_schedules().endswith("but for the digits' own.")


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        (
            {"dp-sgd": {"learning_rate": 0.5}, "dp-psasc": {}},
            "The learning rates on Fashion-MNIST are 0.5 (DP-SGD) and 4 (DP-PSASC).",
        ),
        (
            {"dp-sgd": {"C": 1}, "dp-psasc": {}},
            "The sensitivities on Fashion-MNIST are 1 (DP-SGD) and 0.1 (DP-PSASC).",
        ),
        (
            {"dp-sgd": {"momentum": 0.5}, "dp-psasc": {}},
            "The momenta of SGD on Fashion-MNIST are 0.5 (DP-SGD) and 0.9 (DP-PSASC).",
        ),
    ],
    ids=["learning rate", "sensitivity", "momentum"],
)
def test_what_private_methods_do_not_share_is_said(methods: dict[str, Any], said: str) -> None:
    own = protocol(methods=methods)
    shared = own.shared(weights_differ=True)
    assert shared.endswith(said)
    assert ("one learning rate per data set" in shared) == ("learning rates" not in said)
    assert ("the sensitivity 0.1" in shared) == ("sensitivities" not in said)
    assert own.untouched() == ""


def test_optimisers_are_said_where_they_are_not_the_heavy_ball() -> None:
    own = {"dp-sgd": {"learning_rate": 4}, "dp-adam": {"method": "dp-sgd", "optimiser": "adam", "learning_rate": 4}}
    assert "optimiser" not in protocol().shared(weights_differ=True)
    shared = protocol(methods=own).shared(weights_differ=False)
    assert "what differs is the optimisers." in shared
    assert shared.endswith(
        "The optimisers on Fashion-MNIST are heavy-ball (DP-SGD) and "
        "adam (beta1 = 0.9, beta2 = 0.999, epsilon = 1e-08) (DP-SGD (Adam))."
    )


def test_optimiser_of_a_data_set_is_shared_and_a_departure_from_what_is_published() -> None:
    of_all = protocol(datasets={"fashion_mnist": {"optimiser": ["heavy-ball", "cosine"]}})
    assert "the optimiser heavy-ball (momentum = 0.9) then cosine (floor = 0)" in of_all.shared(weights_differ=True)
    assert of_all.models_and_schedules().endswith(
        "On Fashion-MNIST, `optimiser` is heavy-ball then cosine instead of heavy-ball."
    )
    assert not of_all.follows("fashion_mnist", "fashion_mnist")
    assert of_all.untouched() == ""


def test_augmentations_of_one_method_are_said() -> None:
    own = protocol(
        methods={"dp-sgd": {}, "more": {"method": "dp-sgd", "augmentations": 4}},
        datasets={"fashion_mnist": {"augment": ["flip"]}},
    )
    assert own.shared(weights_differ=False).endswith(
        "The augmentations of an example on Fashion-MNIST are 1 (flip) (DP-SGD) and "
        "4 (flip) (DP-SGD (augmentations = 4))."
    )


def test_data_set_whose_settings_were_chosen_for_each_method_is_spoken_of_by_itself() -> None:
    """The settings of each method are its own there, which says nothing of the others."""
    chosen = {3: {"dp-sgd": {"learning_rate": 2}, "dp-psasc": {"s": 8, "C": 2}}}
    tuned = {"source": "fashion_mnist", "title": "Tuned", "tuned": True, "overrides_by_epsilon": chosen}
    own = protocol(datasets={"fashion_mnist": {}, "tuned": tuned})
    shared = own.shared(weights_differ=True)
    assert "the sensitivity 0.1 and one learning rate per data set; what differs is the weight." in shared
    assert shared.endswith(
        "On Tuned, each method has at each budget the learning rate and hyper-parameters that did "
        "best on held-out training examples, a choice that has noise of its own."
    )
    assert own.untouched() == "on Fashion-MNIST no setting of a private method was tuned on the data"
    assert protocol(datasets={"tuned": tuned}).untouched() == ""


def test_tuned_methods_are_said_to_differ_in_what_is_not_tuned() -> None:
    alike = {f"dp-sgd-{number}": {"method": "dp-sgd", "title": f"Clipping {number}"} for number in range(5)}
    others = {"dp-adam": {"method": "dp-sgd", "optimiser": "adam", "title": "DP-Adam"}, "quantile": {}}
    wide = {"methods": alike | others, "datasets": {"digits": {"tuned": True}}}
    said = Protocol(parse_study(wide, source="test")).shared(weights_differ=True)
    assert "what differs is the weight and the optimisers." in said
    assert "The optimisers on Digits are heavy-ball, but adam (beta1 = 0.9, beta2 = 0.999, epsilon = 1e-08) (" in said
    assert "The weights of quantile clipping move with a statistic that each step releases too." in said
    assert "The learning rates" not in said


def test_inner_momentum_is_spoken_of_where_a_method_has_it() -> None:
    assert "inner momentum" not in protocol().shared(weights_differ=True)
    having = protocol(methods={"dp-psasc": {}, "again": {"method": "dp-psasc", "iterates": 4}})
    assert having.shared(weights_differ=False).endswith(
        "what differs is, with inner momentum, the gradient that is weighed."
    )


def test_titles_in_it_are_text() -> None:
    own = protocol(methods={"dp-sgd": {"title": "*a*", "C": 1}, "dp-psasc": {}})
    assert r"are 1 (\*a\*) and" in own.shared(weights_differ=True)
