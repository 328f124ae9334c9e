"""Planning is light: Snakemake plans the study anew for every job that it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml
from shipped_methods import SHIPPED

ROOT = Path(__file__).parents[2]
PLAN = """
import sys
from pathlib import Path

from psasc_bench import planning
from psasc_bench.report import FIGURES, drawable
from psasc_bench.study import load_study

study, results = load_study(Path(sys.argv[1])), Path(sys.argv[2])
trials = [trial for found in planning.study_trials(study).values() for trial in found]
planning.write_made_of(study, results / "made_of.json")
planning.stale_runs(study, results / "runs")
planning.schedules(study, trials)
planning.run_records(study, results)
planning.sweep_records(study, results, trials, chosen_from=True)
planning.trajectories(study, results)
planning.typesettable(results)
planning.audited_study(study)
for name in study.datasets:
    planning.write_source_arguments(study, results, name, data_root="data")
for figure in drawable(results):
    planning.requested_tables(figure, results)
for name in planning.__all__:
    getattr(planning, name)
print(*sorted({"torch", "torchvision", "pandas", "matplotlib", "scipy", "opacus", "dp_accounting"} & set(sys.modules)))
"""


def test_planning_the_default_study_loads_no_heavy_library(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    values["methods"] = {name: how for name, how in values["methods"].items() if name in SHIPPED}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    asked = [sys.executable, "-c", PLAN, str(tmp_path / "config.yaml"), str(tmp_path)]
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, []), ran.stderr
    assert (tmp_path / "made_of.json").exists()
