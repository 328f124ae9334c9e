"""A study of one's own, as a user starts it in a clone: it stands by itself, and nothing wrong gets into its tables."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import ROOT, RUNS, STUDY, changes, configure, jobs, records, snakemake
from sklearn.datasets import load_digits

from psasc_bench.records import record

DIGITS = STUDY["datasets"]["digits"]
BAD = '''
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Bad(Method):
    """Not private, or not what it says."""

    title = "bad"
    C: float
    s: float = 1.0

    def weight(self, norm: Tensor) -> Tensor:
        {weight}

    def sensitivity(self) -> float:
        return {sensitivity}
'''
BAD_METHODS = {
    "batch mean": ("return self.C * norm.mean() / (norm.mean() + 1) / (norm + 0.01)", "self.C", "own weights"),
    "right for s = 1": ("return self.C / (self.s * norm + 0.01)", "self.C", "supremum"),
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of all that is tracked, or would be, with git to say what has changed in it."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    clone = tmp_path / "clone"
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "-c", "user.name=me", "-c", "user.email=me@here", "commit", "--quiet", "--message", "as cloned")
    return clone


def git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True)


def test_own_study_changes_no_file_of_the_clone_and_speaks_of_itself_alone(clone: Path) -> None:
    """It shares the name of its data set with the shipped one, whose tables made on request lie beside it."""
    study = {"seeds": [0, 1], "epsilons": [3], "methods": {"dp-sgd": {"C": 0.1}, "auto-s": {"C": 0.1}}}
    (clone / "mine.yaml").write_text(json.dumps(study | {"datasets": {"digits": DIGITS | {"learning_rate": 0.001}}}))
    tables = [f"results/tables/accuracy.{ending}" for ending in ("csv", "md", "tex", "html")]
    said = snakemake(clone, "study.md", *tables, "figures/accuracy.svg", "results/explorer.html", study="mine.yaml")
    assert git(clone, "status", "--porcelain") == "?? mine.yaml\n"
    mine = clone / "studies" / "mine"
    assert "psasc-bench: what was made is in studies/mine\n" in said
    assert "psasc-bench: open studies/mine/study.md and studies/mine/results/explorer.html\n" in said
    written = (mine / "study.md").read_text() + (mine / "results" / "claims.md").read_text()
    assert "Auto-S" in written
    for foreign in ("PSASC", "PSAC", "NSGD", "CIFAR", "MNIST", "momentum variant"):
        assert foreign not in written.replace("DP-PSASC paper", "")


def test_bad_methods_are_stopped_before_they_are_trained(project: Path) -> None:
    """The last of them is bad only where a data set overrides its settings."""
    names = {f"bad{i}": bad for i, bad in enumerate(BAD_METHODS)}
    for name, (weight, sensitivity, _) in zip(names, BAD_METHODS.values(), strict=True):
        source = BAD.replace("{weight}", weight).replace("{sensitivity}", sensitivity).replace('"bad"', f'"{name}"')
        (project / "psasc_bench" / "methods" / f"{name}.py").write_text(source)
    methods = STUDY["methods"] | {name: {"C": 0.1} for name in names}
    second = DIGITS | {"title": "Digits again", "overrides": {name: {"s": 0.5} for name in names}}
    configure(project, STUDY | {"methods": methods, "datasets": {"digits": DIGITS, "again": second}})
    asked = [f"results/runs/again/{name}/eps-8/seed-0.json" for name in (*names, "dp-sgd")]
    said = snakemake(project, "--keep-going", *asked, status=1)
    for name, bad in names.items():
        (line,) = {line for line in said.splitlines() if f"error: {name} (" in line}
        assert "fails the battery and is not trained" in line
        assert f"{BAD_METHODS[bad][2]} is" in line
    assert [path.parent.parent.name for path in (project / "results/runs/again").rglob("seed-0.json")] == ["dp-sgd"]


def test_bad_ledger_withholds_its_own_rows_alone(project: Path) -> None:
    path = project / RUNS / "dp-sgd" / "eps-8" / "seed-0.json"
    values = json.loads(path.read_text())
    values["ledger"]["noise_multiplier"] /= 2
    path.write_text(json.dumps(values))
    said = snakemake(project, "--forcerun", "verify", "--", "results/README.md")
    assert "digits/dp-sgd/eps-8/seed-0 is withheld: it spent epsilon" in said
    summary = (project / "results" / "summary.csv").read_text().splitlines()
    counts = {line.split(",")[2]: line.split(",")[6] for line in summary}
    assert (counts["dp-sgd"], counts["dp-psasc"]) == ("1", "2")


def test_edited_network_is_trained_anew_with_a_seed_more(project: Path) -> None:
    """Not the old runs averaged with the new one."""
    source = project / "psasc_bench" / "models" / "networks.py"
    narrower = source.read_text().replace("nn.Linear(128, 32)", "nn.Linear(128, 16)")
    source.write_text(narrower.replace("nn.Linear(32, 10)", "nn.Linear(16, 10)"))
    configure(project, STUDY | {"seeds": [0, 1, 2], "methods": {"dp-sgd": {"C": 0.1}}})
    before = records(project)
    snakemake(project, *(f"{RUNS}/dp-sgd/eps-8/seed-{seed}.json" for seed in range(3)))
    assert changes(before, records(project)) == {f"dp-sgd/eps-8/seed-{seed}.json" for seed in range(3)}
    made = {record.read(path).fingerprint for path in (project / RUNS / "dp-sgd").rglob("*.json")}
    assert len(made) == 1


def test_edited_words_of_network_and_method_train_nothing(project: Path) -> None:
    for name in ("models/networks.py", "methods/dp_sgd.py"):
        source = project / "psasc_bench" / name
        source.write_text("# a comment\n" + source.read_text().replace('"""', '"""In other words: ', 1))
    assert "train_digits" not in jobs(snakemake(project, "--dry-run", "results/README.md"))


def test_moved_data_and_another_rate_are_one_call(project: Path, tmp_path: Path) -> None:
    target = f"{RUNS}/nonprivate/eps-inf/seed-0.json"
    digits = load_digits()
    images, labels = digits.images[:, None].astype(np.uint8), digits.target
    parts = {"x_train": images[:800], "y_train": labels[:800], "x_test": images[800:], "y_test": labels[800:]}
    np.savez(tmp_path / "here.npz", **parts)
    mine: dict[str, Any] = {**DIGITS, "source": "npz", "path": str(tmp_path / "here.npz")}
    study = STUDY | {"seeds": [0], "methods": {"nonprivate": {}}}
    configure(project, study | {"datasets": {"digits": mine}})
    snakemake(project, target)
    before = records(project)

    (tmp_path / "here.npz").rename(tmp_path / "there.npz")
    mine |= {"path": str(tmp_path / "there.npz"), "learning_rate": 0.5}
    configure(project, study | {"datasets": {"digits": mine}})
    snakemake(project, target)
    assert changes(before, records(project)) == {"nonprivate/eps-inf/seed-0.json"}
    assert jobs(snakemake(project, "--dry-run", target)) == {}


def test_two_names_of_one_source_share_what_is_prepared(project: Path) -> None:
    longer = DIGITS | {"title": "Longer", "epochs": 2}
    configure(project, STUDY | {"seeds": [0], "datasets": {"digits": DIGITS, "longer": longer}})
    due = jobs(snakemake(project, "--dry-run", "results/README.md"))
    assert due["train_longer"] == 3


def test_prefix_is_refused_with_a_sentence(project: Path) -> None:
    (project / "Snakefile").write_text(
        'module bench:\n    snakefile: "workflow/Snakefile"\n    config: config\n    prefix: "bench"\n\n\n'
        "use rule * from bench\n"
    )
    said = snakemake(project, "--dry-run", status=1)
    assert "takes no `prefix`: leave it out of the module" in said
