"""The command line. Errors of use are lines on standard error and exit status 2."""

from __future__ import annotations

import argparse
import inspect
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

from psasc_bench import data, planning, records
from psasc_bench.commands import auditing, creating, notices, reporting, training
from psasc_bench.commands.overview import overview
from psasc_bench.data import Features
from psasc_bench.privacy import Accountant
from psasc_bench.signals import Interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        _place(options)
        status: int = options.command(options) or 0
        sys.stdout.flush()
    except BrokenPipeError:  # as in `psasc-bench info | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        for line in str(error).splitlines():
            notices.error(line)
        return 2
    except (Interrupted, KeyboardInterrupt) as error:
        ended = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        print(f"psasc-bench: {ended}", file=sys.stderr)
        return ended.status
    return status


class _InFolder(type(Path())):  # type: ignore[misc]
    """A default path in the folder of the study that a command is about, wherever that is."""


def _place(options: argparse.Namespace) -> None:
    """Where nothing is said, a command looks for files of its study where the workflow keeps them."""
    defaults = {key: value for key, value in vars(options).items() if isinstance(value, _InFolder)}
    is_file = (
        defaults and hasattr(options, "config") and options.config.is_file()
    )  # a workflow's jobs are there already
    folder = planning.folder_of(options.config, project=Path()) if is_file else Path()
    for key, value in defaults.items():
        setattr(options, key, folder / str(value))


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return int(text)

    return integer


def _above(bound: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not bound < float(text) < math.inf:
            raise argparse.ArgumentTypeError(f"must be a finite number above {bound:g}, got {text}")
        return float(text)

    return number


def _setting(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key, int(value) if value.isdigit() else float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must look like C=0.1, got {text!r}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="psasc-bench",
        usage="%(prog)s [--help] [--version] command ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and the commit, and exit")
    data_root = data.data_root() or Path("data")
    parsers = parser.add_subparsers(required=True, metavar="command", prog=parser.prog, help=argparse.SUPPRESS)

    def command(function: Callable[[argparse.Namespace], int | None], **how: Any) -> argparse.ArgumentParser:
        summary = inspect.getdoc(function)
        added = parsers.add_parser(function.__name__.replace("_", "-"), description=summary, **how)
        added.set_defaults(command=function)
        return added

    def study(added: argparse.ArgumentParser, *, dataset: bool) -> None:
        added.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="the study (%(default)s)")
        if dataset:
            added.add_argument("--dataset", required=True, help="a key of the study's datasets")

    def trained(added: argparse.ArgumentParser) -> None:
        added.add_argument("--data", type=Path, help="the prepared data (default: prepared here where missing)")
        added.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
        added.add_argument(
            "--threads", type=_at_least(1), default=1, help="more than one may change the last bits (%(default)s)"
        )

    def checks(added: argparse.ArgumentParser) -> None:
        notes = _InFolder("results/checks")
        added.add_argument("--checks", type=Path, default=notes, help="where passed checks are noted (%(default)s)")

    def checkpoints(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--checkpoint-seconds",
            type=_above(-math.ulp(0)),
            default=float(os.environ.get("PSASC_BENCH_CHECKPOINT_SECONDS", "60")),
            help="least time between two checkpoints (%(default)s, or $PSASC_BENCH_CHECKPOINT_SECONDS)",
        )

    added = command(reporting.info)
    added.add_argument("methods", nargs="*", metavar="name", help="of a method or an update rule (default: all)")

    added = command(training.train)
    study(added, dataset=True)
    added.add_argument("--method", required=True, help="a key of the study's methods")
    added.add_argument("--epsilon", type=float, required=True, help="the budget; inf for none")
    added.add_argument("--seeds", "--seed", type=_at_least(0), nargs="+", help="(default: those of the study)")
    added.add_argument("--runs", type=Path, default=_InFolder("results/runs"), help="where records go (%(default)s)")
    added.add_argument("--budget", type=Path, help="the calibrated budget (default: calibrated here)")
    trained(added)
    checks(added)
    checkpoints(added)

    added = command(training.train_sweep)
    study(added, dataset=True)
    added.add_argument("--sweep", required=True, help="a key of the study's sweeps")
    added.add_argument(
        "--sweeps", type=Path, default=_InFolder("results/sweeps"), help="where records go (%(default)s)"
    )
    added.add_argument("--budgets", type=Path, nargs="+", default=[], help="calibrated ones (others are here)")
    trained(added)
    checks(added)
    checkpoints(added)

    for function in (reporting.tune, reporting.collect_sweeps):
        added = command(function)
        study(added, dataset=False)
        checks(added)
        added.add_argument(
            "--sweeps", type=Path, default=_InFolder("results/sweeps"), help="their records (%(default)s)"
        )
        added.add_argument("--output", type=Path, default=_InFolder("results"), help="(%(default)s)")

    added = command(training.prepare, fromfile_prefix_chars="@")  # @FILE: a file with an argument a line
    added.add_argument("--source", required=True, help=f"{', '.join(data.names())}, or FILE.py::FUNCTION")
    added.add_argument("--path", type=Path, help="the file or folder")
    added.add_argument("--mean", type=_above(-math.inf), nargs="+", help="per channel or column")
    added.add_argument("--deviation", type=_above(0), nargs="+", help="per channel or column")
    added.add_argument("--size", type=_at_least(1), help="height and width that images in files are resized to")
    added.add_argument("--label", help="the label's name, where there are several")
    added.add_argument("--features", choices=get_args(Features), default="pixels", help="(%(default)s)")
    added.add_argument("--data-root", type=Path, default=data_root, help="torchvision's folders (%(default)s)")
    added.add_argument("--output", type=Path, required=True)

    added = command(training.budgets)
    added.add_argument("--dataset", required=True, help="its name, for messages")
    added.add_argument("--data", type=Path, required=True, help="the prepared data")
    added.add_argument("--model", required=True)
    added.add_argument("--delta", type=float, required=True)
    added.add_argument("--expected-batch-size", type=_at_least(1), required=True)
    added.add_argument("--epochs", type=_at_least(1), required=True)
    added.add_argument("--accountant", choices=get_args(Accountant), default="rdp", help="(%(default)s)")
    added.add_argument("--evaluation", choices=["test", "validation"], default="test", help="(%(default)s)")
    added.add_argument("outputs", type=Path, nargs="+", metavar="eps-EPSILON.json")

    added = command(training.download)
    added.add_argument("source", choices=["mnist", "fashion_mnist", "cifar10"])
    added.add_argument("--data-root", type=Path, default=data_root, help="(%(default)s)")

    added = command(reporting.status)
    study(added, dataset=False)
    added.add_argument("--runs", type=Path, default=_InFolder("results/runs"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=_InFolder("results/status.csv"), help="(%(default)s)")

    added = command(auditing.verify)
    added.add_argument("results", type=Path, nargs="?", default=Path("results"), help="the folder (%(default)s)")
    added.add_argument("--output", type=Path, help="write the ledgers there as CSV")
    added.add_argument("--methods", nargs="+", default=[], metavar="FILE", help="of methods in files of their own")
    added.add_argument("--withhold", action="store_true", help="warn only, of rows that `collect` is to withhold")

    added = command(reporting.merge)
    study(added, dataset=False)
    added.add_argument("sources", type=Path, nargs="+", metavar="source", help="a results folder made elsewhere")
    added.add_argument("--into", type=Path, default=_InFolder("results/runs"), help="(%(default)s)")

    added = command(auditing.check)
    study(added, dataset=False)
    added.add_argument("methods", nargs="*", metavar="method", help="(default: all of the study)")
    added.add_argument("--file", type=Path, help="the Python file of a method or of an update rule, wherever it is")
    added.add_argument("--set", type=_setting, nargs="+", default=[], metavar="KEY=VALUE", help="hyper-parameters")
    added.add_argument("--output", type=Path, help="write the figures there as CSV")

    added = command(creating.new)
    added.add_argument("kind", choices=list(creating.KINDS))
    added.add_argument("name", help="as my-method, for my_method.py")
    added.add_argument("--folder", type=Path, default=Path(), help="where the file goes (%(default)s)")

    added = command(auditing.audit)
    study(added, dataset=False)
    added.add_argument("--output", type=Path, help="write the bounds there as CSV")

    added = command(auditing.audit_run)
    study(added, dataset=True)
    added.add_argument("--method", required=True, help="a key of the study's methods")
    added.add_argument("--epsilon", type=float, required=True, help="the budget")
    added.add_argument("--seed", type=_at_least(0), default=0, help="(%(default)s)")
    added.add_argument("--canaries", type=_at_least(2), default=200, help="mislabelled examples (%(default)s)")
    added.add_argument("--guesses", type=_at_least(2), default=40, help="(%(default)s)")
    trained(added)
    checks(added)

    added = command(training.deviation)
    study(added, dataset=True)
    added.add_argument("--trajectory", help="the method to train (the study's reference)")
    added.add_argument("--epsilon", type=float, required=True, help="the budget; inf for none")
    added.add_argument("--seed", type=_at_least(0), default=0, help="(%(default)s)")
    added.add_argument("--measurements", type=_at_least(2), default=10, help="epochs to measure at (%(default)s)")
    added.add_argument("--output", type=Path, required=True, help="the CSV")
    added.add_argument("--budget", type=Path, help="the calibrated budget (default: calibrated here)")
    trained(added)
    checks(added)

    added = command(reporting.collect)
    study(added, dataset=False)
    added.add_argument("--runs", type=Path, default=_InFolder("results/runs"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=_InFolder("results"), help="(%(default)s)")
    checks(added)
    added.add_argument("--ledger", type=Path, help="their ledgers, by `verify` (default: verified here)")

    added = command(reporting.claims)
    study(added, dataset=False)
    added.add_argument("tables", type=Path, nargs="*", metavar="TABLE.csv", help="(default: those where --output is)")
    added.add_argument("--output", type=Path, default=_InFolder("results"), help="(%(default)s)")

    added = command(reporting.write_up)
    study(added, dataset=False)
    added.add_argument("--results", type=Path, default=_InFolder("results"), help="(%(default)s)")
    added.add_argument("--output", type=Path, help="(default: where the workflow has it)")
    added.add_argument("--readme", type=Path, help="a README that opens with the answer, between the comments for it")

    added = command(reporting.figure)
    study(added, dataset=False)
    added.add_argument("figures", nargs="*", metavar="figure", help="(default: all)")
    added.add_argument("--dataset", help="draw what there is of this data set alone")
    added.add_argument("--results", type=Path, default=_InFolder("results"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=_InFolder("figures"), help="(%(default)s)")

    added = command(reporting.table)
    study(added, dataset=False)
    kinds = "accuracy, literature, convergence, claims, robustness or cost"
    added.add_argument("tables", nargs="*", metavar="table", help=f"what to write: {kinds}")
    added.add_argument("--dataset", help="print its cells instead")
    added.add_argument("--epsilon", type=float, help="print those of this budget; inf for none")
    added.add_argument("--method", help="print those of this method of the study")
    added.add_argument("--results", type=Path, default=_InFolder("results"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=_InFolder("results/tables"), help="(%(default)s)")

    added = command(reporting.compare)
    added.add_argument("first", type=Path, metavar="A", help="a results folder, or a study's file")
    added.add_argument("second", type=Path, metavar="B", help="another")

    added = command(reporting.explorer)
    study(added, dataset=False)
    added.add_argument("--results", type=Path, default=_InFolder("results"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=_InFolder("results/explorer.html"), help="(%(default)s)")
    parser.description = overview({name: str(one.description) for name, one in parsers.choices.items()})
    parser.epilog = f"{parser.prog} COMMAND --help says more."
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        try:
            version = metadata.version(parser.prog)
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        code = records.code_version()
        commit = f", commit {code['commit']}{', modified' if code['modified'] else ''}" if code["commit"] else ""
        print(f"{parser.prog} {version}{commit}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
