import os
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from psasc_bench import planning
from psasc_bench.report import FIGURES, drawable, figure_caption
from psasc_bench.study import ConfigError, parse_study
from snakemake.exceptions import WorkflowError

# The process that was called plans the study. One that it starts for a job, here or on a cluster, is told what to make: it
# neither looks through configuration and records again nor writes what it would write.
PLANS = workflow.is_main_process
RESULTS = Path("results")
# Not those of tables that nobody has asked for.
DRAWABLE = drawable(RESULTS)

try:
    STUDY = parse_study(
        dict(config),
        source=" + ".join(
            map(str, workflow.overwrite_configfiles or workflow.configfiles)
        ),
        # The Snakefile above has looked through them, of which this one is a module.
        files=(
            map(Path, workflow.configfiles)
            if workflow.modifier.is_main_snakefile()
            else []
        ),
        checked=not PLANS,
    )
except ConfigError as error:
    raise WorkflowError(error)

WRITE_UP = str(planning.write_up(Path.cwd()))
DRAWN_BY = planning.drawn_by()
DATA_ROOT = os.environ.get("PSASC_BENCH_DATA") or STUDY.data_root
# Working out hundreds of trials takes longer than all else that a job's process has to know. A module may have a prefix.
TRIALS = (
    planning.study_trials(STUDY)
    if PLANS or any("sweep_" in rule for rule in planning.allowed_rules(sys.argv))
    else {}
)
ALL_TRIALS = [trial for trials in TRIALS.values() for trial in trials]

# Snakemake does not know how files were made that came with the clone. This one is younger than they are: written here,
# for only what is there when Snakemake looks can be that.
MADE_OF = RESULTS / "made_of.json"
if PLANS:
    planning.write_made_of(STUDY, MADE_OF)

try:
    STALE = planning.stale_runs(STUDY, RESULTS / "runs") if PLANS else set()
except ValueError as error:
    raise WorkflowError(error)


# Jobs of a batch take turns, and so ask for the cores and the memory of one.
resource_scopes:
    turn="local",


if not PLANS:
    workflow.global_resources["turn"] = 1


wildcard_constraints:
    method=planning.alternatives(STUDY.methods),
    epsilon=r"[0-9.e+-]+|inf",
    seed=r"[0-9]+",
    settings=planning.settings_pattern(ALL_TRIALS),


def made_of(dataset, wildcards, *, stale):
    """MADE_OF, if it is so that one of the runs that share a job has a stale record, or that none has. One or the other is
    so: a job whose set of inputs has changed would be due.
    """
    runs = planning.job_runs(STUDY, dataset, **dict(wildcards.items()))
    return [] if runs.isdisjoint(STALE) == stale else [str(MADE_OF)]


def figure_tables(wildcards):
    return planning.figure_tables(wildcards.figure, RESULTS, made_of=MADE_OF)


def requested_tables(wildcards):
    return planning.requested_tables(wildcards.figure, RESULTS)


@cache
def trained_by(dataset, method):
    """For the runs of all seeds, as a parameter."""
    return planning.trained_by(STUDY, dataset, method)


@cache
def run_seconds(dataset):
    """Of a run, where that decides anything: of jobs that go to a cluster."""
    if workflow.local_exec or not PLANS:
        return None
    places = [RESULTS / "runs", Path(workflow.basedir) / RESULTS / "runs"]
    return planning.run_seconds(STUDY, dataset, places)


def minutes(dataset, *, runs):
    """For jobs of so many runs, as a resource: the time that they ask for."""
    return lambda wildcards, attempt: planning.job_minutes(
        run_seconds(dataset), runs=runs, attempt=attempt
    )


def batch(name, dataset, *, runs):
    """For jobs of so many runs, as their group: batches of some minutes on a cluster, and none elsewhere."""

    def group(wildcards):
        if workflow.local_exec:
            return None
        asked = workflow.group_settings
        if name not in asked.group_components:
            # A process for jobs makes all that it is given. How many jobs go together is a matter of the command line,
            # which Snakemake has not read when it reads this file: hence here.
            together = (
                planning.jobs_in_a_batch(run_seconds(dataset), runs=runs)
                if PLANS
                else sys.maxsize
            )
            workflow.group_settings = replace(
                asked, group_components={**asked.group_components, name: together}
            )
        workflow.global_resources["turn"] = 1
        return name

    return group
