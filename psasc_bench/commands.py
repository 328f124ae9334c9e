"""What the command line can do: each command thin over the package, and importing only what it needs, for torch, opacus
and pandas each take seconds to load. A command returns the exit status where there is more to say than success."""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psasc_bench import config, files, methods
from psasc_bench.config import Cell, Study
from psasc_bench.memory import keep_freed_memory
from psasc_bench.methods import Method
from psasc_bench.privacy import Budget, calibrate
from psasc_bench.spec import RunSpec, Schedule

if TYPE_CHECKING:
    import torch

    from psasc_bench.data import Dataset

AUDITED = ((1.0, 10), (0.25, 20))  # schedules (sampling rate, steps): without subsampling the attack is at its sharpest
AUDITED_DELTA = 1e-5


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
        features=options.features,
    )


def budgets(options: argparse.Namespace) -> None:
    """Compute the noise multiplier for each epsilon of a schedule, and what it spends by two accountants."""
    from psasc_bench import data, models

    where = f"datasets.{options.dataset}"
    dataset = data.as_seen(data.load(options.data), options.evaluation)
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
    study = config.load(options.config)
    wanted = Cell(options.dataset, options.method, options.epsilon)
    specs = [study.spec(wanted, seed) for seed in options.seeds or study.cell_seeds(options.dataset, options.epsilon)]
    dataset, budget = _inputs(options, study, specs[0])
    every = study.dataset(options.dataset).probe_every_epochs
    _train(options, study, specs, dataset, lambda _: budget, runs=options.runs, probe_every_epochs=every)


def train_sweep(options: argparse.Namespace) -> None:
    """Train the trials of one sweep on one data set; what is finished already is left alone."""
    from psasc_bench import data, sweeps

    study = config.load(options.config)
    dataset = data.load(options.data) if options.data else _prepared(study, options.dataset)
    known = [_read_budget(path) for path in options.budgets]

    def budget(spec: RunSpec) -> Budget:
        examples = len(data.as_seen(dataset, spec.evaluation).y_train)
        plan = (spec.epsilon, spec.delta, spec.sampling_rate(examples), spec.epoch_ends(examples)[-1])
        fitting = [one for one in known if (one.epsilon, one.delta, one.sampling_rate, one.steps) == plan]
        if not fitting:
            fitting = [_budget(spec, examples, epsilon=spec.epsilon, delta=spec.delta)]
            known.extend(fitting)
        return fitting[0]

    for method in study.sweep(options.sweep).methods:
        for trial in sweeps.trials(study, options.sweep, options.dataset, method):
            print(f"{options.sweep}/{trial.name}:")
            runs = trial.folder(options.sweeps)
            # an ablation is compared with the study's own runs, which have a deviation in their curves
            probed = study.sweep(options.sweep).evaluation == "test"
            every = study.dataset(options.dataset).probe_every_epochs if probed else 0
            _train(options, study, trial.runs, dataset, budget, runs=runs, probe_every_epochs=every)


def _train(
    options: argparse.Namespace,
    study: Study,
    specs: Sequence[RunSpec],
    dataset: Dataset,
    budget: Callable[[RunSpec], Budget],
    *,
    runs: Path,
    probe_every_epochs: int,
) -> None:
    """See that ``runs`` has the records of ``specs``, all of one data set and method."""
    import torch

    from psasc_bench import cell

    torch.set_num_threads(options.threads)
    keep_freed_memory()
    for spec in specs:
        with _progress_bar(spec.name()) as progress:
            made = cell.train_run(
                spec,
                dataset,
                budget(spec),
                runs=runs,
                micro_batch_size=study.dataset(spec.dataset).micro_batch_size,
                device=_device(options.device),
                checkpoint_seconds=options.checkpoint_seconds,
                progress=progress,
                probe_every_epochs=probe_every_epochs,
            )
        if made.status == "failed":
            print(f"psasc-bench: warning: {spec.name()} failed: {made.reason}", file=sys.stderr)
        accuracy = made.result[f"{spec.evaluation}_accuracy"]
        shown = "none" if accuracy is None else f"{accuracy:.4f}"
        print(f"{spec.name()}: {made.status}, {spec.evaluation} accuracy {shown}")
    cell.empty_spool(list(specs), runs)


def status(options: argparse.Namespace) -> None:
    """Print how far the study is, and write one row per run to status.csv."""
    from psasc_bench import status as statuses

    surveyed = list(statuses.survey(config.load(options.config), options.runs))
    files.write_csv(options.output, statuses.rows(surveyed))
    print(statuses.grid(surveyed))


def verify(options: argparse.Namespace) -> None:
    """Recompute what every run spent by an accountant that took no part in it; fails if one overspent its budget."""
    paths = sorted(_runs(options.results).rglob("*.json"))
    if not paths:
        raise ValueError(f"{options.results}: holds no records to verify")
    verified = _verified(paths)
    if options.output:
        files.write_csv(options.output, verified)
    print(f"{len(verified)} records verified: none overspent its budget")


def merge(options: argparse.Namespace) -> None:
    """Put records made elsewhere into one folder; refuses all of them if two contradict each other."""
    from psasc_bench import merge as merging

    for folder in options.sources:
        if not folder.is_dir():
            raise ValueError(f"{folder}: not a folder")
    target = _runs(options.into)
    copied = merging.merge([_runs(folder) for folder in options.sources], target)
    print(f"{copied} records copied to {target}")


def check(options: argparse.Namespace) -> int:
    """Put methods through the battery: a line per check with its figure, and exit status 1 if one fails."""
    from psasc_bench import checks

    failed = []
    for name, method in _methods_to_check(options):
        print(f"{name}: {method}")
        found = checks.run(method)
        for one in found:
            print(f"  {one}")
        if not all(one.passed for one in found):
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def audit(options: argparse.Namespace) -> int:
    """Attack every private method of a study, and write the lower bounds on epsilon that the attacks prove beside what
    is claimed; exit status 1 if a claim is refuted."""
    from psasc_bench import audit as audits

    study = config.load(options.config)
    contestants = [(name, method) for name, method in _configured(study) if not method.control]
    if not contestants:
        print("no method of the study claims privacy: nothing to audit")
    rows: list[dict[str, Any]] = []
    for sampling_rate, steps in AUDITED:
        for epsilon in study.epsilons if contestants else ():
            budget = calibrate(epsilon=epsilon, delta=AUDITED_DELTA, sampling_rate=sampling_rate, steps=steps)
            claim = audits.Claim(noise_multiplier=budget.noise_multiplier, sampling_rate=sampling_rate, steps=steps)
            for name, method in contestants:
                found = asdict(audits.audit(method, claim, delta=AUDITED_DELTA))
                rows.append({"epsilon": epsilon, "method": name, "method_title": found.pop("method"), **found})
    if options.output:
        files.write_csv(options.output, rows)
    for row in rows:
        print(
            f"{row['method_title']:16} q {row['sampling_rate']:<5g} claimed {row['epsilon_claimed']:.3f}  "
            f"proved at least {row['epsilon_lower']:.3f}  {'REFUTED' if row['refuted'] else 'holds'}"
        )
    refuted = dict.fromkeys(row["method_title"] for row in rows if row["refuted"])
    if refuted:
        print(f"psasc-bench: error: refuted: {', '.join(refuted)}: more privacy is spent than claimed", file=sys.stderr)
    return 1 if refuted else 0


def audit_run(options: argparse.Namespace) -> None:
    """Train one run with canaries among its examples, and report what guessing which of them were in proves of epsilon:
    a lower bound, and no check."""
    from psasc_bench import trained

    study = config.load(options.config)
    protocol = study.dataset(options.dataset)
    found = trained.audit_run(
        study.spec(Cell(options.dataset, options.method, options.epsilon), options.seed),
        _prepared(study, options.dataset),
        canaries=options.canaries,
        guesses=options.guesses,
        micro_batch_size=protocol.micro_batch_size,
        device=_device("auto"),
    )
    print(
        f"claimed {found.epsilon_claimed:.3f} at delta {found.delta:g}, at least {found.epsilon_lower:.3f} proved "
        f"with {100 * found.confidence:g} % confidence by {found.guesses} guesses about {found.canaries} canaries "
        f"(test accuracy {found.test_accuracy:.4f})"
    )


def deviation(options: argparse.Namespace) -> None:
    """Train one run, and compare all private methods along it: how far is each one's scaled mean gradient from the true
    one, on a fixed set of training examples? Not private: these figures are not accounted for."""
    import torch

    from psasc_bench import probe

    study = config.load(options.config)
    protocol = study.dataset(options.dataset)
    spec = study.spec(Cell(options.dataset, options.trajectory, options.epsilon), options.seed)
    contestants = {name: study.method(options.dataset, name) for name in study.methods}
    contestants = {name: method for name, method in contestants.items() if not method.control}
    dataset, budget = _inputs(options, study, spec)
    torch.set_num_threads(options.threads)
    with _progress_bar(spec.name()) as progress:
        found = probe.along_one_trajectory(
            spec,
            contestants,
            dataset,
            budget,
            micro_batch_size=protocol.micro_batch_size,
            device=_device(options.device),
            progress=progress,
        )
    rows = [{"dataset_title": protocol.title, **row} for row in found]
    files.write_csv(options.output, rows)
    for row in rows[-len(contestants) :]:
        print(f"{row['method_title']:16} cosine {row['cosine']:.4f}  relative error {row['relative_error']:.4f}")


def tune(options: argparse.Namespace) -> None:
    """Choose every method's settings from the sweeps on validation examples: write tuning.csv, and tuned.yaml with the
    evidence and the cost."""
    from psasc_bench import sweeps

    study = config.load(options.config)
    rows = _swept(options, study, sweeps.names(study, "validation"))
    files.write_text(options.output / "tuned.yaml", sweeps.tuned(rows))
    files.write_csv(options.output / "tuning.csv", rows)
    print(f"tuning took {sweeps.cost(rows)}; what it chose is in {options.output / 'tuned.yaml'}")


def collect_sweeps(options: argparse.Namespace) -> None:
    """Gather the records of a study's sweeps into tidy tables: sweeps.csv, and sweep_curves.csv of those that are
    evaluated on test examples. A sweep on data sets that are not trained is among them if it has any record."""
    from psasc_bench import sweeps

    study = config.load(options.config)
    names = [name for name in study.sweeps if name in sweeps.names(study) or (options.sweeps / name).is_dir()]
    rows = _swept(options, study, names)
    files.write_csv(options.output / "sweeps.csv", rows)
    ablations = [name for name in names if study.sweeps[name].evaluation == "test"]
    files.write_csv(options.output / "sweep_curves.csv", sweeps.curves(study, ablations, options.sweeps))
    print(f"the sweeps took {sweeps.cost(rows)}")


def _swept(options: argparse.Namespace, study: Study, names: Sequence[str]) -> list[dict[str, Any]]:
    """The table of these sweeps, once the ledgers of all their runs hold."""
    from psasc_bench import sweeps

    if not names:
        raise ValueError(
            "the study has no sweep to ask for on data sets that it trains; config/README.md says how to declare one"
        )
    trials = sweeps.all_trials(study, names)
    records = [trial.folder(options.sweeps) / f"{spec.name()}.json" for trial in trials for spec in trial.runs]
    _verified(path for path in records if path.exists())
    return sweeps.table(study, names, options.sweeps)


def _verified(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The ledgers of these records. Raises ``ValueError`` naming every one that does not hold."""
    from psasc_bench.verify import verify as verify_records

    verified = [asdict(row) for row in verify_records(paths)]
    if bad := [row for row in verified if row["problem"]]:
        raise ValueError("\n".join(f"{row['run']}: {row['problem']}; train it anew" for row in bad))
    return verified


def collect(options: argparse.Namespace) -> None:
    """Gather the records of a study into tidy tables."""
    from psasc_bench import results

    results.collect(config.load(options.config), options.runs, options.output)


def claims(options: argparse.Namespace) -> None:
    """Judge the paper's claims by the tables of a study."""
    from psasc_bench import claims as judged

    tables = options.tables or sorted(options.output.glob("*.csv"))
    if not tables:
        raise ValueError(f"{options.output}: holds no tables; `snakemake --cores 8` makes them")
    judged.write(tables, options.output)


def write_up(options: argparse.Namespace) -> None:
    """Write the study up in two pages, every number from its tables."""
    from psasc_bench import writeup

    files.write_text(options.output, writeup.render(options.results))


def figure(options: argparse.Namespace) -> None:
    """Draw figures from the tidy tables; without names, all whose tables there are."""
    from psasc_bench import figures, plots

    for name in options.figures or figures.FIGURES:
        lacking = figures.FIGURES[name].lacks(options.results) if not options.figures else ""
        if lacking:
            print(f"{name} is not drawn: it {lacking}")
        else:
            plots.draw(name, options.results, options.output, dataset=options.dataset)


def _runs(results: Path) -> Path:
    """The folder of records, given as such or as the results folder that has it."""
    return runs if (runs := results / "runs").is_dir() else results


def _inputs(options: argparse.Namespace, study: Study, spec: RunSpec) -> tuple[Dataset, Budget]:
    """What a run is trained on: read from the files given, or else made here."""
    from psasc_bench import data

    dataset = data.load(options.data) if options.data else _prepared(study, spec.dataset)
    if options.budget:
        return dataset, _read_budget(options.budget)
    return dataset, _budget(spec, len(dataset.y_train), epsilon=spec.epsilon, delta=spec.delta)


def table(options: argparse.Namespace) -> None:
    """Typeset tables from the tidy ones: CSV, Markdown, LaTeX and HTML."""
    from psasc_bench import typeset

    for name in options.tables:
        typeset.write(name, options.results, options.output)


def explorer(options: argparse.Namespace) -> None:
    """Write the page to explore a study with, from the tidy tables."""
    from psasc_bench import explorer as page

    page.write(options.results, options.output)


def _prepared(study: Study, name: str) -> Dataset:
    """The data set, prepared now if it has not been."""
    from psasc_bench import data

    protocol, prepared = study.dataset(name), study.prepared(name)
    if not prepared.exists():
        data.prepare(
            protocol.source,
            prepared,
            root=data_root() or Path(study.data_root),
            path=Path(protocol.path) if protocol.path else None,
            mean=protocol.mean,
            deviation=protocol.deviation,
            features=protocol.features,
        )
    return data.load(prepared)


def data_root() -> Path | None:
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


def _configured(study: Study) -> list[tuple[str, Method]]:
    """The study's methods with their hyper-parameters for its first data set."""
    dataset = next(iter(study.datasets))
    return [(name, study.method(dataset, name)) for name in study.methods]


def _methods_to_check(options: argparse.Namespace) -> list[tuple[str, Method]]:
    settings = dict(options.set)
    if options.file and options.methods:
        raise ValueError("--file: its method is checked alone; name no others")
    if settings and not options.file and not options.methods:
        raise ValueError("--set: name the method that has these hyper-parameters, or give its --file")
    if options.file:
        return [(options.file.stem, methods.instantiate(options.file.stem, methods.from_file(options.file), settings))]
    if options.methods and settings:
        return [(name, methods.create(name, settings)) for name in options.methods]
    known = dict(_configured(config.load(options.config)))
    if unknown := [name for name in options.methods if name not in known]:
        raise ValueError(f"{options.config}: methods: no {unknown[0]!r}; give its hyper-parameters with --set")
    return [(name, known[name]) for name in options.methods or known]
