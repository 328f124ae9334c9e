"""``python -m psasc_bench`` is ``psasc-bench``."""

import sys


def main() -> int:
    """The command line, or a line that says what it lacks."""
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
