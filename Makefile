# `make figures` runs the default study, `make report` also reports on it; `make test` runs every check. All build the
# environment first, in .venv.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: figures report test cluster-test cluster-packages lint smoke lock clean

figures: .venv/ready
	snakemake --cores $(CORES)

# Snakemake's own: figures and tables with captions, configuration, code and times of every rule, in one file.
report: .venv/ready
	snakemake reported --cores $(CORES)
	snakemake reported --cores $(CORES) --report results/report.html

test: lint smoke
	OMP_NUM_THREADS=1 pytest --numprocesses auto --maxprocesses 8 --dist worksteal

# On a Slurm that the tests start on this machine, as root; skipped, with the reason, where its programs are not installed.
# CASES are those of pytest's -k, here all; the `unaccounted` ones need no database.
CASES ?= accounted
cluster-test: .venv/ready
	OMP_NUM_THREADS=1 pytest --override-ini addopts=-q -rs -k '$(CASES)' tests/cluster

cluster-packages:
	apt-get update --quiet=2
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends \
		munge slurmctld slurmd slurm-client slurmdbd mariadb-server

lint: .venv/ready
	ruff check
	ruff format --check
	mypy
	lint-imports --no-logo --no-cache
	snakefmt --check --compact-diff Snakefile workflow
	snakemake --lint

# In a folder of its own, so that it leaves the study's results alone.
smoke: .venv/ready
	@rm -rf .smoke && mkdir .smoke
	snakemake --cores $(CORES) --configfile config/smoke.yaml --directory .smoke
	@rm -rf .smoke

# uv, because pip may take torch and torchvision from different places, which then do not load together.
# Bytecode, because a study starts many processes and not every machine lets them cache it.
.venv/ready: requirements.txt pyproject.toml
	@echo "psasc-bench: building the environment in .venv: on Linux 3.3 GB to download and 6.4 GB on disk, on macOS less"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet uv
	@.venv/bin/uv pip sync --quiet --compile-bytecode requirements.txt
	@.venv/bin/uv pip install --quiet --no-deps --editable .
	@touch $@
	@echo "psasc-bench: the environment is ready"

# Writes requirements.txt anew from pyproject.toml, with the newest versions.
lock:
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra test --no-emit-index-url \
		--no-annotate --no-header pyproject.toml --output-file requirements.txt

clean:
	rm -rf .venv .snakemake .smoke logs
