"""The studies of ``tests/workflow`` go through a Slurm here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "workflow"))
