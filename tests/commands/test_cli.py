"""The command line: every mistake gets a line that says what to do, and exit status 2."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from psasc_bench import cli, methods
from psasc_bench.data import dataset as data
from psasc_bench.data.dataset import Dataset
from psasc_bench.privacy.accounting import Budget
from psasc_bench.records import record

Refused = Callable[..., list[str]]

DIGITS: dict[str, Any] = {
    "source": "digits",
    "title": "Digits",
    "model": "digits_cnn",
    "expected_batch_size": 256,
    "micro_batch_size": 320,
    "epochs": 1,
    "delta": 1e-4,
    "learning_rate": 0.5,
    "momentum": 0.9,
}
STUDY: dict[str, Any] = {
    "seeds": [0],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "nonprivate": {}},
    "datasets": {"digits": DIGITS},
}


def write_study(path: Path, **digits: Any) -> Path:
    values = copy.deepcopy(STUDY)
    values["datasets"]["digits"] |= digits
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small study's file, in a folder of its own where the commands run."""
    monkeypatch.chdir(tmp_path)
    return write_study(tmp_path / "study.yaml")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "digits.npz"
    data.prepare("digits", path, root=path.parent)
    return path


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail; its lines on standard error."""

    def run(*arguments: str | Path) -> list[str]:
        assert cli.main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert all(line.startswith("psasc-bench: error: ") for line in lines)
        return [line.removeprefix("psasc-bench: error: ") for line in lines]

    return run


def train(study: Path, *options: str | Path, method: str = "dp-sgd", epsilon: Any = 8) -> list[str | Path]:
    cell = ["--dataset", "digits", "--method", method, "--epsilon", str(epsilon)]
    return ["train", "--config", study, *cell, *options]


def budgets(prepared: Path | str, *outputs: str, **schedule: Any) -> list[str | Path]:
    options = {"model": "digits_cnn", "delta": 1e-4, "expected-batch-size": 256, "epochs": 1} | schedule
    given = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["budgets", "--dataset", "digits", "--data", prepared, *given, *outputs]


def prepare(*options: str | Path, source: str = "npz") -> list[str | Path]:
    return ["prepare", "--source", source, "--output", "prepared.npz", *options]


def trained(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


# ------------------------------------------------------------------------------------------------ what works


def test_info_tells_of_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for name in methods.names():
        assert f"{name} ({methods.load(name).title})" in printed


def test_info_of_one_method_has_formula_citation_and_hyper_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "auto-s"]) == 0
    printed = capsys.readouterr().out
    assert "w(x) = C/(x + gamma)" in printed
    assert "arXiv 2206.07136" in printed
    assert ", C, gamma=0.01" in printed
    assert "dp-sgd" not in printed


def test_one_run_is_trained_recorded_and_collected(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = trained(capsys, *train(study, method="nonprivate", epsilon="inf"))
    made = record.read(tmp_path / "results" / "runs" / "digits" / "nonprivate" / "eps-inf" / "seed-0.json")
    assert printed == f"digits/nonprivate/eps-inf/seed-0: done, test accuracy {made.result['test_accuracy']:.4f}\n"
    assert not [path for path in (tmp_path / "results" / "spool").rglob("*") if path.is_file()]
    trained(capsys, "collect", "--config", study)
    assert f"{100 * made.result['test_accuracy']:.2f}" in (tmp_path / "results" / "README.md").read_text()


def test_private_run_is_calibrated_from_the_command_line(
    study: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(capsys, *train(study, "--data", prepared, "--seed", "3"))
    ledger = record.read(tmp_path / "results" / "runs" / "digits" / "dp-sgd" / "eps-8" / "seed-3.json").ledger
    assert ledger["noise_multiplier"] > 0
    assert ledger["epsilon_pld"] <= ledger["epsilon_rdp"] <= 8


def test_budgets_are_written_for_every_epsilon(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained(capsys, *budgets(prepared, "b/eps-3.json", "b/eps-inf.json"))
    three, none = (Budget.from_json(json.loads(Path(f"b/eps-{label}.json").read_text())) for label in ("3", "inf"))
    assert (three.epsilon, none.epsilon) == (3, math.inf)
    assert three.noise_multiplier > none.noise_multiplier == 0
    assert three.steps == none.steps == 6


@pytest.mark.parametrize(("delta", "warned"), [(1 / 1437, True), (6.9e-4, False)])
def test_delta_of_one_over_the_examples_or_more_is_warned_of(
    delta: float,
    warned: bool,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([str(argument) for argument in budgets(prepared, "eps-inf.json", delta=delta)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("psasc-bench: warning: datasets.digits.delta: ") for line in lines] == [True] * warned


@pytest.mark.usefixtures("study")
def test_data_set_is_looked_for_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setenv("PSASC_BENCH_DATA", str(tmp_path / "elsewhere"))
    (line,) = refused(*prepare(source="mnist"))
    assert line.startswith(f"{tmp_path / 'elsewhere'}")
    assert f"psasc-bench download mnist --data-root {tmp_path / 'elsewhere'}" in line


# ------------------------------------------------------------------------------------------------ mistakes in a command


def test_unknown_method_is_refused_with_the_known_ones(refused: Refused) -> None:
    (line,) = refused("info", "dp-sgf")
    assert line.startswith("unknown method 'dp-sgf'; known: auto-s, ")


def test_method_that_the_study_has_not_is_refused_with_those_it_has(study: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, method="dp-psasc"))
    assert line == "methods: no method 'dp-psasc'; there are: dp-sgd, nonprivate"


def test_data_set_that_the_study_has_not_is_refused_with_those_it_has(study: Path, refused: Refused) -> None:
    (line,) = refused("train", "--config", study, "--dataset", "mnist", "--method", "dp-sgd", "--epsilon", "8")
    assert line == "datasets: no data set 'mnist'; there are: digits"


def test_absent_configuration_is_named(tmp_path: Path, refused: Refused) -> None:
    (line,) = refused("collect", "--config", tmp_path / "absent.yaml")
    assert line == f"{tmp_path / 'absent.yaml'}: cannot be read: No such file or directory"


def test_every_problem_of_a_configuration_gets_a_line(study: Path, refused: Refused) -> None:
    write_study(study, clip=1, epochs=0)
    assert [line.split(": ")[1] for line in refused("collect", "--config", study)] == [
        "datasets.digits.epochs",
        "datasets.digits.clip",
    ]


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "1e-4"])
def test_impossible_epsilon_is_refused(epsilon: str, study: Path, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, "--data", prepared, epsilon=epsilon))
    assert "epsilon" in line
    assert not Path("results").exists()


def test_unreachable_epsilon_is_refused_among_budgets(prepared: Path, refused: Refused) -> None:
    (line,) = refused(*budgets(prepared, "eps-0.0001.json"))
    assert line.startswith("epsilon 0.0001 is out of reach at delta 0.0001")


def test_non_private_method_at_a_finite_epsilon_is_refused(study: Path, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*train(study, "--data", prepared, method="nonprivate"))
    assert line.startswith("no noise gives privacy here")
    assert not list(Path("results").rglob("*.json"))


def test_batch_larger_than_the_data_set_is_refused_by_key(study: Path, prepared: Path, refused: Refused) -> None:
    write_study(study, expected_batch_size=1438)
    (line,) = refused(*train(study, "--data", prepared))
    assert line.startswith("expected_batch_size 1438 is larger than the 1437 training examples of digits")
    assert "datasets.digits.expected_batch_size" in line


@pytest.mark.parametrize("model", ["resnet", "mnist_cnn", "cifar_cnn"])
def test_model_that_does_not_exist_or_fit_is_refused_by_key(model: str, prepared: Path, refused: Refused) -> None:
    (line,) = refused(*budgets(prepared, "eps-8.json", model=model))
    assert line.startswith("datasets.digits: ")
    assert model in line


@pytest.mark.parametrize("output", ["file/runs", "file"])
def test_output_that_cannot_be_written_is_named(output: str, study: Path, prepared: Path, refused: Refused) -> None:
    Path("file").write_text("in the way")
    (line,) = refused(*train(study, "--data", prepared, "--runs", output, method="nonprivate", epsilon="inf"))
    assert "file" in line


@pytest.mark.parametrize(
    "option", [["--seeds", "-1"], ["--seeds", "a"], ["--threads", "0"], ["--epsilon", "many"], ["--device", "abacus"]]
)
def test_option_that_makes_no_sense_is_refused_by_name(
    option: list[str], study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(argument) for argument in train(study, *option)])
    assert stopped.value.code == 2
    assert f"psasc-bench train: error: argument {option[0]}" in capsys.readouterr().err


def test_unknown_figure_is_refused_with_the_known_ones(refused: Refused) -> None:
    (line,) = refused("figure", "pie")
    assert line.startswith("no figure 'pie'; there are: ")


# ------------------------------------------------------------------------------------------------ damaged files


def arrays(**changes: Any) -> dict[str, Any]:
    """Eight images of each part, and what is to be wrong with them."""
    images, labels = np.zeros((8, 1, 8, 8), np.uint8), np.arange(8)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels} | changes


WRONG = {
    "labels of another number": arrays(y_train=np.arange(7)),
    "images without a shape": arrays(x_train=np.zeros(8, np.uint8)),
    "images of unlike shape": arrays(x_test=np.zeros((8, 1, 9, 9), np.uint8)),
    "NaN pixels": arrays(x_train=np.full((8, 1, 8, 8), np.nan)),
    "labels that are no classes": arrays(y_test=np.linspace(0, 1, 8)),
    "a part missing": {"x_train": np.zeros((8, 1, 8, 8), np.uint8)},
    "python objects": arrays(y_train=np.array([None] * 8)),
}


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_wrong_npz_is_refused_by_file_name(wrong: dict[str, Any], refused: Refused) -> None:
    np.savez("mine.npz", **wrong)
    (line,) = refused(*prepare("--path", "mine.npz"))
    assert line.startswith("mine.npz: ")
    assert not Path("prepared.npz").exists()


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("option", "value"),
    [("--mean", "nan"), ("--mean", "inf"), ("--deviation", "0"), ("--deviation", "-1"), ("--deviation", "nan")],
)
def test_constant_that_would_spoil_the_images_is_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    constants = {"--mean": "0", "--deviation": "1"} | {option: value}
    given = [text for item in constants.items() for text in item]
    with pytest.raises(SystemExit):
        cli.main([str(argument) for argument in prepare("--path", "mine.npz", *given)])
    assert f"psasc-bench prepare: error: argument {option}: must be a finite number" in capsys.readouterr().err


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("label", [-1, 10])
def test_label_that_the_model_has_no_class_for_is_refused(label: int, refused: Refused) -> None:
    np.savez("mine.npz", **arrays(y_train=np.full(8, label)))
    assert cli.main([str(argument) for argument in prepare("--path", "mine.npz")]) == 0
    (line,) = refused(*budgets("prepared.npz", "eps-8.json", **{"expected-batch-size": 4}))
    assert "y_train" in line
    assert str(label) in line


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_prepared_file_cut_short_is_refused_by_name(
    share: float, study: Path, prepared: Path, tmp_path: Path, refused: Refused
) -> None:
    whole = prepared.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
    (line,) = refused(*train(study, "--data", "cut.npz"))
    assert line.startswith("cut.npz: ")


def write_budget(path: Path, digits: Dataset, **changes: Any) -> Path:
    examples = len(digits.y_train)
    values = {
        "epsilon": 8.0,
        "delta": 1e-4,
        "sampling_rate": 256 / examples,
        "steps": 6,
        "noise_multiplier": 1.0,
        "epsilon_rdp": 8.0,
        "epsilon_pld": 7.5,
    }
    path.write_text(json.dumps(Budget(**(values | changes)).to_json()))
    return path


def test_budget_of_the_very_schedule_is_taken(
    study: Path, prepared: Path, digits: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(capsys, *train(study, "--data", prepared, "--budget", write_budget(Path("budget.json"), digits)))


@pytest.mark.parametrize("change", [{"steps": 5}, {"epsilon": 3.0}, {"delta": 1e-5}, {"sampling_rate": 0.1}], ids=str)
def test_budget_of_another_schedule_is_refused(
    change: dict[str, Any], study: Path, prepared: Path, digits: Dataset, refused: Refused
) -> None:
    budget = write_budget(Path("budget.json"), digits, **change)
    (line,) = refused(*train(study, "--data", prepared, "--budget", budget))
    assert line.startswith(f"the budget was calibrated for {next(iter(change))} ")
    assert not list(Path("results").rglob("*.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "{}", '{"epsilon": 8, "clip": 1}'])
def test_damaged_budget_is_refused_by_name(text: str, study: Path, prepared: Path, refused: Refused) -> None:
    Path("budget.json").write_text(text)
    (line,) = refused(*train(study, "--data", prepared, "--budget", "budget.json"))
    assert line.startswith("budget.json: not a privacy budget")


@pytest.mark.parametrize("value", ["much", None, math.nan, -1.0, math.inf], ids=repr)
def test_budget_with_an_impossible_noise_multiplier_is_refused(
    value: Any, study: Path, prepared: Path, digits: Dataset, refused: Refused
) -> None:
    values = json.loads(write_budget(Path("budget.json"), digits).read_text())
    Path("budget.json").write_text(json.dumps(values | {"noise_multiplier": value}))
    (line,) = refused(*train(study, "--data", prepared, "--budget", "budget.json"))
    assert line.startswith("budget.json: not a privacy budget (noise_multiplier ")


def test_damaged_record_is_refused_by_name(study: Path, refused: Refused) -> None:
    path = Path("results/runs/digits/dp-sgd/eps-8/seed-0.json")
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1')
    (line,) = refused("collect", "--config", study)
    assert line.startswith(f"{path}: not a run record")


# ------------------------------------------------------------------------------------------------ as a process


def test_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m psasc_bench info | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("auto-s (Auto-S)")
    assert ran.stderr == ""


def test_closed_output_is_no_error() -> None:
    """The pipe is closed before anything is written, so that the write must fail."""
    command = [sys.executable, "-m", "psasc_bench", "info"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


def test_error_is_a_line_and_exit_status_2() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "psasc_bench", "info", "dp-sgf"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("psasc-bench: error: unknown method 'dp-sgf'")


def test_info_loads_no_large_library() -> None:
    """The workflow reads methods and configuration on every start, which must not wait for torch."""
    code = "import sys; from psasc_bench import cli; cli.main(['info']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "opacus", "pandas", "scipy", "matplotlib", "sklearn"} & set(ran.stderr.split())
