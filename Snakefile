# The workflow proper is in workflow/; this file lets plain `snakemake` find it from the top of the project.
from snakemake.utils import min_version

min_version("9.0")

# A study given by --configfile replaces the default one; Snakemake alone would merge the two.
if "datasets" not in config:

    configfile: "config/config.yaml"


module bench:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from bench
