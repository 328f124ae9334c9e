"""Patterns: a wildcard stands for what there is, and for nothing else."""

from __future__ import annotations

import re

from planned_studies import planned

from psasc_bench.planning import alternatives, settings_pattern, study_trials


def test_any_of_the_names_matches() -> None:
    pattern = alternatives(planned().methods)
    assert [bool(re.fullmatch(pattern, name)) for name in ("dp-sgd", "nonprivate", "nsgd")] == [True, True, False]


def test_without_names_nothing_matches_not_even_nothing() -> None:
    assert re.match(alternatives([]), "") is None
    assert re.match(settings_pattern([]), "C=0.1") is None


def test_only_settings_of_a_trial_match_and_a_point_is_a_point() -> None:
    trials = study_trials(planned())["longer", "letters", "dp-sgd"]
    pattern = settings_pattern(trials)
    assert re.fullmatch(pattern, "C=0.2,epochs=4")
    assert not re.fullmatch(pattern, "C=0x2,epochs=4")
    assert not re.fullmatch(pattern, "C=0.2,epochs=5")


def test_pattern_does_not_depend_on_the_order_of_trials() -> None:
    trials = study_trials(planned())["tuning", "digits", "dp-sgd"]
    assert settings_pattern([*trials[::-1], *trials]) == settings_pattern(trials)
