import json
import os
import shlex
from pathlib import Path

from psasc_bench import config as studies
from psasc_bench import methods, record
from snakemake.exceptions import WorkflowError

FIGURES = ["accuracy", "convergence", "weights", "audit"]
TABLES = ["accuracy", "convergence"]
FORMATS = ["csv", "md", "tex", "html"]  # that a table is typeset in
# Made on request, or by hand: what there is of them is shown.
OPTIONAL = ["claims", "cost", "deviation", "sweeps"]

if Path("results/cost.csv").exists():
    TABLES.append("cost")

try:
    STUDY = studies.parse(
        dict(config),
        source=" + ".join(
            map(str, workflow.overwrite_configfiles or workflow.configfiles)
        ),
    )
except studies.ConfigError as error:
    raise WorkflowError(error)

CELLS = list(STUDY.cells())


def alternatives(names):
    return "|".join(names) or "(?!)"


wildcard_constraints:
    method=alternatives(STUDY.methods),
    epsilon=r"[0-9.e+-]+|inf",
    seed=r"[0-9]+",


def runs(cells=CELLS):
    """The records of all runs of these cells."""
    return [
        f"results/runs/{STUDY.spec(cell, seed).name()}.json"
        for cell in cells
        for seed in STUDY.cell_seeds(cell.dataset)
    ]


def job_seeds(dataset):
    """The seeds that share a job: all of a cell where starting a process costs as much as a run, else any one."""
    if STUDY.dataset(dataset).share_process:
        return [f"seed-{seed}" for seed in STUDY.cell_seeds(dataset)]
    return ["seed-{seed}"]


def job_label(dataset):
    return "all-seeds" if STUDY.dataset(dataset).share_process else "seed-{seed}"


def budget_labels(dataset):
    """The epsilons of a data set, as they stand in file names."""
    return sorted({cell.label for cell in CELLS if cell.dataset == dataset}, key=float)


def budget_file(dataset):
    """Where the budgets of a data set's schedule are kept, by {epsilon}."""
    protocol = STUDY.dataset(dataset)
    schedule = f"batch-{protocol.expected_batch_size}_epochs-{protocol.epochs}_delta-{protocol.delta:g}"
    return f"results/budgets/{STUDY.prepared(dataset).stem}/{schedule}/eps-{{epsilon}}.json"


def source_arguments(dataset):
    protocol = STUDY.dataset(dataset)
    given = {
        "source": [protocol.source],
        "path": [protocol.path],
        "mean": protocol.mean,
        "deviation": protocol.deviation,
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


def schedule_arguments(dataset):
    keys = ["model", "delta", "expected_batch_size", "epochs"]
    values = STUDY.dataset(dataset).model_dump(include=set(keys))
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
        "share_process": False,
    }
    narrowed = {
        "seeds": [0],
        "epsilons": [1],
        "methods": {method: settings},
        "datasets": {dataset: protocol | unconcerned},
    }
    return json.dumps(narrowed, sort_keys=True)


def audited_study():
    """The study as far as it concerns the audit: methods as on the first data set, and epsilons."""
    dataset = next(iter(STUDY.datasets))
    cells = [json.loads(cell_study(dataset, method)) for method in STUDY.methods]
    settings = {
        method: values for cell in cells for method, values in cell["methods"].items()
    }
    narrowed = {"methods": settings, "epsilons": STUDY.epsilons}
    return json.dumps(cells[0] | narrowed, sort_keys=True)


def dataset_titles():
    return ", ".join(protocol.title for protocol in STUDY.datasets.values())


def figure_tables(wildcards):
    """What a figure is drawn from."""
    tables = ["runs", "curves", "summary", "weights"]
    if wildcards.figure == "audit":
        tables.append("audit")
    return expand("results/{table}.csv", table=tables)


def table_sources(wildcards):
    """What a table is typeset from."""
    names = ["cost"] if wildcards.table == "cost" else ["curves", "summary"]
    return expand("results/{table}.csv", table=names)


def explored_tables(wildcards):
    """What the page to explore the study with holds."""
    names = ["runs", "curves", "summary", "weights", "audit"]
    names += [name for name in OPTIONAL if Path(f"results/{name}.csv").exists()]
    return expand("results/{table}.csv", table=names)


def trained_by(dataset, method):
    """The code and data that determine a run, besides its cell's study."""
    return [
        methods.fingerprint(methods.load(method)),
        record.GENERATION,
        STUDY.prepared(dataset).stem,
    ]
