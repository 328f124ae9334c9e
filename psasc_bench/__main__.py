"""``python -m psasc_bench`` is ``psasc-bench``."""

import os
import sys


def main() -> int:
    """The command line, or a line that says what it lacks."""
    # Before a library is loaded that reads it: on tensors as small as most are here, more threads take many times the
    # processor's time and no less of ours, and there may be a process on every core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        from psasc_bench import cli

        return cli.main()
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith(__package__):
            raise
        print(
            f"psasc-bench: error: the command line needs {error.name}, which is not installed: "
            "pip install 'psasc-bench[study]'",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
