"""Commands that tell what there is: methods, runs, tables, figures."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path

from psasc_bench import analysis, evidence, files, methods, optimisers, planning, records, report
from psasc_bench.commands.notices import say, warn, wrote
from psasc_bench.study import RunSpec, Study, load_study, sweep_names, sweep_trials


def info(options: argparse.Namespace) -> None:
    """List the methods, and the update rules: formula, guarantee, citation, hyper-parameters."""
    rules = optimisers.names()
    for name in options.methods or [*methods.names(), *rules]:
        if name in rules:
            rule = optimisers.load(name)
            _tell(f"{name} ({rule.title}), an update rule", rule, optimisers.describe(rule))
        else:
            method = methods.load(name)
            _tell(f"{name} ({method.title}){', a control' if method.control else ''}", method, methods.describe(method))


def _tell(heading: str, cls: type, parameters: Sequence[str]) -> None:
    text = inspect.cleandoc(cls.__doc__ or "").replace("``", "").replace("\n", "\n    ")
    print(f"{heading}\n    {text}\n    hyper-parameters: {', '.join(parameters) or 'none'}\n")


def status(options: argparse.Namespace) -> None:
    """Print how far the study is, and write one row per run to status.csv."""
    surveyed = list(records.survey(load_study(options.config), options.runs))
    files.write_csv(options.output, records.status_rows(surveyed))
    print(records.status_grid(surveyed))
    wrote(options.output)


def merge(options: argparse.Namespace) -> None:
    """Put records made elsewhere into one folder; refuses all of them if two contradict each other."""
    for folder in options.sources:
        if not folder.is_dir():
            raise ValueError(f"{folder}: not a folder")
    target = records.records_folder(options.into)
    copied = records.merge([records.records_folder(folder) for folder in options.sources], target)
    say(f"{copied} records copied to {target}")


def tune(options: argparse.Namespace) -> None:
    """Choose every method's settings from the sweeps on validation examples: write tuning.csv, and tuned.yaml with the
    evidence and the cost."""
    study = load_study(options.config)
    names = sweep_names(study, chosen_from=True)
    rows = analysis.sweep_table(study, names, options.sweeps, withheld=_withheld_trials(options, study, names))
    files.write_text(options.output / "tuned.yaml", analysis.tuned_study(rows))
    files.write_csv(options.output / "tuning.csv", rows)
    for note in analysis.edge_notes(rows):
        warn(note)
    say(f"tuning took {analysis.sweep_cost(rows)}; what it chose is in {options.output / 'tuned.yaml'}")
    wrote(options.output / "tuned.yaml", options.output / "tuning.csv")


def collect_sweeps(options: argparse.Namespace) -> None:
    """Gather the records of a study's sweeps into tidy tables: sweeps.csv, and sweep_curves.csv of those that
    are evaluated on test examples. A sweep on data sets that are not trained is among them if it has any record."""
    study = load_study(options.config)
    names = [name for name in study.sweeps if name in sweep_names(study) or (options.sweeps / name).is_dir()]
    withheld = _withheld_trials(options, study, names)
    rows = analysis.sweep_table(study, names, options.sweeps, withheld=withheld)
    ablations = [name for name in names if study.sweeps[name].evaluation == "test"]
    curves = analysis.sweep_curves(study, ablations, options.sweeps, withheld=withheld)
    files.write_csv(options.output / "sweeps.csv", rows)
    files.write_csv(options.output / "sweep_curves.csv", curves)
    say(f"the sweeps took {analysis.sweep_cost(rows)}")
    wrote(options.output / "sweeps.csv", options.output / "sweep_curves.csv")


def _withheld_trials(options: argparse.Namespace, study: Study, names: Sequence[str]) -> dict[str, str]:
    """By path, the records of these sweeps whose ledger does not hold or whose method fails the battery, and why, which
    is told."""
    if not names:
        raise ValueError(
            "the study has no sweep to ask for on data sets that it trains; config/README.md says how to declare one"
        )
    runs = {
        trial.folder(options.sweeps) / f"{spec.name()}.json": spec
        for trial in sweep_trials(study, names)
        for spec in trial.runs
    }
    there = {path: spec for path, spec in runs.items() if path.is_file()}
    withheld = _unsound({str(path): spec for path, spec in there.items()}, options.checks)
    verified = zip(there, evidence.verify_ledgers(there, files=study.method_files()), strict=True)
    withheld |= {str(path): row.problem for path, row in verified if row.problem}
    _name_withheld(withheld)
    return withheld


def collect(options: argparse.Namespace) -> None:
    """Gather the records of a study into tidy tables, and write them up as README.md beside these. Runs whose ledger
    does not hold, or whose method fails the battery, are named and withheld."""
    study = load_study(options.config)
    specs = [spec for cell in study.cells() for spec in study.specs(cell)]
    withheld = {**_unsound({spec.name(): spec for spec in specs}, options.checks), **_unaccounted(options, study)}
    _name_withheld(withheld)
    tables = analysis.collect(study, options.runs, options.output, withheld=withheld)
    for line in analysis.unlike_origins(analysis.read_table(options.output / "times.csv"), study.roles().reference):
        warn(line)
    files.write_text(options.output / "README.md", report.render_results_page(study, options.output))
    wrote(*tables, options.output / "README.md")


def _name_withheld(withheld: Mapping[str, str]) -> None:
    for run, reason in withheld.items():
        warn(f"{run} is withheld: {reason}")


def _unaccounted(options: argparse.Namespace, study: Study) -> dict[str, str]:
    """By where they are filed, the runs whose ledger does not hold, and why: by the table of ledgers that is given, or
    recomputed."""
    if options.ledger:
        table = analysis.read_table(options.ledger)
        found = zip(table["run"], table["problem"], strict=True) if len(table) else ()
        return {str(run): problem for run, problem in found if isinstance(problem, str)}
    paths = records.find(records.records_folder(options.runs))
    verified = evidence.verify_ledgers(paths, files=study.method_files())
    return {row.run: row.problem for row in verified if row.problem}


def _unsound(runs: Mapping[str, RunSpec], checks: Path) -> dict[str, str]:
    """Those of ``runs`` whose method or optimiser fails the battery at their settings, and why."""
    failures: dict[str, str] = {}

    def failure(spec: RunSpec) -> str:
        settings = repr((spec.method, spec.parameters, spec.rules))
        if settings not in failures:
            try:
                evidence.require_sound(spec, checks)
            except ValueError as error:
                failures[settings] = str(error)
        return failures.setdefault(settings, "")

    failing = {name: failure(spec) for name, spec in runs.items()}
    return {name: why for name, why in failing.items() if why}


def claims(options: argparse.Namespace) -> None:
    """Judge the paper's claims by the tables of a study."""
    tables = options.tables or sorted(options.output.glob("*.csv"))
    if not tables:
        raise ValueError(f"{options.output}: holds no tables; `snakemake --cores 8` makes them")
    analysis.write_claims(tables, options.output)
    files.write_text(options.output / "claims.md", report.render_claims_page(options.output))
    wrote(options.output / "claims.csv", options.output / "claims.md")


def write_up(options: argparse.Namespace) -> None:
    """Write the study up in two pages, every number from its tables."""
    folder = options.results.parent
    output = options.output or folder / planning.write_up(folder)
    files.write_text(output, report.render_write_up(options.results, output))
    wrote(output)
    if options.readme and options.readme.exists():
        text = options.readme.read_text(encoding="utf-8")
        if (answered := report.answered(text, options.results)) != text:
            files.write_text(options.readme, answered)
            wrote(options.readme)


def figure(options: argparse.Namespace) -> None:
    """Draw figures from the tidy tables; without names, all whose tables there are."""
    if options.dataset:
        summary = analysis.read_table(options.results / "summary.csv")
        known = list(summary["dataset"].unique()) if "dataset" in summary else []
        if options.dataset not in known:
            tables = f"the tables in {options.results} are of {', '.join(known) or 'nothing'}"
            raise ValueError(f"--dataset: no {options.dataset!r}; {tables}")
    for name in options.figures or report.FIGURES:
        lacking = "" if options.figures else _lacks(name, options.results)
        if lacking:
            say(f"{name} is not drawn: it {lacking}")
        else:
            wrote(*report.draw_figure(name, options.results, options.output, dataset=options.dataset))


def _lacks(figure: str, results: Path) -> str:
    """In words, the first table that there is not of those that the figure is drawn from."""
    plan = report.FIGURES[figure]
    absent = next((name for name in plan.tables if not (results / f"{name}.csv").exists()), None)
    if absent is None:
        return plan.lacks(results)
    return f"needs {results / absent}.csv, which `snakemake --cores 8 results/{absent}.csv` makes"


def table(options: argparse.Namespace) -> None:
    """Typeset tables from the tidy ones, as CSV, Markdown, LaTeX and HTML; or print cells, with all that is needed to
    cite their accuracy."""
    cells = {key: getattr(options, key) for key in ("dataset", "epsilon", "method")}
    asked = any(value is not None for value in cells.values())
    if asked == bool(options.tables):
        tables = f"tables to write ({', '.join(report.TABLES)})"
        raise ValueError(f"either name {tables}, or give --dataset, --epsilon or --method to print cells")
    if asked:
        print(report.render_cells(options.results, **cells))
    for name in options.tables:
        wrote(*report.write_table(name, options.results, options.output))


def compare(options: argparse.Namespace) -> None:
    """Print what is not the same in two studies: accuracies, with the interval of their difference, and settings."""
    print(report.render_comparison(*(_results(path) for path in (options.first, options.second))))


def _results(path: Path) -> Path:
    """A results folder, given as such, as the folder of a study that has one, or as the study's file."""
    folder = planning.folder_of(path, project=Path()) if path.is_file() else path
    for results in (folder, folder / "results"):
        if (results / "runs.csv").is_file():
            return results
    raise ValueError(f"{path}: no results folder with a runs.csv, nor a study that has one")


def explorer(options: argparse.Namespace) -> None:
    """Write the page to explore a study with, from the tidy tables."""
    report.write_explorer(options.results, options.output)
    wrote(options.output)
