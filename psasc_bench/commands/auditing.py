"""Commands that put privacy to the test."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from psasc_bench import evidence, files, methods, optimisers, plugins, records, training
from psasc_bench.commands.notices import error, warn, wrote
from psasc_bench.privacy import calibrate
from psasc_bench.study import Cell, Study, load_study

AUDITED = ((1.0, 10), (0.25, 20))  # schedules (sampling rate, steps): without subsampling the attack is at its sharpest
AUDITED_DELTA = 1e-5

AnySetting: TypeAlias = "evidence.Setting | evidence.OptimiserSetting"


def check(options: argparse.Namespace) -> int:
    """Put methods and their optimisers through the battery, with every setting that a data set or a sweep of the study
    has for them, or what a file defines: a line per check with its figure, and exit status 1 if one fails."""
    _compute_on_one_thread()
    rows: list[dict[str, Any]] = []
    failed: list[tuple[AnySetting, list[evidence.Check]]] = []
    for setting in _settings_to_check(options):
        print(setting)
        found = setting.checks()
        for one in found:
            print(f"  {one}")
        rows += [_check_row(setting, one) for one in found]
        if bad := [one for one in found if not one.passed]:
            failed.append((setting, bad))
    if options.output:
        files.write_csv(options.output, rows)
        wrote(options.output)
    for setting, bad in failed:
        why = ", ".join(f"{one.name} ({one.figure:.6g}, must be {one.relation} {one.limit:g})" for one in bad)
        where = f"; {', '.join(setting.places)}" if setting.places else ""
        error(f"{setting.name} ({setting.parameters}{where}) fails {why}")
    names = dict.fromkeys(setting.name for setting, _ in failed)
    print(f"failed: {', '.join(names)}" if failed else "all checks passed")
    return 1 if failed else 0


def _check_row(setting: AnySetting, one: evidence.Check) -> dict[str, Any]:
    return {
        "method": setting.name,
        "settings": setting.parameters,
        "check": one.name,
        "figure": one.figure,
        "relation": one.relation,
        "limit": one.limit,
        "passed": one.passed,
        "detail": one.detail,
    }


def _settings_to_check(options: argparse.Namespace) -> Sequence[AnySetting]:
    settings = dict(options.set)
    if options.file and options.methods:
        raise ValueError("--file: what it defines is checked alone; name no methods")
    if settings and not options.file and not options.methods:
        raise ValueError("--set: name the method that has these hyper-parameters, or give its --file")
    if options.file:
        return [_setting_in(options.file, settings)]
    if options.methods and settings:
        return [evidence.Setting(name, methods.create(name, settings)) for name in options.methods]
    study = load_study(options.config)
    if unknown := [name for name in options.methods if name not in study.methods]:
        methods.load(unknown[0])  # or say which one may have been meant
        raise ValueError(f"{options.config}: methods: no {unknown[0]!r}; give its hyper-parameters with --set")
    names = options.methods
    return [*evidence.distinct_settings(study, names=names), *evidence.distinct_optimisers(study, names=names)]


def _setting_in(file: Path, settings: dict[str, float]) -> AnySetting:
    """The method or the update rule that ``file`` defines. Raises ``ValueError`` unless it is one of both."""
    module = plugins.load(file)
    found = [kind for kind in (methods.Method, optimisers.UpdateRule) if plugins.defined(module, kind)]
    if len(found) != 1:
        has = "both; put each into a file of its own" if found else "neither"
        raise ValueError(f"{file}: must define a Method or an UpdateRule, has {has}")
    if found == [optimisers.UpdateRule]:
        return evidence.OptimiserSetting(optimisers.create([{plugins.reference(str(file)): settings}]))
    return evidence.Setting(file.stem, methods.instantiate(file.stem, methods.from_file(file), settings))


def _compute_on_one_thread() -> None:
    """The tensors are so small that more threads would take ten times the processor's time, and no less of ours."""
    import torch

    torch.set_num_threads(1)


def audit(options: argparse.Namespace) -> int:
    """Attack every private method of a study, and write the lower bounds on epsilon that the attacks prove beside what
    is claimed; exit status 1 if a claim is refuted."""
    _compute_on_one_thread()
    study = load_study(options.config)
    private = [(dataset, name) for dataset, name in _audited(study) if not study.method(dataset, name).control]
    if not private:
        print("no method of the study claims privacy: nothing to audit")
    rows: list[dict[str, Any]] = []
    for sampling_rate, steps in AUDITED:
        for epsilon in study.epsilons if private else ():
            budget = calibrate(epsilon=epsilon, delta=AUDITED_DELTA, sampling_rate=sampling_rate, steps=steps)
            claim = evidence.Claim(noise_multiplier=budget.noise_multiplier, sampling_rate=sampling_rate, steps=steps)
            for dataset, name in private:
                found = asdict(evidence.audit(study.method(dataset, name, epsilon), claim, delta=AUDITED_DELTA))
                del found["method"]  # the title of the class, which two methods of the study may share
                rows.append({"epsilon": epsilon, "method": name, "method_title": study.method_title(name), **found})
    if options.output:
        files.write_csv(options.output, rows)
        wrote(options.output)
    for row in rows:
        print(
            f"{row['method_title']:16} q {row['sampling_rate']:<5g} claimed {row['epsilon_claimed']:.3f}  "
            f"proved at least {row['epsilon_lower']:.3f}  {'REFUTED' if row['refuted'] else 'holds'}"
        )
    refuted = dict.fromkeys(row["method_title"] for row in rows if row["refuted"])
    if refuted:
        error(f"refuted: {', '.join(refuted)}: more privacy is spent than claimed")
    return 1 if refuted else 0


def audit_run(options: argparse.Namespace) -> None:
    """Train one run with canaries among its examples, and report what guessing which of them were in proves of epsilon:
    a lower bound, and no check."""
    import torch

    study = load_study(options.config)
    protocol = study.dataset(options.dataset)
    spec = study.spec(Cell(options.dataset, options.method, options.epsilon), options.seed)
    evidence.require_sound(spec, options.checks)
    torch.set_num_threads(options.threads)
    found = evidence.audit_run(
        spec,
        training.prepared_dataset(study, options.dataset, options.data, warn=warn),
        canaries=options.canaries,
        guesses=options.guesses,
        micro_batch_size=protocol.micro_batch_size,
        device=training.choose_device(options.device, warn=warn),
    )
    print(
        f"claimed {found.epsilon_claimed:.3f} at delta {found.delta:g}, at least {found.epsilon_lower:.3f} proved "
        f"with {100 * found.confidence:g} % confidence by {found.guesses} guesses about {found.canaries} canaries "
        f"(test accuracy {found.test_accuracy:.4f})"
    )


def verify(options: argparse.Namespace) -> int:
    """Recompute what every run spent by accountants that took no part in it, and name the runs whose ledgers do not
    hold; exit status 1 if there are any, unless tables are to withhold their rows."""
    paths = records.find(records.records_folder(options.results))
    if not paths:
        raise ValueError(f"{options.results}: holds no records to verify")
    verified = evidence.verify_ledgers(paths, files=options.methods)
    if options.output:
        files.write_csv(options.output, [asdict(row) for row in verified])
        wrote(options.output)
    bad = [row for row in verified if row.problem]
    say, then = (warn, "its rows are withheld") if options.withhold else (error, "train it anew")
    for row in bad:
        say(f"{row.run}: {row.problem}; {then}")
    print(f"{len(verified)} records verified: " + (f"{len(bad)} do not hold" if bad else "none overspent its budget"))
    return 1 if bad and not options.withhold else 0


def _audited(study: Study) -> list[tuple[str, str]]:
    """The study's methods, each with the first data set that is trained with it."""
    found: dict[str, str] = {}
    for dataset in study.datasets:
        for name in study.methods_on(dataset):
            found.setdefault(name, dataset)
    return [(found[name], name) for name in study.methods if name in found]
