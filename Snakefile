# The workflow proper is in workflow/; this file lets plain `snakemake` find it from the top of the project, and gives every
# study but the shipped one a folder of its own.
from pathlib import Path

from psasc_bench import planning
from psasc_bench.study import ConfigError
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

# A study given by --configfile replaces the default one; Snakemake alone would merge the two.
if "datasets" not in config:

    configfile: "config/config.yaml"


try:
    FOLDER, placed = planning.place(
        config,
        [Path(file) for file in workflow.overwrite_configfiles],
        project=Path(workflow.basedir),
        directory=workflow.overwrite_workdir and Path(workflow.overwrite_workdir),
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
    print(f"psasc-bench: what was made is in {FOLDER}")
