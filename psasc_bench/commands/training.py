"""Commands that prepare and train runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from psasc_bench import data, evidence, files, methods, signals, training
from psasc_bench.commands.notices import say, warn, wrote
from psasc_bench.memory import keep_freed_memory
from psasc_bench.privacy import Budget
from psasc_bench.study import Cell, RunSpec, Schedule, Study, load_study, method_trials, spec_identity

if TYPE_CHECKING:
    from psasc_bench.data import Dataset


def download(options: argparse.Namespace) -> None:
    """Download a data set that torchvision knows."""
    data.download(options.source, options.data_root)
    wrote(options.data_root)


def prepare(options: argparse.Namespace) -> None:
    """Read and check a data set, and write it as the one compact file that its runs read."""
    data.prepare(
        options.source,
        options.output,
        root=options.data_root,
        path=options.path,
        mean=options.mean,
        deviation=options.deviation,
        features=options.features,
        size=options.size,
        label=options.label,
        warn=warn,
    )
    wrote(options.output)


def budgets(options: argparse.Namespace) -> None:
    """Compute the noise multiplier for each epsilon of a schedule, and what it spends by two accountants."""
    where = f"datasets.{options.dataset}"
    dataset = data.as_seen(data.load(options.data), options.evaluation)
    training.check_fit(options.model, dataset, name=options.dataset)
    examples = len(dataset.y_train)
    if options.delta >= 1 / examples:
        warn(
            f"{where}.delta: {options.delta:g} is not below 1/{examples}, one over the number of training examples; "
            "it would allow publishing one of them outright"
        )
    schedule = Schedule(dataset=options.dataset, expected_batch_size=options.expected_batch_size, epochs=options.epochs)
    for path in options.outputs:
        epsilon = float(path.stem.removeprefix("eps-"))
        budget = training.schedule_budget(
            schedule, examples, epsilon=epsilon, delta=options.delta, accountant=options.accountant
        )
        files.write_text(path, json.dumps(budget.to_json(), indent=1) + "\n")
        print(f"epsilon {epsilon:g}: noise multiplier {budget.noise_multiplier:.4f} for {budget.steps} steps")
    wrote(*options.outputs)


def train(options: argparse.Namespace) -> None:
    """Train the runs of one cell (data set, method, epsilon); what is finished already is left alone."""
    study = load_study(options.config)
    wanted = Cell(options.dataset, options.method, options.epsilon)
    specs = [study.spec(wanted, seed) for seed in options.seeds or study.cell_seeds(options.dataset, options.epsilon)]
    dataset, budget = _inputs(options, study, specs[0])
    every = study.dataset(options.dataset).probe_every_epochs
    _train(options, study, specs, dataset, lambda _: budget, runs=options.runs, probe_every_epochs=every)


def train_sweep(options: argparse.Namespace) -> None:
    """Train the trials of one sweep on one data set; what is finished already is left alone."""
    study = load_study(options.config)
    dataset = training.prepared_dataset(study, options.dataset, options.data, warn=warn)
    known = [training.read_budget(path) for path in options.budgets]

    def budget(spec: RunSpec) -> Budget:
        examples = len(data.as_seen(dataset, spec.evaluation).y_train)
        plan = (spec.epsilon, spec.delta, spec.sampling_rate(examples), spec.epoch_ends(examples)[-1], spec.accountant)
        for one in known:
            if (one.epsilon, one.delta, one.sampling_rate, one.steps, one.accountant) == plan:
                return one
        known.append(_calibrated(spec, examples))
        return known[-1]

    for method in study.sweep(options.sweep).methods:
        for trial in method_trials(study, options.sweep, options.dataset, method):
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

    torch.set_num_threads(options.threads)
    keep_freed_memory()
    place = training.choose_place(options.device, warn=warn)
    for spec in specs:
        evidence.require_sound(spec, options.checks)
    for spec in specs:
        with _progress_bar(spec.name()) as progress:
            made = training.train_run(
                spec,
                dataset,
                budget(spec),
                runs=runs,
                micro_batch_size=study.dataset(spec.dataset).micro_batch_size,
                device=place,
                checkpoint_seconds=options.checkpoint_seconds,
                progress=progress,
                probe_every_epochs=probe_every_epochs,
                interruptible=signals.deferred,
            )
        if made.status == "failed":
            warn(f"{spec.name()} failed: {made.reason}")
        accuracy = made.result[f"{spec.evaluation}_accuracy"]
        shown = "none" if accuracy is None else f"{accuracy:.4f}"
        print(
            f"{runs / spec.name()}.json: {made.status} on {made.provenance['device']}, "
            f"{spec.evaluation} accuracy {shown}"
        )
    training.empty_spool(list(specs), runs)


def deviation(options: argparse.Namespace) -> None:
    """Train one run, and compare all private methods along it on all training examples: which gradients get the weight,
    and how far from the true mean gradient is what a step would release? Not private: this is not accounted for."""
    import torch

    study = load_study(options.config)
    protocol = study.dataset(options.dataset)
    trajectory = options.trajectory or study.roles().reference
    if trajectory is None:
        raise ValueError("--trajectory: the study has no reference; name the method to train")
    cell = Cell(options.dataset, trajectory, options.epsilon)
    spec = study.spec(cell, options.seed)
    specs = {name: study.spec(replace(cell, method=name), options.seed) for name in study.methods_on(options.dataset)}
    compared = {name: methods.create(one.method, dict(one.parameters)) for name, one in specs.items()}
    compared = {name: method for name, method in compared.items() if not method.control}
    named = {
        name: {"method_title": study.method_title(name), "identity": spec_identity(study, specs[name])}
        for name in compared
    }
    evidence.require_sound(spec, options.checks)
    dataset, budget = _inputs(options, study, spec)
    torch.set_num_threads(options.threads)
    place = training.choose_place(options.device, warn=warn)
    # nobody has measured what all training examples take: a whole card
    with (
        training.share_of(place, dict, lambda: say("no card is free; waiting for one")) as share,
        _progress_bar(spec.name()) as progress,
    ):
        found = training.along_one_trajectory(
            spec,
            compared,
            dataset,
            budget,
            micro_batch_size=protocol.micro_batch_size,
            device=share.device,
            measurements=options.measurements,
            progress=progress,
        )
    trained = {"trajectory": trajectory, "trajectory_identity": spec_identity(study, spec)}
    rows = [{"dataset_title": protocol.title, **row, **named[row["method"]], **trained} for row in found]
    files.write_csv(options.output, rows)
    wrote(options.output)
    for row in rows[-len(compared) :]:
        print(
            f"{row['method_title']:16} quarter of the smallest gradients {row['quarter_weight']:.1%} of the weight  "
            f"effective sample size {row['effective_sample_size']:.1%}  cosine as released {row['released_cosine']:.4f}"
        )


def _inputs(options: argparse.Namespace, study: Study, spec: RunSpec) -> tuple[Dataset, Budget]:
    """What a run is trained on."""
    dataset = training.prepared_dataset(study, spec.dataset, options.data, warn=warn)
    if options.budget:
        return dataset, training.read_budget(options.budget)
    return dataset, _calibrated(spec, len(dataset.y_train))


def _calibrated(spec: RunSpec, examples: int) -> Budget:
    return training.schedule_budget(spec, examples, epsilon=spec.epsilon, delta=spec.delta, accountant=spec.accountant)


@contextmanager
def _progress_bar(title: str) -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(transient=True) as bar:
        run = bar.add_task(title, total=None)
        yield lambda step, steps: bar.update(run, completed=step, total=steps)
