# docker build --tag psasc-bench . && docker run --rm --volume "$PWD:/study" psasc-bench snakemake --cores 8
# An image holds the code of the clone that it is built in: build it anew when that has changed.
FROM python:3.11-slim-bookworm

COPY requirements.txt pyproject.toml README.md LICENSE /opt/psasc-bench/
COPY psasc_bench /opt/psasc-bench/psasc_bench
COPY snakemake_logger_plugin_psasc_bench /opt/psasc-bench/snakemake_logger_plugin_psasc_bench
COPY workflow/envs/install.sh /opt/psasc-bench/workflow/envs/install.sh
WORKDIR /opt/psasc-bench
RUN sh workflow/envs/install.sh

# Every job is one process of as many threads as it is given.
ENV OMP_NUM_THREADS=1
WORKDIR /study
