"""The commands that look at privacy, as they are called: what they print, what they write, and the exit status."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import planted
import pytest
import yaml

from psasc_bench import cli, files
from psasc_bench.commands import auditing
from psasc_bench.study import load_study

STUDY: dict[str, Any] = {
    "seeds": [0],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2.0, "r": 0.1}, "nonprivate": {}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 288,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 0.5,
            "momentum": 0.9,
        }
    },
}
METHOD = '''
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    """``w(x) = C/(x + C)``."""

    title = "mine"
    C: float

    def weight(self, norm: Tensor) -> Tensor:
        return self.C / (norm + self.C)

    def sensitivity(self) -> float:
        return {sensitivity}
'''


RULE = """
from dataclasses import dataclass

from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule


@dataclass(frozen=True, kw_only=True)
class Scaled(UpdateRule):
    title = "Scaled"
    factor: float = 2.0

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        return self.factor * gradient, state
"""


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study's file, in a folder of its own where the commands run."""
    monkeypatch.chdir(tmp_path)
    return write_study(STUDY)


def write_study(values: dict[str, Any]) -> Path:
    path = Path("study.yaml")
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def write_method(sensitivity: str) -> Path:
    path = Path("mine.py")
    path.write_text(METHOD.replace("{sensitivity}", sensitivity))
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[str], list[str]]:
    """Exit status, and the lines of standard output and of standard error."""
    status = cli.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out.splitlines(), printed.err.splitlines()


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that says why a command is refused."""
    status, out, err = call(capsys, *arguments)
    assert (status, out, len(err)) == (2, [], 1)
    return err[0].removeprefix("psasc-bench: error: ")


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------ check


def test_methods_of_the_study_pass_with_a_line_per_check(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "check", "--config", study)
    assert status == 0
    checked = [*STUDY["methods"], "optimiser", "all checks passed"]
    assert [line.split(": ")[0] for line in out if not line.startswith(" ")] == checked
    assert len(out) > 30
    assert all(line.startswith("  ok ") for line in out if line.startswith(" "))


def test_sound_method_in_a_file_passes(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "check", "--file", write_method("self.C"), "--set", "C=0.5")
    assert status == 0
    assert out[0] == "mine: Mine(iterates=1, decay=0.1, C=0.5)"


def test_method_in_a_file_that_claims_too_little_fails_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "check", "--file", write_method("self.C / 2"), "--set", "C=0.5")
    assert status == 1
    assert [line.split()[1] for line in out if "FAIL" in line][:1] == ["supremum"]
    assert out[-1] == "failed: mine"


def test_update_rule_in_a_file_is_checked_at_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_rule.py").write_text(RULE)
    status, out, err = call(capsys, "check", "--file", "my_rule.py", "--set", "factor=3", "--output", "checks.csv")
    assert (status, err) == (0, [])
    assert out[0] == "optimiser: my-rule (factor = 3)"
    assert {row["check"] for row in read("checks.csv")} >= {"post-processing", "no memory", "resumed"}
    assert {row["settings"] for row in read("checks.csv")} == {"my-rule (factor = 3)"}
    for settings, words in (("factor=-1", "factor must be a number from 0"), ("C=1", "has no setting 'C'; it has: f")):
        assert words in refusal(capsys, "check", "--file", "my_rule.py", "--set", settings)


def test_update_rule_in_a_file_that_changes_what_was_released_fails_with_status_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("my_rule.py").write_text(RULE.replace("self.factor * gradient", "gradient.mul_(self.factor)"))
    status, out, (line,) = call(capsys, "check", "--file", "my_rule.py")
    assert status == 1
    assert out[-1] == "failed: optimiser"
    assert line.startswith("psasc-bench: error: optimiser (my-rule (factor = 2)) fails form of directions (")


def test_only_the_named_method_is_checked(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "check", "nonprivate", "--config", study)
    assert status == 0
    assert out[0].startswith("nonprivate: ")
    assert not any("dp-" in line for line in out)


def test_method_that_the_study_has_not_takes_its_hyper_parameters_from_the_command_line(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "give its hyper-parameters with --set" in refusal(capsys, "check", "auto-s", "--config", study)
    status, out, _ = call(capsys, "check", "auto-s", "--set", "C=0.1")
    assert status == 0
    assert "gamma=0.01" in out[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dp-sgf", "--set", "C=1"], "unknown method 'dp-sgf'; did you mean dp-sgd? known: "),
        (["dp_sgd", "--config", "study.yaml"], "unknown method 'dp_sgd'; did you mean dp-sgd? known: "),
        (["dp_sgd", "--set", "C=1"], "unknown method 'dp_sgd'; did you mean dp-sgd? known: "),
        (["dp-sgd", "--set", "clip=1"], "dp-sgd has no hyper-parameter 'clip'; it has: "),
        (["dp-sgd", "--set", "C=-1"], "C must be a number from 1e-30 to 1e+30, got -1.0"),
        (["dp-sgd", "--set", "C=nan"], "C must be a number from 1e-30 to 1e+30, got nan"),
        (["--set", "C=1"], "--set: name the method"),
        (["dp-sgd", "--file", "mine.py"], "--file: what it defines is checked alone"),
        (["--file", "absent.py"], "absent.py: not a Python file"),
        (["--config", "absent.yaml"], "absent.yaml: cannot be read"),
    ],
)
def test_check_that_makes_no_sense_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refusal(capsys, "check", *arguments)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def broken(:", "SyntaxError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("", "must define a Method or an UpdateRule, has neither"),
        (METHOD.replace("{sensitivity}", "self.C") + RULE, "has both; put each into a file of its"),
        (RULE + RULE.replace("Scaled", "More"), "must define exactly one UpdateRule, has 2"),
    ],
)
def test_broken_method_file_is_refused_by_name(source: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(source)
    line = refusal(capsys, "check", "--file", "mine.py")
    assert "mine.py: " in line
    assert words in line


@pytest.mark.parametrize("setting", ["C", "C=", "C=high"])
def test_setting_that_is_no_number_is_refused(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["check", "dp-sgd", "--set", setting])
    assert stopped.value.code == 2
    assert f"argument --set: must look like C=0.1, got '{setting}'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ audit


def test_sound_study_is_audited_on_every_schedule(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, "audit", "--config", study, "--output", "results/audit.csv")
    assert (status, err) == (0, [])
    rows = read("results/audit.csv")
    assert [(row["sampling_rate"], row["method"], row["method_title"]) for row in rows] == [
        (f"{rate}", *names)
        for rate, _ in auditing.AUDITED
        for names in (("dp-sgd", "DP-SGD"), ("dp-psasc", "DP-PSASC"))
    ]
    # half of the claim at the least is proved without subsampling, else the audit would be too weak to be worth much
    share = [float(row["epsilon_lower"]) / float(row["epsilon_claimed"]) for row in rows]
    assert min(share[:2]) > 0.5
    assert min(share) > 0
    assert max(share) <= 1
    assert out[0] == "psasc-bench: wrote results/audit.csv"
    assert [line.split()[-1] for line in out[1:]] == ["holds"] * len(rows)


def test_refuted_claim_is_status_1_and_named_and_written(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(auditing, "AUDITED", auditing.AUDITED[:1])  # calibrating for the other takes seconds
    planted.plant(monkeypatch, "privatise", planted.half_the_noise)
    status, out, err = call(capsys, "audit", "--config", study, "--output", "audit.csv")
    assert status == 1
    assert out[0] == "psasc-bench: wrote audit.csv"
    assert [line.split()[-1] for line in out[1:]] == ["REFUTED", "REFUTED"]
    assert err == ["psasc-bench: error: refuted: DP-SGD, DP-PSASC: more privacy is spent than claimed"]
    rows = read("audit.csv")
    assert [row["refuted"] for row in rows] == ["True", "True"]
    assert all(float(row["epsilon_lower"]) > float(row["epsilon_claimed"]) for row in rows)


def test_only_the_method_that_is_wrong_is_refuted(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(auditing, "AUDITED", auditing.AUDITED[:1])
    monkeypatch.setattr("psasc_bench.methods.dp_psasc.DPPSASC.sensitivity", lambda method: method.C / method.s / 2)
    status, out, err = call(capsys, "audit", "--config", study)
    assert status == 1
    assert [line.split()[-1] for line in out] == ["holds", "REFUTED"]
    assert err == ["psasc-bench: error: refuted: DP-PSASC: more privacy is spent than claimed"]


def test_settings_of_one_method_are_audited_under_their_own_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(auditing, "AUDITED", auditing.AUDITED[:1])
    study = write_study(STUDY | {"methods": {"dp-sgd": {"C": 0.1}, "wide": {"method": "dp-sgd", "C": 1.0}}})
    planted.plant(monkeypatch, "privatise", planted.half_the_noise)
    _, _, (line,) = call(capsys, "audit", "--config", study, "--output", "audit.csv")
    titles = [load_study(study).method_title(name) for name in ("dp-sgd", "wide")]
    assert len(set(titles)) == 2
    assert line == f"psasc-bench: error: refuted: {', '.join(titles)}: more privacy is spent than claimed"
    assert [(row["method"], row["method_title"]) for row in read("audit.csv")] == list(
        zip(["dp-sgd", "wide"], titles, strict=True)
    )


def test_study_without_private_methods_has_nothing_to_audit(capsys: pytest.CaptureFixture[str]) -> None:
    study = write_study(STUDY | {"methods": {"nonprivate": {}}})
    status, out, _ = call(capsys, "audit", "--config", study, "--output", "audit.csv")
    said = ["no method of the study claims privacy: nothing to audit", "psasc-bench: wrote audit.csv"]
    assert (status, sorted(out)) == (0, said)
    assert read("audit.csv") == []


# ------------------------------------------------------------------------------------------------ verify


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the records of a private run and of one without privacy; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = str(write_study(STUDY))
        for method, epsilon in (("dp-sgd", "8"), ("nonprivate", "inf")):
            cell = ["--dataset", "digits", "--method", method, "--epsilon", epsilon]
            assert cli.main(["train", "--config", study, *cell]) == 0
    return folder / "results" / "runs"


@pytest.fixture
def runs(trained: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A copy of the records, to be changed."""
    capsys.readouterr()
    return Path(shutil.copytree(trained, "results/runs"))


def test_sound_records_are_verified_and_listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, "verify", runs, "--output", "results/ledger.csv")
    said = ["psasc-bench: wrote results/ledger.csv", "2 records verified: none overspent its budget"]
    assert (status, out, err) == (0, said, [])
    private, nonprivate = read("results/ledger.csv")
    assert private["run"] == "digits/dp-sgd/eps-8/seed-0"
    # the study calibrates by PLD; RDP, which another library computes, is looser
    assert 0 < float(private["epsilon_pld"]) <= 8 < float(private["epsilon_dp_accounting_rdp"]) < 10
    assert float(nonprivate["epsilon_dp_accounting_rdp"]) == float("inf")


def overspend(runs: Path) -> None:
    (path,) = (runs / "digits" / "dp-sgd").rglob("*.json")
    values = json.loads(path.read_text())
    values["ledger"]["noise_multiplier"] /= 2
    files.write_text(path, json.dumps(values))


def test_overspent_record_is_named_and_listed_with_status_1(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overspend(runs)
    status, out, (line,) = call(capsys, "verify", runs, "--output", "ledger.csv")
    assert (status, out) == (1, ["psasc-bench: wrote ledger.csv", "2 records verified: 1 do not hold"])
    assert line.startswith("psasc-bench: error: digits/dp-sgd/eps-8/seed-0: it spent epsilon ")
    assert line.endswith(" of 8; train it anew")
    assert [bool(row["problem"]) for row in read("ledger.csv")] == [True, False]


def test_only_the_record_that_is_wrong_is_withheld(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it says that it is: a copy under another seed, and one that goes by another name."""
    sound = runs / "digits/dp-sgd/eps-8/seed-0.json"
    for name in ("notes.json", ".hidden.json", "backup.json"):
        sound.with_name(name).write_text("{}")
    copy = sound.with_name("seed-1.json")
    shutil.copy(sound, copy)
    shutil.copy(sound.with_suffix(".csv"), copy.with_suffix(".csv"))
    where = "digits/dp-sgd/eps-8/seed"
    _, _, err = call(capsys, "verify", runs, "--output", "ledger.csv")
    said = f"{where}-1: it is filed as {where}-1 but is the run {where}-0; train it anew"
    assert err == [f"psasc-bench: error: {said}"]
    copy.unlink()
    values = json.loads(sound.read_text())
    values["spec"]["listed_as"] = "other"
    files.write_text(sound, json.dumps(values))
    _, _, err = call(capsys, "collect", "--config", "study.yaml", "--runs", runs, "--output", "tables")
    assert err == [
        f"psasc-bench: warning: {where}-0 is withheld: it is filed as {where}-0 but is the run "
        "digits/other/eps-8/seed-0"
    ]
    assert next(row for row in read("tables/runs.csv") if row["method"] == "dp-sgd")["status"] == "failed"


def test_rows_of_an_overspent_record_are_withheld_on_demand(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overspend(runs)
    status, _, (line,) = call(capsys, "verify", runs, "--withhold")
    assert status == 0
    assert line.startswith("psasc-bench: warning: digits/dp-sgd/eps-8/seed-0: it spent epsilon ")
    assert line.endswith("; its rows are withheld")


def test_folder_without_records_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "verify", "empty") == "empty: holds no records to verify"
