"""The workflow, run by Snakemake on a copy of the project: what is trained, what is left alone, what is said.

Every test starts from a copy of one finished study, so that it trains no more than it is about.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, expect

from psasc_bench import cli
from psasc_bench.records import record

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "psasc_bench", "workflow", "profiles")
RUNS = "results/runs/digits"

STUDY: dict[str, Any] = {
    "seeds": [0, 1],
    "epsilons": [8],
    "methods": {"dp-sgd": {"C": 0.1}, "dp-psasc": {"C": 0.2, "s": 2, "r": 0.1}, "nonprivate": {}},
    "datasets": {
        "digits": {
            "source": "digits",
            "title": "Digits",
            "model": "digits_cnn",
            "expected_batch_size": 256,
            "micro_batch_size": 320,
            "epochs": 1,
            "delta": 1e-4,
            "learning_rate": 1,
            "momentum": 0.9,
            "share_process": True,
        }
    },
}
BROKEN = '''
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Broken(Method):
    """``w(x)`` fails on a micro-batch of the study's, so in training and not in the audit."""

    title = "broken"

    def weight(self, norm: Tensor) -> Tensor:
        if len(norm) == 320:
            raise RuntimeError("this method is broken")
        return 1 / (norm + 1)

    def sensitivity(self) -> float:
        return 1.0
'''


def new_project(folder: Path, study: dict[str, Any]) -> Path:
    """A copy of the project. Snakemake and the jobs that it starts import the copy's package, see ``environment``."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    configure(folder, study)
    return folder


def configure(folder: Path, study: dict[str, Any]) -> None:
    (folder / "study.yaml").write_text(yaml.safe_dump(study))


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PYTHONPATH": str(folder), "PATH": path}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--configfile", "study.yaml", "--cores", "1", *arguments]


def snakemake(folder: Path, *arguments: str, status: int = 0) -> str:
    ran = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stdout
    return ran.stdout


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Snakemake in the background."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command("results/README.md"), cwd=folder, env=environment(folder), **quiet)


def jobs(output: str) -> dict[str, int]:
    """How many jobs of each rule Snakemake says that it runs."""
    if "Nothing to be done" in output:
        return {}
    table = re.search(r"^Job stats:\n.*\n-.*\n((?:\S+ +\d+\n)+)", output, re.MULTILINE)
    assert table, output
    counts = {name: int(count) for name, count in (line.split() for line in table[1].splitlines())}
    return {name: count for name, count in counts.items() if name not in ("all", "total")}


def records(folder: Path) -> dict[str, bytes]:
    """The records, by name. They hold when and in how many seconds they were made: none is made twice the same."""
    return {str(path.relative_to(folder / RUNS)): path.read_bytes() for path in (folder / RUNS).rglob("*.json")}


def changes(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all runs and tables made; not to be changed."""
    folder = new_project(tmp_path_factory.mktemp("finished"), STUDY)
    snakemake(folder, "results/README.md", "results/claims.md")
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return shutil.copytree(finished, tmp_path / "project")


# ------------------------------------------------------------------------------------------------ what is made


def test_study_has_a_record_and_a_curve_for_every_run(finished: Path) -> None:
    cells = ["dp-sgd/eps-8", "dp-psasc/eps-8", "nonprivate/eps-inf"]
    names = {f"{cell}/seed-{seed}.json" for cell in cells for seed in (0, 1)}
    assert set(records(finished)) == names
    assert {record.read(finished / RUNS / name).status for name in names} == {"done"}
    assert all((finished / RUNS / name).with_suffix(".csv").exists() for name in names)


def test_study_has_its_tables(finished: Path) -> None:
    for name in ("runs.csv", "curves.csv", "summary.csv", "weights.csv", "README.md", "claims.csv", "claims.md"):
        assert (finished / "results" / name).stat().st_size
    report = (finished / "results" / "README.md").read_text()
    assert "DP-PSASC" in report
    assert "Runs that enter no mean" not in report


def test_jobs_import_the_copy_of_the_package(finished: Path) -> None:
    """Or else nothing below would show anything. The copy, unlike the original, is in no repository."""
    assert (ROOT / ".git").exists()
    assert record.read(finished / RUNS / "dp-sgd/eps-8/seed-0.json").provenance["commit"] is None


def test_spool_is_empty_when_all_is_done(finished: Path) -> None:
    assert not [path for path in (finished / "results" / "spool").rglob("*") if path.is_file()]


def test_figures_can_be_drawn_from_the_tables(project: Path) -> None:
    snakemake(project, "figures/accuracy.svg")
    assert {path.name for path in (project / "figures").iterdir()} == {"accuracy.svg", "accuracy.pdf"}


def test_deviations_can_be_had_on_request(project: Path) -> None:
    """Along one run for each seed, of all methods but the controls; no other run is trained for it."""
    assert jobs(snakemake(project, "results/deviation.csv")) == {"deviation_digits": 2, "deviation": 1}
    header, *rows = (project / "results" / "deviation.csv").read_text().splitlines()
    assert "dataset,epsilon,trajectory,method" in header
    assert sorted(row.split(",")[:5] for row in rows) == [
        ["Digits", "digits", "8.0", "dp-sgd", method] for method in ("dp-psasc", "dp-psasc", "dp-sgd", "dp-sgd")
    ]


def test_report_opens_in_a_browser_and_asks_for_nothing(project: Path, browser: Browser) -> None:
    """Snakemake's own, with what the study has to show; each of it is one click away."""
    snakemake(project, "reported")
    snakemake(project, "reported", "--report", "results/report.html")
    page, asked, errors = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    shown_by = {"All data sets": "accuracy", "By data set": "digits", "Tables": "claims", "Configuration": "settings"}
    for category, shown in shown_by.items():
        page.goto((project / "results" / "report.html").as_uri())
        page.get_by_text(category, exact=True).click()
        expect(page.get_by_text(shown).first).to_be_visible()
    assert page.screenshot()
    page.close()
    assert [url for url in asked if not url.endswith("/results/report.html")] == []
    assert errors == []


# ------------------------------------------------------------------------------------------------ what is made again


def test_finished_study_leaves_nothing_to_do(finished: Path) -> None:
    assert jobs(snakemake(finished, "results/README.md")) == {}


def test_edited_method_retrains_exactly_its_runs(project: Path) -> None:
    source = project / "psasc_bench" / "methods" / "dp_psasc.py"
    source.write_text(source.read_text().replace("self.s * norm", "1.5 * self.s * norm"))
    before = records(project)
    due = jobs(snakemake(project, "--dry-run", "results/README.md"))
    assert due == {"train_digits": 1, "verify": 1, "audit": 1, "collect": 1}
    snakemake(project, f"{RUNS}/dp-psasc/eps-8/seed-0.json")
    assert changes(before, records(project)) == {"dp-psasc/eps-8/seed-0.json", "dp-psasc/eps-8/seed-1.json"}


def test_records_that_came_with_a_clone_are_trained_anew_once_they_are_stale(project: Path) -> None:
    """Snakemake knows nothing of how they were made."""
    as_cloned(project, RUNS)
    before = records(project)
    configure(project, STUDY | {"methods": STUDY["methods"] | {"dp-sgd": {"C": 0.2}}})
    snakemake(project, "results/study.json")
    assert changes(before, records(project)) == {"dp-sgd/eps-8/seed-0.json", "dp-sgd/eps-8/seed-1.json"}
    assert jobs(snakemake(project, "results/study.json")) == {}


def test_audit_that_came_with_a_clone_does_not_pass_for_that_of_an_edited_method(project: Path) -> None:
    as_cloned(project)
    assert (project / "results" / "audit.csv").exists()
    source = project / "psasc_bench" / "methods" / "dp_psasc.py"
    source.write_text(source.read_text().replace("return self.C / self.s", "return self.C / self.s / 2"))
    said = snakemake(project, "results/study.json", status=1)
    assert "refuted: DP-PSASC: more privacy is spent than claimed" in said


@pytest.mark.parametrize(
    ("asked", "tables", "job"),
    [
        ("results/deviation.csv", ["deviation.csv"], "deviation_digits"),
        ("tune", ["tuned.yaml", "tuning.csv"], "sweep_tuning_digits_dp_sgd"),
        ("sweeps", ["sweeps.csv", "sweep_curves.csv"], "sweep_tuning_digits_dp_sgd"),
    ],
)
def test_tables_on_request_that_came_with_a_clone_are_made_anew(
    project: Path, asked: str, tables: list[str], job: str
) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    for table in tables:
        shutil.copy(ROOT / "results" / table, project / "results" / table)
    as_cloned(project)
    assert all((project / "results" / table).exists() for table in tables)
    assert jobs(snakemake(project, "--dry-run", asked))[job] > 0


def test_figure_that_came_with_a_clone_is_drawn_anew_from_a_table_on_request(project: Path) -> None:
    """Who measures the cost in a clone wants to see that, and no input of the figure is any younger for it."""
    for name in ("results/cost.csv", "figures/cost.svg", "figures/cost.pdf"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    as_cloned(project)
    assert jobs(snakemake(project, "figures/cost.svg")) == {"figure": 1}
    assert jobs(snakemake(project, "figures/cost.svg")) == {}


def as_cloned(project: Path, *folders: str) -> None:
    """Leave of the study's files those that the repository has, and those in ``folders`` as if it had them."""
    shipped = subprocess.check_output(["git", "ls-files", "results"], cwd=ROOT, text=True).splitlines()
    shutil.rmtree(project / ".snakemake")
    shutil.rmtree(project / "data")
    for path in (project / "results").rglob("*"):
        name = str(path.relative_to(project))
        if path.is_file() and name not in shipped and not name.startswith(folders):
            path.unlink()


def metrics(folder: Path) -> dict[str, Any]:
    """By name, all of a run that should not depend on when and how it was made."""
    found = {str(path.relative_to(folder)): record.read(path) for path in (folder / RUNS).rglob("*.json")}
    curves = {str(path.relative_to(folder)): path.read_bytes() for path in (folder / RUNS).rglob("*.csv")}
    return {name: (one.result, one.ledger, one.nonprivate) for name, one in found.items()} | curves


def test_more_cores_give_the_same_bits(finished: Path, tmp_path: Path) -> None:
    project = new_project(tmp_path, STUDY)
    snakemake(project, "results/README.md", "--cores", "8")
    assert metrics(project) == metrics(finished)


def test_study_killed_outright_goes_on_where_it_was(finished: Path, tmp_path: Path) -> None:
    """Snakemake alone, while it prepares: what its job finishes as an orphan is complete, the rest is made."""
    project = new_project(tmp_path, STUDY)
    process = subprocess.Popen(
        command("results/README.md"), cwd=project, env=environment(project), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300  # on a busy machine
    while not list((project / "logs" / "budgets").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while not list((project / "results" / "budgets").rglob("*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "cannot be locked" in snakemake(project, "results/README.md", status=1)
    snakemake(project, "--unlock")
    snakemake(project, "results/README.md")
    assert metrics(project) == metrics(finished)


def test_second_workflow_on_one_folder_says_so(project: Path) -> None:
    configure(project, STUDY | {"seeds": [7, 8, 9]})
    with subprocess.Popen(
        command("results/README.md"), cwd=project, env=environment(project), stderr=subprocess.DEVNULL
    ) as first:
        deadline = time.monotonic() + 300  # on a busy machine
        while not list((project / ".snakemake" / "locks").glob("*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "cannot be locked" in snakemake(project, "results/README.md", status=1)
    assert first.returncode == 0


def test_data_cut_short_between_two_runs_is_named(project: Path) -> None:
    (data,) = (project / "data" / "prepared").glob("digits*.npz")
    data.write_bytes(data.read_bytes()[:1000])
    configure(project, STUDY | {"seeds": [7]})
    output = snakemake(project, "results/README.md", status=1)
    assert f"psasc-bench: error: data/prepared/{data.name}" in output
    assert "Traceback" not in output


def test_clock_set_back_retrains_nothing(project: Path) -> None:
    before = metrics(project)
    yesterday = time.time() - 86400
    for path in list((project / RUNS).rglob("*"))[::2]:
        os.utime(path, (yesterday, yesterday))
    snakemake(project, "results/README.md")
    assert metrics(project) == before


def test_partial_results_can_be_collected_while_runs_are_missing(project: Path) -> None:
    (project / RUNS / "dp-psasc" / "eps-8" / "seed-1.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert cli.main(["status", "--config", "study.yaml"]) == 0
        assert cli.main(["collect", "--config", "study.yaml"]) == 0
    rows = (project / "results" / "status.csv").read_text().splitlines()
    assert rows[0] == "dataset,epsilon,method,seed,status,reason"
    assert sorted(rows[1:]) == sorted(
        f"digits,{epsilon},{method},{seed},{'missing' if (method, seed) == ('dp-psasc', 1) else 'done'},"
        for method, epsilon in (("dp-sgd", 8), ("dp-psasc", 8), ("nonprivate", "inf"))
        for seed in (0, 1)
    )
    assert "digits/dp-psasc/eps-8: missing: seeds 1\n" in (project / "results" / "README.md").read_text()


def test_touched_method_retrains_nothing(project: Path) -> None:
    (project / "psasc_bench" / "methods" / "dp_psasc.py").touch()
    assert jobs(snakemake(project, "--dry-run", "results/README.md")) == {}


def test_new_seed_trains_only_the_new_runs(project: Path) -> None:
    configure(project, STUDY | {"seeds": [0, 1, 2]})
    before = records(project)
    assert jobs(snakemake(project, "--dry-run", "results/README.md"))["train_digits"] == 3
    snakemake(project, f"{RUNS}/dp-sgd/eps-8/seed-2.json")
    assert changes(before, records(project)) == {"dp-sgd/eps-8/seed-2.json"}


def test_removed_record_is_trained_again_alone_and_the_same(project: Path) -> None:
    before = records(project)
    removed = project / RUNS / "dp-psasc" / "eps-8" / "seed-1.json"
    old, curve = record.read(removed), removed.with_suffix(".csv").read_bytes()
    removed.unlink()
    snakemake(project, f"{RUNS}/dp-psasc/eps-8/seed-1.json")
    new = record.read(removed)
    assert (new.result, new.spec, new.ledger) == (old.result, old.spec, old.ledger)
    assert removed.with_suffix(".csv").read_bytes() == curve
    assert changes(before, records(project)) == {"dp-psasc/eps-8/seed-1.json"}


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({"datasets": {"digits": STUDY["datasets"]["digits"] | {"learning_rate": 0.5}}}, 3),
        ({"methods": STUDY["methods"] | {"dp-psasc": {"C": 0.2, "s": 2, "r": 0.2}}}, 1),
        ({"methods": STUDY["methods"] | {"auto-s": {"C": 0.1}}}, 1),
        ({"epsilons": [3, 8]}, 2),
        ({"methods": {"dp-sgd": {"C": 0.1}}}, 0),
        ({"datasets": {"digits": STUDY["datasets"]["digits"] | {"title": "Other"}}}, 0),
    ],
    ids=["protocol", "hyper-parameter", "new method", "new epsilon", "fewer methods", "title"],
)
def test_change_of_the_study_trains_the_cells_that_it_concerns(
    change: dict[str, Any], cells: int, project: Path
) -> None:
    configure(project, STUDY | change)
    counts = jobs(snakemake(project, "--dry-run", "results/README.md"))
    assert counts.get("train_digits", 0) == cells
    assert counts["collect"] == 1


# ------------------------------------------------------------------------------------------------ what goes wrong


def heed_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children: the suite may be among them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupted_study_loses_no_finished_run_and_ends_the_same(tmp_path: Path) -> None:
    """Ctrl-C, which reaches Snakemake and the training process alike, once the first of three runs is finished."""
    study = STUDY | {"seeds": [0, 1, 2], "methods": {"nonprivate": {}}}
    study["datasets"] = {"digits": STUDY["datasets"]["digits"] | {"epochs": 15}}
    project = new_project(tmp_path, study)
    cell = "nonprivate/eps-inf"
    target = f"{RUNS}/{cell}/seed-0.json"
    places = [project / target, project / "results" / "spool" / "digits" / cell / "seed-0.json"]
    process = subprocess.Popen(
        command(target),
        cwd=project,
        env=environment(project),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    deadline = time.monotonic() + 300  # on a busy machine
    while not any(place.exists() for place in places):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert not list((project / "results").rglob("seed-2.json")), "the study was over before it was interrupted"
    kept = next(record.read(place) for place in places if place.exists())

    snakemake(project, *(f"{RUNS}/{cell}/seed-{seed}.json" for seed in (0, 1, 2)))
    assert record.read(project / target) == kept
    assert len(records(project)) == 3

    unbroken = ["train", "--config", "study.yaml", "--dataset", "digits", "--method", "nonprivate", "--epsilon", "inf"]
    unbroken += ["--seeds", "1", "--runs", "unbroken/runs", "--data", "data/prepared/digits.npz"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert cli.main(unbroken) == 0
    whole = record.read(project / "unbroken" / "runs" / "digits" / cell / "seed-1.json")
    assert record.read(project / RUNS / cell / "seed-1.json").result == whole.result


def test_failed_run_is_recorded_and_named_and_does_not_stop_the_others(project: Path) -> None:
    (project / "psasc_bench" / "methods" / "broken.py").write_text(BROKEN)
    configure(project, STUDY | {"methods": STUDY["methods"] | {"broken": {}, "dp-psac": {"C": 0.1, "r": 0.1}}})
    before = records(project)
    output = snakemake(project, "figures/accuracy.svg")
    assert "broken/eps-8/seed-0 failed: RuntimeError after step 0: this method is broken" in output
    assert {name.split("/")[0] for name in changes(before, records(project))} == {"dp-psac", "broken"}
    failed = project / RUNS / "broken" / "eps-8" / "seed-0.json"
    assert record.read(failed).status == "failed"
    report = (project / "results" / "README.md").read_text()
    assert "digits/broken/eps-8/seed-0: failed (RuntimeError after step 0: this method is broken)" in report
    assert "2 failed" in (project / "figures" / "accuracy.svg").read_text()

    method = project / "psasc_bench" / "methods" / "broken.py"
    method.write_text(BROKEN.replace("== 320", "== 321"))
    snakemake(project, f"{RUNS}/broken/eps-8/seed-0.json")
    assert record.read(failed).status == "done"


def test_invalid_study_is_refused_with_a_line_per_problem_before_anything_is_done(project: Path) -> None:
    configure(project, STUDY | {"epsilons": [0], "clip": 1})
    before = records(project)
    output = snakemake(project, "results/README.md", status=1)
    assert [line.split("study.yaml: ")[1].split(", ")[0] for line in output.splitlines() if "study.yaml: " in line] == [
        "epsilons.0: input should be greater than 0",
        "clip: unknown key; see config/README.md for the known ones",
    ]
    assert "Traceback" not in output
    assert records(project) == before


def test_seeds_can_be_given_on_the_command_line(project: Path) -> None:
    output = snakemake(project, "results/README.md", "--dry-run", "--config", "seeds=[5]")
    assert jobs(output)["train_digits"] == 3
    assert "dp-sgd/eps-8/seed-5.json" in output


def test_every_run_is_a_job_of_its_own_where_processes_are_not_shared(project: Path) -> None:
    configure(project, STUDY | {"datasets": {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}})
    (project / RUNS / "dp-sgd" / "eps-8" / "seed-1.json").unlink()
    assert jobs(snakemake(project, "--dry-run", "results/README.md"))["train_digits"] == 1


def trained(output: str) -> dict[str, int]:
    return {rule: count for rule, count in jobs(output).items() if rule.startswith("train_")}


def test_shipped_study_trains_the_digits_and_what_else_it_is_asked_for(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    project = new_project(tmp_path, values)
    private = len(values["methods"]) - 1  # one has no epsilons

    def runs(dataset: dict[str, Any]) -> int:
        budgets, more = dataset.get("epsilons", values["epsilons"]), dataset.get("more_seeds", {})
        return (private * len(budgets) + 1) * len(values["seeds"]) + private * sum(map(len, more.values()))

    others = {f"train_{name}": runs(dataset) for name, dataset in values["datasets"].items() if name != "digits"}
    # all seeds of a cell of the digits share a job
    assert trained(snakemake(project, "--dry-run")) == {"train_digits": private * len(values["epsilons"]) + 1}
    names = ", ".join(name for name in values["datasets"] if name != "digits")
    assert trained(snakemake(project, "--dry-run", "--config", f"train=[{names}]")) == others


def test_records_of_data_sets_that_are_not_trained_are_shown(project: Path) -> None:
    """Asked for no training, the workflow makes its tables from the records that there are, anew when one is gone."""
    shown = ["results/README.md", "--config", "train=[]"]
    snakemake(project, *shown)
    before = (project / "results" / "README.md").read_text()
    assert jobs(snakemake(project, "--dry-run", *shown)) == {}
    (project / RUNS / "dp-sgd" / "eps-8" / "seed-1.json").unlink()
    assert trained(snakemake(project, *shown)) == {}
    after = (project / "results" / "README.md").read_text()
    assert "digits/dp-sgd/eps-8: missing: seeds 1\n" in after
    assert "digits/dp-sgd/eps-8" not in before


def test_resolved_study_is_kept_with_the_results(finished: Path) -> None:
    resolved = json.loads((finished / "results" / "study.json").read_text())
    assert resolved["methods"] == STUDY["methods"]


# ------------------------------------------------------------------------------------------------ sweeps

SWEEPS: dict[str, Any] = {
    "tuning": {
        "evaluation": "validation",
        "datasets": ["digits"],
        "epsilons": [8],
        "seeds": [100],
        "methods": {
            "dp-sgd": {"learning_rate": [0.01, 2]},
            "dp-psasc": {"sensitivity": 0.1, "s": [2, 4]},
            "nonprivate": {"learning_rate": [0.01, 0.1]},
        },
    },
    "longer": {
        "evaluation": "test",
        "datasets": ["digits"],
        "epsilons": [3, 8],
        "seeds": [0],
        "methods": {"dp-psasc": {"epochs": 2, "iterates": [1, 2]}},
    },
}


def trials(folder: Path) -> dict[str, bytes]:
    sweeps = folder / "results" / "sweeps"
    return {str(path.relative_to(sweeps)): path.read_bytes() for path in sweeps.rglob("*.json")}


def test_tuning_is_asked_for_by_name_resumes_and_its_choice_can_be_laid_over_the_study(project: Path) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    assert jobs(snakemake(project, "--dry-run", "results/README.md")) == {}
    before = records(project)
    output = snakemake(project, "tune")
    methods = ("dp_sgd", "dp_psasc", "nonprivate")
    trained = {f"sweep_tuning_digits_{method}": 1 for method in methods}
    assert jobs(output) == {"budgets_digits_1_validation": 1, **trained, "tune": 1}
    assert "tuning took 6 runs" in output
    assert records(project) == before
    assert jobs(snakemake(project, "--dry-run", "tune")) == {}

    chosen = yaml.safe_load((project / "results" / "tuned.yaml").read_text())["datasets"]["digits"]["overrides"]
    assert chosen["dp-sgd"] == {"learning_rate": 2}
    planned = snakemake(project, "--dry-run", f"{RUNS}/dp-sgd/eps-8/seed-0.json", *study_with("results/tuned.yaml"))
    assert jobs(planned) == {"train_digits": 1}

    finished, tuning = trials(project), SWEEPS["tuning"]
    configure(project, STUDY | {"sweeps": {"tuning": tuning | {"seeds": [100, 101]}}})
    snakemake(project, "tune")
    assert len(trials(project)) == 2 * len(finished)
    assert finished.items() <= trials(project).items()


def study_with(overlay: str) -> list[str]:
    return ["--configfile", "study.yaml", overlay]


def test_sweeps_are_a_job_for_each_method_or_for_each_run(project: Path) -> None:
    configure(project, STUDY | {"sweeps": SWEEPS})
    counts = jobs(snakemake(project, "--dry-run", "sweeps"))
    assert counts["sweep_longer_digits_dp_psasc"] == 1
    assert counts["budgets_digits_2_test"] == 1
    apart = {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}
    configure(project, STUDY | {"sweeps": SWEEPS, "datasets": apart})
    counts = jobs(snakemake(project, "--dry-run", "sweeps"))
    assert (counts["sweep_longer_digits_dp_psasc"], counts["sweep_tuning_digits_nonprivate"]) == (4, 2)


def test_one_run_of_a_sweep_can_be_trained_by_itself(project: Path) -> None:
    apart = {"digits": STUDY["datasets"]["digits"] | {"share_process": False}}
    configure(project, STUDY | {"sweeps": SWEEPS, "datasets": apart})
    target = "tuning/learning_rate=0.1/runs/digits/nonprivate/eps-inf/seed-100.json"
    snakemake(project, f"results/sweeps/{target}")
    assert list(trials(project)) == [target]
    assert record.read(project / "results" / "sweeps" / target).spec.learning_rate == 0.1
    never_declared = target.replace("0.1", "0.15")
    assert "No rule to produce" in snakemake(project, f"results/sweeps/{never_declared}", status=1)
