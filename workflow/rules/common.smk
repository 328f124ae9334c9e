import json
from pathlib import Path

from psasc_bench import config as studies
from psasc_bench import methods
from snakemake.exceptions import WorkflowError

FIGURES = ["accuracy", "convergence", "weights"]

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
# Where starting a process costs as much as a run, the seeds of a cell share one.
SHARED = [name for name, dataset in STUDY.datasets.items() if dataset.share_process]


def alternatives(names):
    return "|".join(names) or "(?!)"


wildcard_constraints:
    dataset=alternatives(STUDY.datasets),
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


def budget_labels(dataset):
    """The epsilons of a data set, as they stand in file names."""
    return sorted({cell.label for cell in CELLS if cell.dataset == dataset}, key=float)


def trained_by(dataset, method, epsilon):
    """All that determines the runs of a cell but their seed: a change here retrains just them."""
    spec = STUDY.spec(studies.Cell(dataset, method, float(epsilon)), seed=0).to_json()
    source = methods.fingerprint(methods.load(method))
    return json.dumps({**spec, "seed": None, "source": source}, sort_keys=True)
