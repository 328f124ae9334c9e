"""``python -m psasc_bench`` is ``psasc-bench``."""

import sys

from psasc_bench.cli import main

sys.exit(main())
