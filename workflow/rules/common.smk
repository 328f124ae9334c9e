import hashlib
import json
import os
import re
import shlex
from pathlib import Path

from psasc_bench import files, methods
from psasc_bench.report import figures
from psasc_bench.records import record
from psasc_bench.records import status
from psasc_bench.study import trials as sweeping
from psasc_bench.study.config import parse_study
from psasc_bench.study.spec import format_epsilon
from psasc_bench.study.study import ConfigError
from snakemake.exceptions import WorkflowError

# Not those of tables that nobody has asked for.
FIGURES = figures.drawable(Path("results"))
# Tables to typeset, each with those that are made on request of which it needs one.
TYPESET = {
    "accuracy": [],
    "convergence": [],
    "claims": [],
    "robustness": ["tuning", "sweeps"],
    "cost": ["cost"],
}

try:
    STUDY = parse_study(
        dict(config),
        source=" + ".join(
            map(str, workflow.overwrite_configfiles or workflow.configfiles)
        ),
    )
except ConfigError as error:
    raise WorkflowError(error)

CELLS = list(STUDY.cells())
TRAINED = STUDY.trained()
SWEEPS = Path("results/sweeps")
TRIALS = {
    (name, dataset, method): sweeping.method_trials(STUDY, name, dataset, method)
    for name, sweep in STUDY.sweeps.items()
    for dataset in sweep.datasets
    for method in sweep.methods
}


def alternatives(names):
    return "|".join(names) or "(?!)"


wildcard_constraints:
    method=alternatives(STUDY.methods),
    epsilon=r"[0-9.e+-]+|inf",
    seed=r"[0-9]+",
    settings=alternatives(
        sorted({re.escape(one.name) for trials in TRIALS.values() for one in trials})
    ),


def runs():
    """The records of all runs that the workflow is to see trained."""
    return [
        f"results/runs/{STUDY.spec(cell, seed).name()}.json"
        for cell in CELLS
        for seed in STUDY.cell_seeds(cell.dataset, cell.epsilon)
        if cell.dataset in TRAINED
    ]


def digests(paths):
    """Of those of these files that exist. What is shown if it is there is a parameter; as an input, Snakemake would have it
    made."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
        if path.exists()
    }


def there_is(*tables):
    """The tables among these that exist. They are made on request, or shipped."""
    return digests(Path(f"results/{table}.csv") for table in tables)


def tables():
    """What can be typeset."""
    return [name for name, needs in TYPESET.items() if not needs or there_is(*needs)]


def of_others(folder, ending="json"):
    """What ``folder`` has of data sets that the workflow does not see trained."""
    return digests(
        path
        for name in STUDY.datasets
        if name not in TRAINED
        for path in Path(folder).glob(f"**/{name}/**/*.{ending}")
    )


def job_seeds(dataset):
    """The seeds that share a job: all of a cell where starting a process costs as much as a run, else any one."""
    if STUDY.dataset(dataset).share_process:
        epsilon = min(STUDY.budgets(dataset))  # all have the same seeds
        return [f"seed-{seed}" for seed in STUDY.cell_seeds(dataset, epsilon)]
    return ["seed-{seed}"]


def job_label(dataset):
    return "all-seeds" if STUDY.dataset(dataset).share_process else "seed-{seed}"


def budget_labels(dataset):
    """The epsilons of a data set, as they stand in file names."""
    return sorted({cell.label for cell in CELLS if cell.dataset == dataset}, key=float)


def schedules():
    """The epsilons, as they stand in file names, of every schedule: of a data set for a number of epochs, with all
    training examples (test) or with those that are left when some are held out (validation).
    """
    wanted = {
        (name, protocol.epochs, "test"): set(budget_labels(name))
        for name, protocol in STUDY.datasets.items()
    }
    for spec in (
        spec for trials in TRIALS.values() for one in trials for spec in one.runs
    ):
        schedule = (spec.dataset, spec.epochs, spec.evaluation)
        wanted.setdefault(schedule, set()).add(format_epsilon(spec.epsilon))
    return {schedule: sorted(labels, key=float) for schedule, labels in wanted.items()}


def budget_file(dataset, epochs=None, evaluation="test"):
    """Where the budgets of a schedule are kept, by {epsilon}; without a number of epochs, of the study's own."""
    protocol = STUDY.dataset(dataset)
    schedule = f"batch-{protocol.expected_batch_size}_epochs-{epochs or protocol.epochs}_delta-{protocol.delta:g}"
    schedule += "" if evaluation == "test" else f"_{evaluation}"
    return f"results/budgets/{STUDY.prepared(dataset).stem}/{schedule}/eps-{{epsilon}}.json"


def made_of(dataset, wildcards, *, stale):
    """MADE_OF, if it is so that one of the runs that share a job has a stale record, or that none has. One or the other is
    so: a job whose set of inputs has changed would be due.
    """
    cell = f"{dataset}/{wildcards.method}/eps-{wildcards.epsilon}"
    runs = {
        f"{cell}/{seed}".format(**dict(wildcards.items()))
        for seed in job_seeds(dataset)
    }
    return [] if runs.isdisjoint(STALE) == stale else [str(MADE_OF)]


def source_arguments(dataset):
    protocol = STUDY.dataset(dataset)
    given = {
        "source": [protocol.source],
        "path": [protocol.path],
        "mean": protocol.mean,
        "deviation": protocol.deviation,
        "features": [protocol.features] if protocol.features != "pixels" else None,
    }
    root = os.environ.get("PSASC_BENCH_DATA") or STUDY.data_root
    return arguments(
        {
            **given,
            "data-root": (
                [root]
                if protocol.source in ["mnist", "fashion_mnist", "cifar10"]
                else None
            ),
        }
    )


def schedule_arguments(dataset, epochs, evaluation):
    keys = ["model", "delta", "expected_batch_size"]
    values = STUDY.dataset(dataset).model_dump(include=set(keys))
    keys += ["epochs", "evaluation"]
    values |= {
        "epochs": epochs,
        "evaluation": None if evaluation == "test" else evaluation,
    }
    return arguments({key.replace("_", "-"): [values[key]] for key in keys})


def arguments(given):
    """As command-line arguments; what is None is left out."""
    present = {
        key: values for key, values in given.items() if values and values[0] is not None
    }
    return " ".join(
        shlex.join([f"--{key}", *map(str, values)]) for key, values in present.items()
    )


def cell_study(dataset, method):
    """The study as far as it concerns the runs of one method on one data set."""
    study = STUDY.model_dump(mode="json")
    protocol = study["datasets"][dataset]
    settings = study["methods"][method] | protocol["overrides"].get(method, {})
    unconcerned = {
        "title": dataset,
        "overrides": {},
        "epsilons": None,
        "seeds": None,
        "more_seeds": {},
        "share_process": False,
    }
    narrowed = {
        "seeds": [0],
        "epsilons": [1],
        "methods": {method: settings},
        "datasets": {dataset: protocol | unconcerned},
    }
    return json.dumps(narrowed, sort_keys=True)


def dataset_study(dataset):
    """The study as far as it concerns its methods on one data set."""
    cells = [json.loads(cell_study(dataset, method)) for method in STUDY.methods]
    settings = {
        method: values for cell in cells for method, values in cell["methods"].items()
    }
    return cells[0] | {"methods": settings}


def audited_study():
    """The study as far as it concerns the audit: methods as on the first data set, and epsilons."""
    narrowed = dataset_study(next(iter(STUDY.datasets)))
    return json.dumps(narrowed | {"epsilons": STUDY.epsilons}, sort_keys=True)


def trajectory_study(dataset):
    """The study as far as it concerns the deviations of its methods along one run."""
    narrowed = dataset_study(dataset)
    narrowed["datasets"][dataset] |= {
        "title": STUDY.dataset(dataset).title,
        "probe_every_epochs": 0,
    }
    return json.dumps(narrowed, sort_keys=True)


def trajectories():
    """The deviations along one DP-SGD run for each data set, epsilon and seed."""
    return [
        f"results/deviation/{dataset}/eps-{label}/seed-{seed}.csv"
        for dataset in TRAINED
        for label in budget_labels(dataset)
        for seed in STUDY.cell_seeds(dataset, float(label))
        if label != "inf"
    ]


def begun():
    """The data sets that there is something to show of."""
    folders = [Path(path).parts[2] for path in of_others("results/runs")]
    return [name for name in STUDY.datasets if name in TRAINED or name in folders]


def figure_tables(wildcards):
    """What a figure is drawn from. One that only shows tables made on request must still be younger than MADE_OF: Snakemake
    does not know what a figure that came with the clone shows."""
    tables = figures.FIGURES[wildcards.figure].tables
    return expand("results/{table}.csv", table=tables) or [str(MADE_OF)]


def requested_tables(wildcards):
    """What a figure shows of the tables that are made on request."""
    plan = figures.FIGURES[wildcards.figure]
    return there_is(*plan.needs, *plan.shows)


def sweep_runs(evaluation):
    """The records of all sweeps with this evaluation."""
    return [
        f"{one.folder(SWEEPS)}/{spec.name()}.json"
        for (sweep, _, _), trials in TRIALS.items()
        if sweep in sweeping.sweep_names(STUDY, evaluation)
        for one in trials
        for spec in one.runs
    ]


def sweep_budgets(sweep, dataset, method):
    """The budgets of a method's trials."""
    specs = [spec for one in TRIALS[sweep, dataset, method] for spec in one.runs]
    found = {
        budget_file(dataset, spec.epochs, spec.evaluation).format(
            epsilon=format_epsilon(spec.epsilon)
        )
        for spec in specs
    }
    return sorted(found)


def job_trials(sweep, dataset, method):
    """The runs that share a job, as ``job_seeds``: all of a method's trials, or any one."""
    if STUDY.dataset(dataset).share_process:
        return [
            f"{one.folder(SWEEPS)}/{spec.name()}"
            for one in TRIALS[sweep, dataset, method]
            for spec in one.runs
        ]
    return [
        f"{SWEEPS}/{sweep}/{{settings}}/runs/{dataset}/{method}/eps-{{epsilon}}/seed-{{seed}}"
    ]


def job_trials_label(dataset):
    shared = STUDY.dataset(dataset).share_process
    return "all-trials" if shared else "{settings}/eps-{epsilon}/seed-{seed}"


def sweep_study(sweep, dataset, method, wildcards):
    """The study as far as it concerns the trials of a method, or the one run of them that the wildcards say."""
    narrowed = json.loads(cell_study(dataset, method))
    grids = STUDY.sweeps[sweep].model_dump(mode="json")
    grids |= {"datasets": [dataset], "methods": {method: grids["methods"][method]}}
    if not STUDY.dataset(dataset).share_process:
        pairs = (pair.split("=") for pair in wildcards.settings.split(","))
        grids["methods"] = {method: {key: float(value) for key, value in pairs}}
        grids["seeds"] = [int(wildcards.seed)]
        if wildcards.epsilon != "inf":
            grids["epsilons"] = [float(wildcards.epsilon)]
    unlike = {
        "seeds": [max(grids["seeds"]) + 1]
    }  # a study has other seeds than its tuning
    return json.dumps(narrowed | unlike | {"sweeps": {sweep: grids}}, sort_keys=True)


def trained_by(dataset, method):
    """The code and data that determine a run, besides its cell's study."""
    return [
        methods.fingerprint(methods.load(method)),
        record.GENERATION,
        STUDY.prepared(dataset).stem,
    ]


# Snakemake does not know how files were made that came with the clone. This one is younger than they are: written here,
# for only what is there when Snakemake looks can be that.
MADE_OF = Path("results/made_of.json")
parts = json.dumps(
    {
        f"{dataset}/{method}": [
            cell_study(dataset, method),
            trained_by(dataset, method),
        ]
        for dataset in TRAINED
        for method in STUDY.methods
    },
    indent=1,
)
if not MADE_OF.exists() or MADE_OF.read_text() != parts:
    files.write_text(MADE_OF, parts)

try:
    STALE = {
        run.spec.name()
        for run in status.survey(
            STUDY.model_copy(
                update={"datasets": {name: STUDY.dataset(name) for name in TRAINED}}
            ),
            Path("results/runs"),
        )
        if run.status == "stale"
    }
except ValueError as error:
    raise WorkflowError(error)
