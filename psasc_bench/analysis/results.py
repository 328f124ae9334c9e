"""From the records of a study to tidy tables: what was run, what came out, and how sure one can be of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psasc_bench import methods, models, optimisers, records
from psasc_bench.analysis import statistics, times
from psasc_bench.analysis.metrics import RUN
from psasc_bench.analysis.primary import answer_table, comparison_table, primary_decisions
from psasc_bench.analysis.ranking import ranks
from psasc_bench.data import count_test_examples
from psasc_bench.files import write_text
from psasc_bench.records import Record
from psasc_bench.study import RunSpec, Study, format_epsilon

CELL = ["dataset", "epsilon", "method"]
LABELS = ["dataset_title", "method_title"]
UNFINISHED = ["missing", "running", "stale", "diverged", "failed"]
Row = dict[str, Any]
NORMS = np.logspace(-4, 2, 241)
PROTOCOL = ("learning_rate", "momentum", "delta", "accountant", "expected_batch_size", "epochs")
INNER = ("iterates", "decay")
# Tables of numbers that are searched for or integrated: their last digits depend on the processor.
ITERATED = ("comparisons", "answer", "ranks")
MOST_NAMED = 10  # of what is wrong in one way


def collect(study: Study, runs: Path, output: Path, *, withheld: Mapping[str, str] | None = None) -> list[Path]:
    """Write ``runs.csv``, ``curves.csv``, ``summary.csv``, ``comparisons.csv``, ``answer.csv``, ``ranks.csv``,
    ``weights.csv`` and ``study.json`` (the configuration as resolved from all files, flags and protocols) to
    ``output``, and ``times.csv``, which alone says when, where and in what time runs were made: the others are the same
    whoever makes them. Returns where they are.

    Runs of the study without a current record are listed with their status and enter no mean; nor do those
    ``withheld``, by name and with the reason, which count as failed. Raises ``ValueError`` for a damaged record or
    curve, and for stale records of data sets that the study trains: what is shown is to be trained first.
    """
    table, curves = read_runs(study, runs, withheld or {})
    _check_none_stale(table, study.trained())
    roles = study.roles()
    decisions = primary_decisions(table, roles)
    titles = {name: study.method_title(name) for name in study.methods}
    tables = {
        "runs": table.drop(columns=times.COLUMNS, errors="ignore"),
        "times": table.reindex(columns=[*RUN, "status", *times.COLUMNS]),
        "curves": curves,
        "summary": summarise(table, roles.reference),
        "weights": weights(study),
        "comparisons": comparison_table(
            decisions, titles, {name: study.dataset(name).title for name in study.datasets}
        ),
        "answer": answer_table(decisions, titles),
        "ranks": ranks(table),
    }
    for name, frame in tables.items():
        digits = "%.10g" if name in ITERATED else None
        write_text(output / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n", float_format=digits))
    write_text(output / "study.json", study.model_dump_json(indent=1) + "\n")
    return [*(output / f"{name}.csv" for name in tables), output / "study.json"]


def read_runs(study: Study, runs: Path, withheld: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per run of the study with its ``status`` (see ``status``), and one row per epoch of every ended run."""
    rows, curves = [], list[tuple[str, int, Row]]()
    tested = {name: count_test_examples(one.source, one.path) for name, one in study.datasets.items()}
    for run in records.survey(study, runs):
        if run.record and (reason := withheld.get(run.spec.name())):
            run = replace(run, status="failed", record=replace(run.record, status="failed", reason=reason, result={}))
        spec, cls = run.spec, methods.load(run.spec.method)
        key: Row = {"dataset": spec.dataset, "epsilon": spec.epsilon, "method": spec.label, "seed": spec.seed}
        labels: Row = {
            "dataset_title": study.dataset(spec.dataset).title,
            "method_title": study.method_title(spec.label),
        }
        path = runs / f"{spec.name()}.json"
        try:
            columns = _columns(spec, run.record)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: a damaged run record ({error!r}); {records.REMEDY}") from None
        kind: Row = {"control": cls.control, "tuned": study.dataset(spec.dataset).tuned}
        # how many they are tested on is known for sure once a record has said it
        rows.append(key | labels | kind | {"test_examples": None, "status": run.status} | columns)
        if run.record:
            if run.record.predictions and spec.evaluation == "test":
                tested[spec.dataset] = run.record.predictions["examples"]
            epochs = len(records.read_curve(path, run.record))
            text = path.with_suffix(".csv").read_text(encoding="utf-8")
            curves.append((text, epochs, key | labels | {"status": run.status}))
    table = pd.DataFrame(rows)
    table["test_examples"] = table["dataset"].map(tested)
    _check_one_data_set(table, runs)
    return table, _curve_table(curves)


def _curve_table(curves: Sequence[tuple[str, int, Row]]) -> pd.DataFrame:
    """One table of all curves, each given as text, with its number of rows and what to say of each of them.

    Those with the same columns are parsed as one text: to parse ten thousand texts takes half a minute.
    """
    alike: dict[str, list[int]] = {}
    for number, (text, _, _) in enumerate(curves):
        alike.setdefault(text.partition("\n")[0], []).append(number)
    frames = []
    for header, numbers in alike.items():
        bodies = (curves[number][0].partition("\n")[2].rstrip("\n") for number in numbers)
        epochs = [curves[number][1] for number in numbers]
        frame = pd.read_csv(io.StringIO("\n".join([header, *filter(None, bodies)])))
        said = pd.DataFrame([curves[number][2] for number in numbers])
        frames.append(frame.assign(**{str(key): np.repeat(column.array, epochs) for key, column in said.items()}))
        frames[-1].index = pd.Index(np.repeat(numbers, epochs))
    return pd.concat(frames).sort_index(kind="stable").reset_index(drop=True) if frames else pd.DataFrame()


def _check_none_stale(table: pd.DataFrame, trained: Sequence[str]) -> None:
    stale = table[(table["status"] == "stale") & table["dataset"].isin(trained)]
    names = [
        f"{run['dataset']}/{run['method']}/eps-{format_epsilon(run['epsilon'])}/seed-{run['seed']}"
        for _, run in stale.iterrows()
    ]
    if names:
        why = "its record is of other settings, code or data than now; `snakemake --cores 8` trains it anew"
        more = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
        raise ValueError("\n".join([*(f"{name}: {why}" for name in names[:MOST_NAMED]), *more]))


def _check_one_data_set(table: pd.DataFrame, runs: Path) -> None:
    """Runs can only be compared that were trained and tested on the same arrays."""
    if "data_sha256" not in table:
        return
    for dataset, digests in table.groupby("dataset")["data_sha256"]:
        if (found := digests.dropna().value_counts()).size > 1:
            which = ", ".join(
                f"{count} on {str(digest)[:12]}" for digest, count in zip(found.index, found, strict=True)
            )
            raise ValueError(f"{runs / str(dataset)}: records of unlike data in one folder ({which}); keep one kind")


def _columns(spec: RunSpec, found: Record | None) -> Row:
    columns: Row = {
        "implementation": methods.identity(spec.method),
        "model": models.identity(spec.model),
        "settings": _settings(spec),
    }
    columns |= {key: getattr(spec, key) for key in PROTOCOL} | {"test_accuracy": np.nan}
    # tables of studies that have none are without the column
    if spec.optimiser:
        columns["optimiser"] = str(optimisers.create(spec.optimiser))
    if spec.augment:
        columns["augmentations"] = spec.augmented
    if found is None:
        return columns
    ledger = {key: found.ledger[key] for key in ("noise_multiplier", "sensitivity", "sampling_rate", "steps_taken")}
    spent = {key: float(found.ledger[key]) for key in ("epsilon_rdp", "epsilon_pld")}
    return columns | {
        "reason": found.reason,
        **found.result,
        **ledger,
        **spent,
        **found.nonprivate,
        "data_sha256": found.provenance["data_sha256"],
        **times.made(found),
    }


def _settings(spec: RunSpec) -> str:
    """The method's hyper-parameters, as ``C=0.2,s=2,r=0.1``; those of the inner momentum last."""
    own = {key: value for key, value in spec.parameters.items() if key not in INNER}
    values = own | {key: spec.parameters[key] for key in INNER if key in spec.parameters}
    return ",".join(f"{key}={value:.9g}" for key, value in values.items())


def summarise(table: pd.DataFrame, reference_method: str | None) -> pd.DataFrame:
    """One row per cell: ``n`` finished runs, their mean test accuracy with its 95 % t-interval, and the difference to
    ``reference_method`` paired by seed (common initial weights, batches and noise directions), with its interval and
    the number of pairs that are ``identical``. It describes: what is decided is in ``comparisons.csv``.
    """
    done = table[table["status"] == "done"]
    accuracies = {cell: runs.set_index("seed")["test_accuracy"] for cell, runs in done.groupby(CELL)}
    none = pd.Series(dtype=float)
    rows: list[Row] = []
    for cell, runs in table.groupby(CELL, sort=False):
        dataset, epsilon, method = cell
        accuracy = accuracies.get(cell, none)
        row: Row = {**dict(zip(CELL, cell, strict=True)), **runs.iloc[0][[*LABELS, "control"]]}
        row |= {"n": len(accuracy)} | {status: int((runs["status"] == status).sum()) for status in UNFINISHED}
        mean, low, high = statistics.t_interval(accuracy.to_numpy(dtype=float))
        row |= {"accuracy_mean": mean, "accuracy_low": low, "accuracy_high": high}
        reference = none if method == reference_method else accuracies.get((dataset, epsilon, reference_method), none)
        compared = statistics.paired_difference((accuracy - reference).dropna())
        row |= {"n_pairs": compared.n}
        row |= {f"difference_{part}": getattr(compared, part) for part in ("mean", "low", "high", "sd")}
        rows.append(row | {"identical": compared.identical})
    return pd.DataFrame(rows)


def weights(study: Study) -> pd.DataFrame:
    """Every private method's weight over the gradient norm, with its sensitivity, which is what the noise is measured
    in: per data set and, where settings differ by it, per ``epsilon``, which is else empty."""
    import torch

    norms = torch.from_numpy(NORMS)
    frames = []
    for dataset, protocol in study.datasets.items():
        for name in study.methods_on(dataset):
            apart = any(name in overrides for overrides in protocol.overrides_by_epsilon.values())
            for epsilon in study.budgets(dataset) if apart else (np.inf,):
                method = study.method(dataset, name, epsilon)
                if method.control:
                    continue
                weight = method.weight(norms).numpy()
                labels: Row = {"dataset": dataset, "epsilon": epsilon if apart else np.nan, "method": name}
                labels |= {"method_title": study.method_title(name)}
                columns = {"norm": NORMS, "weight": weight, "sensitivity": method.sensitivity()}
                frames.append(pd.DataFrame(labels | columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
