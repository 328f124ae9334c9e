"""Which methods the claims are about."""

from __future__ import annotations

from typing import Any

import pytest

from psasc_bench.study import ConfigError, Roles, Study, default_roles_of, parse_study

MINE = {"method": "dp-psac", "title": "mine"}


def parsed(methods: dict[str, Any], **claims: Any) -> Study:
    return parse_study({"methods": methods, "datasets": {"mnist": {}}, "claims": claims}, source="study.yaml")


def test_default_study_is_about_dp_psasc() -> None:
    names = ["dp-sgd", "auto-s", "nsgd", "dp-psac", "dp-psasc", "dp-psasc-inner", "nonprivate"]
    assert parsed(dict.fromkeys(names)).roles() == Roles(
        method="dp-psasc", momentum="dp-psasc-inner", reference="dp-sgd", earlier=("auto-s", "nsgd", "dp-psac")
    )


def test_other_method_of_a_study_is_the_one_under_test() -> None:
    study = parsed({"dp-sgd": {}, "auto-s": {}, "mine": MINE, "mine-inner": MINE | {"title": "i", "iterates": 2}})
    assert study.roles() == Roles(method="mine", momentum="mine-inner", reference="dp-sgd", earlier=("auto-s",))


def test_study_says_what_its_claims_are_about() -> None:
    study = parsed(
        {"dp-sgd": {}, "auto-s": {}, "mine": MINE, "dp-psasc": {}},
        method="mine",
        reference="auto-s",
        earlier=["dp-psasc"],
    )
    assert study.roles() == Roles(method="mine", momentum=None, reference="auto-s", earlier=("dp-psasc",))


def test_without_dp_sgd_the_first_method_is_the_reference() -> None:
    assert parsed({"auto-s": {}, "mine": MINE}).roles() == Roles(method="mine", reference="auto-s")


@pytest.mark.parametrize("changes", [{"optimiser": "adam"}, {"augment": ["flip"]}, {"augmentations": 4}])
def test_known_method_with_changes_is_known_no_more_whatever_it_is_called(changes: dict[str, Any]) -> None:
    augment = {"source": "cifar10", "augment": ["flip"]} if "augmentations" in changes else {"source": "cifar10"}
    methods = {"dp-sgd": {}, "dp-psasc": {"method": "dp-sgd", "title": "mine", **changes}}
    study = parse_study({"methods": methods, "datasets": {"some": augment}}, source="study.yaml")
    assert study.known_as("dp-psasc") not in methods
    assert study.roles() == Roles(method="dp-psasc", reference="dp-sgd")
    named = parse_study({"methods": {"dp-sgd": changes}, "datasets": {"some": augment}}, source="study.yaml")
    assert named.known_as("dp-sgd") != "dp-sgd"


def test_study_of_baselines_tests_none_of_them() -> None:
    assert parsed({"dp-sgd": {}, "auto-s": {}}).roles() == Roles(reference="dp-sgd", earlier=("auto-s",))


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (
            {"dp-sgd": {}, "dp-psasc-s8": {"method": "dp-psasc", "s": 8}, "sgd-loose": {"method": "dp-sgd", "C": 5}},
            Roles(method="dp-psasc-s8", reference="dp-sgd"),
        ),
        (
            {"dp-sgd": {}, "auto-g": {"method": "auto-s", "gamma": 0.1}, "dp-psasc": {}},
            Roles(method="dp-psasc", reference="dp-sgd", earlier=("auto-g",)),
        ),
        (
            {"dp-psasc": {"method": "dp-sgd", "title": "a"}, "x": {"method": "dp-psasc"}},
            Roles(method="x", reference="dp-psasc"),
        ),
        (
            {"auto-s": {}, "baseline": {"method": "dp-sgd"}, "dp-psasc": {}},
            Roles(method="dp-psasc", reference="baseline", earlier=("auto-s",)),
        ),
        (
            {"dp-psasc-s8": {"method": "dp-psasc", "s": 8}, "auto-s": {}},
            Roles(method="dp-psasc-s8", reference="auto-s"),
        ),
        ({"dp-psasc": {}}, Roles(method="dp-psasc")),
        ({"dp-sgd": {"method": "noise-only"}, "dp-psasc": {}}, Roles(method="dp-psasc")),
        (
            {"dp-sgd": {}, "s8": {"method": "dp-psasc", "s": 8}, "s8-m": {"method": "dp-psasc-inner", "s": 8}},
            Roles(method="s8", momentum="s8-m", reference="dp-sgd"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_roles_go_by_what_methods_are_and_not_by_what_they_are_called(methods: dict[str, Any], expected: Roles) -> None:
    assert parsed(methods).roles() == expected


def test_study_of_controls_has_no_roles() -> None:
    assert parsed({"nonprivate": {}}).roles() == Roles()


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"method": "dp-psas"}, "claims.method: dp-psas is no method to compare; there are: dp-sgd, auto-s"),
        ({"reference": "nonprivate"}, "claims.reference: nonprivate is no method to compare"),
        ({"method": "dp-sgd", "reference": "dp-sgd"}, "claims: dp-sgd has two roles"),
        ({"earlier": ["auto-s", "auto-s"]}, "claims.earlier: must not name a value twice"),
        ({"metod": "auto-s"}, "claims.metod: unknown key"),
    ],
)
def test_impossible_role_is_refused(claims: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed({"dp-sgd": {}, "auto-s": {}, "nonprivate": {}}, **claims)
    assert str(caught.value).startswith(f"study.yaml: {expected}")


def test_baseline_of_the_package_is_not_taken_for_the_newcomer() -> None:
    found = default_roles_of(["dp-sgd", "mine", "quantile", "per-layer"])
    assert (found.method, found.reference, found.earlier) == ("mine", "dp-sgd", ())
