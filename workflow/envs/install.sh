#!/bin/sh
# What Dockerfile and apptainer.def have in common: the environment of requirements.txt, and the package, for the Python that
# is there. Run in the folder that holds both.
set -eu
python3 -m pip install --quiet --no-cache-dir --root-user-action ignore uv
python3 -m uv pip install --quiet --system --no-cache --compile-bytecode --requirements requirements.txt
python3 -m uv pip install --quiet --system --no-cache --no-deps .
psasc-bench --version
