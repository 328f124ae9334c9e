"""What is due: runs whose code or data is another, and records that are not of the present study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planned_studies import METHODS, fingerprint_now, from_npz, planned, with_digits, write_record

from psasc_bench import methods
from psasc_bench.planning import audited_by, cell_study, drawn_by, method_sources, stale_runs, trained_by, write_made_of
from psasc_bench.records import GENERATION
from psasc_bench.study import Cell, ConfigError, Study

PRIVATE = Cell("digits", "dp-sgd", 10.0)


# ------------------------------------------------------------------------------------------------ code and data


def test_run_is_of_its_methods_source_the_codes_generation_and_its_data() -> None:
    study = planned()
    code = fingerprint_now(study, Cell("digits", "dp-sgd", 10.0))
    assert trained_by(study, "digits", "dp-sgd") == [code, GENERATION, study.prepared("digits").stem]


def test_run_is_due_for_other_data_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(b"some")
    before = trained_by(from_npz(path), "own", "dp-sgd")
    path.write_bytes(b"other")
    after = trained_by(from_npz(path), "own", "dp-sgd")
    assert before[:2] == after[:2]
    assert before != after


def test_study_has_the_sources_of_its_methods_in_their_order() -> None:
    assert method_sources(planned()) == [methods.fingerprint(methods.load(name)) for name in ("dp-sgd", "nonprivate")]


def test_audit_is_of_the_sources_and_of_the_generation() -> None:
    assert audited_by(planned()) == [GENERATION, *method_sources(planned())]


def test_tables_and_figures_are_due_for_other_code_and_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("analysis/means.py", "report/page.css", "report/__pycache__/page.pyc", "training/loop.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a = 1", encoding="utf-8")
    digests = [drawn_by(tmp_path)]
    for name in ("report/__pycache__/page.pyc", "training/loop.py", "analysis/means.py", "report/page.css"):
        (tmp_path / name).write_text("a = 2", encoding="utf-8")
        digests.append(drawn_by(tmp_path))
    assert digests[0] == digests[1] == digests[2]
    assert len(set(digests[2:])) == 3


# ------------------------------------------------------------------------------------------------ MADE_OF


def made_of(study: Study, path: Path) -> dict[str, list[object]]:
    write_made_of(study, path)
    return dict(json.loads(path.read_text()))


def test_what_the_trained_runs_are_made_of_is_written_by_data_set_and_method(tmp_path: Path) -> None:
    study = planned(train=["letters"])
    assert made_of(study, tmp_path / "results" / "made_of.json") == {
        f"letters/{method}": [cell_study(study, "letters", method, 3), trained_by(study, "letters", method)]
        for method in METHODS
    }


def test_of_settings_by_epsilon_all_are_written(tmp_path: Path) -> None:
    study = with_digits(overrides_by_epsilon={10: {"dp-sgd": {"C": 2}}}, methods=["dp-sgd"])
    found = made_of(study, tmp_path / "made_of.json")
    assert found["digits/dp-sgd"][:2] == [cell_study(study, "digits", "dp-sgd", epsilon) for epsilon in (10, 0.5)]
    assert "digits/nonprivate" not in found


def test_what_stands_there_already_is_left_as_old_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "made_of.json"
    write_made_of(planned(), path)
    before = path.stat()
    write_made_of(planned(seeds=[0, 1, 2]), path)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_has_changed_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "made_of.json"
    write_made_of(planned(), path)
    before = path.stat().st_ino
    changed = made_of(with_digits(learning_rate=0.25), path)
    assert path.stat().st_ino != before
    assert '"learning_rate": 0.25' in str(changed["digits/dp-sgd"])


def test_data_that_is_not_there_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.npz: cannot be read"):
        write_made_of(from_npz(tmp_path / "absent.npz"), tmp_path / "made_of.json")
    assert not (tmp_path / "made_of.json").exists()


# ------------------------------------------------------------------------------------------------ stale records


def test_study_without_records_has_no_stale_ones(tmp_path: Path) -> None:
    assert stale_runs(planned(), tmp_path / "absent") == set()


def test_record_of_another_spec_source_or_generation_is_stale(tmp_path: Path) -> None:
    study = planned()
    write_record(study, tmp_path, PRIVATE, seed=0)
    write_record(study, tmp_path, PRIVATE, seed=1, fingerprint="0" * 16)
    write_record(study, tmp_path, Cell("digits", "dp-sgd", 0.5), seed=0, generation=GENERATION + 1)
    assert stale_runs(study, tmp_path) == {"digits/dp-sgd/eps-10/seed-1", "digits/dp-sgd/eps-0.5/seed-0"}
    assert "digits/dp-sgd/eps-10/seed-0" in stale_runs(with_digits(momentum=0.5), tmp_path)


def test_failed_run_is_not_stale(tmp_path: Path) -> None:
    write_record(planned(), tmp_path, PRIVATE, seed=0, status="failed", reason="out of memory")
    assert stale_runs(planned(), tmp_path) == set()


def test_records_of_data_sets_that_are_not_trained_are_not_looked_at(tmp_path: Path) -> None:
    write_record(planned(), tmp_path, PRIVATE, seed=0, fingerprint="0" * 16)
    write_record(planned(), tmp_path, Cell("letters", "dp-sgd", 3.0), seed=7, fingerprint="0" * 16)
    assert stale_runs(planned(train=["letters"]), tmp_path) == {"letters/dp-sgd/eps-3/seed-7"}
    (tmp_path / "digits" / "dp-sgd" / "eps-10" / "seed-0.json").write_text("{}")
    assert stale_runs(planned(train=["letters"]), tmp_path) == {"letters/dp-sgd/eps-3/seed-7"}


def test_unreadable_record_is_named(tmp_path: Path) -> None:
    write_record(planned(), tmp_path, PRIVATE, seed=0)
    path = tmp_path / "digits" / "dp-sgd" / "eps-10" / "seed-0.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(ValueError, match=r"eps-10/seed-0\.json: not a run record"):
        stale_runs(planned(), tmp_path)
