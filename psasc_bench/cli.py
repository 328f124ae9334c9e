"""The command line: thin over the package. Errors of use are one line on standard error and exit status 2."""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psasc_bench import config, methods
from psasc_bench.config import Cell
from psasc_bench.privacy import Budget, calibrate
from psasc_bench.spec import Schedule

if TYPE_CHECKING:
    import torch

# Commands import what they need: torch, opacus and pandas each take seconds to load.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # as in `psasc-bench info | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError) as error:
        for line in str(error).splitlines():
            print(f"psasc-bench: error: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("psasc-bench: interrupted; finished runs are kept", file=sys.stderr)
        return 130
    return 0


def info(options: argparse.Namespace) -> None:
    """List the methods: formula, guarantee, citation, hyper-parameters."""
    for name in options.methods or methods.names():
        cls = methods.load(name)
        print(f"{name} ({cls.title}){', a control' if cls.control else ''}")
        print("    " + inspect.cleandoc(cls.__doc__ or "").replace("``", "").replace("\n", "\n    "))
        print(f"    hyper-parameters: {', '.join(methods.describe(cls))}\n")


def download(options: argparse.Namespace) -> None:
    """Download a data set that torchvision knows."""
    from psasc_bench import data

    data.download(options.source, options.data_root)


def prepare(options: argparse.Namespace) -> None:
    """Read and check a data set, and write it as the one compact file that its runs read."""
    from psasc_bench import data

    data.prepare(
        options.source,
        options.output,
        root=options.data_root,
        path=options.path,
        mean=options.mean,
        deviation=options.deviation,
    )


def budgets(options: argparse.Namespace) -> None:
    """Compute the noise multiplier for each epsilon of a schedule, and what it spends by two accountants."""
    from psasc_bench import data, files, models

    where = f"datasets.{options.dataset}"
    dataset = data.load(options.data)
    try:
        models.check_fit(options.model, dataset)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    examples = len(dataset.y_train)
    if options.delta >= 1 / examples:
        print(
            f"psasc-bench: warning: {where}.delta: {options.delta:g} is not below 1/{examples}, one over the number of "
            "training examples; it would allow publishing one of them outright",
            file=sys.stderr,
        )
    schedule = Schedule(dataset=options.dataset, expected_batch_size=options.expected_batch_size, epochs=options.epochs)
    for path in options.outputs:
        epsilon = float(path.stem.removeprefix("eps-"))
        budget = _budget(schedule, examples, epsilon=epsilon, delta=options.delta)
        files.write_text(path, json.dumps(budget.to_json(), indent=1) + "\n")
        print(f"epsilon {epsilon:g}: noise multiplier {budget.noise_multiplier:.4f} for {budget.steps} steps")


def train(options: argparse.Namespace) -> None:
    """Train the runs of one cell (data set, method, epsilon); what is finished already is left alone."""
    import torch

    from psasc_bench import cell, data

    study = config.load(options.config)
    protocol = study.dataset(options.dataset)
    wanted = Cell(options.dataset, options.method, options.epsilon)
    specs = [study.spec(wanted, seed) for seed in options.seeds or study.cell_seeds(options.dataset)]
    prepared = options.data or study.prepared(options.dataset)
    if not options.data and not prepared.exists():
        data.prepare(
            protocol.source,
            prepared,
            root=_data_root() or Path(study.data_root),
            path=Path(protocol.path) if protocol.path else None,
            mean=protocol.mean,
            deviation=protocol.deviation,
        )
    dataset = data.load(prepared)
    budget = (
        _read_budget(options.budget)
        if options.budget
        else _budget(specs[0], len(dataset.y_train), epsilon=wanted.epsilon, delta=protocol.delta)
    )
    torch.set_num_threads(options.threads)
    spool = options.runs.with_name("spool")
    for spec in specs:
        with _progress_bar(spec.name()) as progress:
            made = cell.train_run(
                spec,
                dataset,
                budget,
                runs=options.runs,
                spool=spool,
                micro_batch_size=protocol.micro_batch_size,
                device=_device(options.device),
                progress=progress,
            )
        accuracy = made.result["test_accuracy"]
        print(f"{spec.name()}: {made.status}, test accuracy {'none' if accuracy is None else f'{accuracy:.4f}'}")
    cell.empty_spool(specs, spool)


def verify(options: argparse.Namespace) -> None:
    """Recompute what every run spent by an accountant that took no part in it; fails if one overspent its budget."""
    import csv
    import io
    from dataclasses import asdict

    from psasc_bench import files
    from psasc_bench.verify import verify as verify_records

    paths = sorted(options.runs.rglob("*.json"))
    if not paths:
        raise ValueError(f"{options.runs}: holds no records to verify")
    verified = [asdict(row) for row in verify_records(paths)]
    bad = [row for row in verified if row["problem"]]
    if bad:
        raise ValueError("\n".join(f"{row['run']}: {row['problem']}; train it anew" for row in bad))
    if options.output:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(verified[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(verified)
        files.write_text(options.output, text.getvalue())
    print(f"{len(verified)} records verified: none overspent its budget")


def collect(options: argparse.Namespace) -> None:
    """Gather the records of a study into tidy tables."""
    from psasc_bench import results

    results.collect(config.load(options.config), options.runs, options.output)


def figure(options: argparse.Namespace) -> None:
    """Draw one figure from the tidy tables."""
    from psasc_bench import plots

    plots.draw(options.figure, options.results, options.output)


def _data_root() -> Path | None:
    """Where the environment says that torchvision's folders are."""
    return Path(root) if (root := os.environ.get("PSASC_BENCH_DATA")) else None


def _budget(schedule: Schedule, examples: int, *, epsilon: float, delta: float) -> Budget:
    return calibrate(
        epsilon=epsilon,
        delta=delta,
        sampling_rate=schedule.sampling_rate(examples),
        steps=schedule.epoch_ends(examples)[-1],
    )


def _read_budget(path: Path) -> Budget:
    try:
        budget = Budget.from_json(json.loads(path.read_text(encoding="utf-8")))
        noise = budget.noise_multiplier
        if not (isinstance(noise, int | float) and 0 <= noise < math.inf):
            raise ValueError(f"noise_multiplier {noise!r}")
        return budget
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a privacy budget ({error}); delete it and run the workflow again") from None


def _device(name: str) -> torch.device:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no CUDA device here; use --device cpu")
    return torch.device(name)


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=title, unit="step", leave=False) as bar:

        def update(step: int, steps: int) -> None:
            bar.total = steps
            bar.update(step - bar.n)

        yield update


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="psasc-bench", description=__doc__)
    data_root = _data_root() or Path("data")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(function: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        summary = inspect.getdoc(function)
        added = commands.add_parser(function.__name__, help=summary, description=summary)
        added.set_defaults(command=function)
        return added

    def study(added: argparse.ArgumentParser, *, dataset: bool) -> None:
        added.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="the study (%(default)s)")
        if dataset:
            added.add_argument("--dataset", required=True, help="a key of the study's datasets")

    added = command(info)
    added.add_argument("methods", nargs="*", metavar="method")

    added = command(train)
    study(added, dataset=True)
    added.add_argument("--method", required=True, help="a key of the study's methods")
    added.add_argument("--epsilon", type=float, required=True, help="the budget; inf for none")
    added.add_argument("--seeds", "--seed", type=_at_least(0), nargs="+", help="(default: those of the study)")
    added.add_argument("--runs", type=Path, default=Path("results/runs"), help="where records go (%(default)s)")
    added.add_argument("--data", type=Path, help="the prepared data (default: prepared here where missing)")
    added.add_argument("--budget", type=Path, help="the calibrated budget (default: calibrated here)")
    added.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    added.add_argument(
        "--threads", type=_at_least(1), default=1, help="more than one may change the last bits (%(default)s)"
    )

    added = command(prepare)
    added.add_argument("--source", required=True, choices=["digits", "mnist", "fashion_mnist", "cifar10", "npz"])
    added.add_argument("--path", type=Path, help="the .npz")
    added.add_argument("--mean", type=_above(-math.inf), nargs="+", help="per channel")
    added.add_argument("--deviation", type=_above(0), nargs="+", help="per channel")
    added.add_argument("--data-root", type=Path, default=data_root, help="torchvision's folders (%(default)s)")
    added.add_argument("--output", type=Path, required=True)

    added = command(budgets)
    added.add_argument("--dataset", required=True, help="its name, for messages")
    added.add_argument("--data", type=Path, required=True, help="the prepared data")
    added.add_argument("--model", required=True)
    added.add_argument("--delta", type=float, required=True)
    added.add_argument("--expected-batch-size", type=_at_least(1), required=True)
    added.add_argument("--epochs", type=_at_least(1), required=True)
    added.add_argument("outputs", type=Path, nargs="+", metavar="eps-EPSILON.json")

    added = command(download)
    added.add_argument("source", choices=["mnist", "fashion_mnist", "cifar10"])
    added.add_argument("--data-root", type=Path, default=data_root, help="(%(default)s)")

    added = command(verify)
    added.add_argument("--runs", type=Path, default=Path("results/runs"), help="(%(default)s)")
    added.add_argument("--output", type=Path, help="write the ledgers there as CSV")

    added = command(collect)
    study(added, dataset=False)
    added.add_argument("--runs", type=Path, default=Path("results/runs"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=Path("results"), help="(%(default)s)")

    added = command(figure)
    added.add_argument("figure")
    added.add_argument("--results", type=Path, default=Path("results"), help="(%(default)s)")
    added.add_argument("--output", type=Path, default=Path("figures"), help="(%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
