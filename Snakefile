# The workflow proper is in workflow/; this file lets plain `snakemake` find it from the top of the project, and gives every
# study but the shipped one a folder of its own.
from pathlib import Path

from psasc_bench import planning
from psasc_bench.study import ConfigError, parse_study
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

# A study given by --configfile replaces the default one; Snakemake alone would merge the two.
if "datasets" not in config:

    configfile: "config/config.yaml"


HERE, PROJECT = Path.cwd(), Path(workflow.basedir)

try:
    FOLDER, placed = planning.place(
        config,
        [Path(file) for file in workflow.overwrite_configfiles],
        project=PROJECT,
        directory=workflow.overwrite_workdir and Path(workflow.overwrite_workdir),
        checked=not workflow.is_main_process,
    )
except ConfigError as error:
    raise WorkflowError(error)


workdir: FOLDER


module bench:
    snakefile:
        "workflow/Snakefile"
    config:
        placed


use rule * from bench


onsuccess:
    study = parse_study(dict(placed), source=str(FOLDER))
    for line in planning.last_word(study, FOLDER, project=PROJECT, seen_from=HERE):
        logger.info(f"psasc-bench: {line}")


onerror:
    logger.error(
        "psasc-bench: error: not everything was made; what is finished is kept, and the same command goes on from there"
    )
