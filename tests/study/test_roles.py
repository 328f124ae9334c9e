"""Which methods the claims are about."""

from __future__ import annotations

from typing import Any

import pytest

from psasc_bench.study import ConfigError, Roles, Study, parse_study

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


def test_study_of_baselines_tests_none_of_them() -> None:
    assert parsed({"dp-sgd": {}, "auto-s": {}}).roles() == Roles(reference="dp-sgd", earlier=("auto-s",))


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
