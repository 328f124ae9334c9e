"""What goes wrong is said in a line that names it, and stops no more than it must."""

from __future__ import annotations

from pathlib import Path

from projects import RUNS, STUDY, changes, configure, psasc_bench, records, snakemake

from psasc_bench.records import record

BROKEN = '''
from dataclasses import dataclass

from psasc_bench.methods.base import Method, Tensor


@dataclass(frozen=True, kw_only=True)
class Broken(Method):
    """``w(x)`` fails on a micro-batch of the study's, padded as it is, so in training and in no check."""

    title = "broken"

    def weight(self, norm: Tensor) -> Tensor:
        if len(norm) == 320 and (norm == 0).sum() > 32:
            raise RuntimeError("this method is broken")
        return 1 / (norm + 1)

    def sensitivity(self) -> float:
        return 1.0
'''


def test_data_cut_short_between_two_runs_is_named(project: Path) -> None:
    (data,) = (project / "data" / "prepared").glob("digits*.npz")
    data.write_bytes(data.read_bytes()[:1000])
    configure(project, STUDY | {"seeds": [7]})
    output = snakemake(project, "results/README.md", status=1)
    assert f"psasc-bench: error: data/prepared/{data.name}" in output
    assert "Traceback" not in output


def test_failed_run_is_recorded_and_named_and_does_not_stop_the_others(project: Path) -> None:
    (project / "psasc_bench" / "methods" / "broken.py").write_text(BROKEN)
    methods = STUDY["methods"] | {"broken": {}, "dp-psac": {"C": 0.1, "r": 0.1}}
    configure(project, STUDY | {"methods": methods})
    before = records(project)
    output = snakemake(project, *(f"{RUNS}/{method}/eps-8/seed-0.json" for method in ("broken", "dp-psac")))
    assert "broken/eps-8/seed-0 failed: RuntimeError after step 0: this method is broken" in output
    assert {name.split("/")[0] for name in changes(before, records(project))} == {"dp-psac", "broken"}
    failed = project / RUNS / "broken" / "eps-8" / "seed-0.json"
    assert record.read(failed).status == "failed"
    for command in (["collect", "--config", "study.yaml"], ["figure", "accuracy"]):
        psasc_bench(project, *command)
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
