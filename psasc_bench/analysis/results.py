"""From the records of a study to tidy tables: what was run, what came out, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psasc_bench import methods, records
from psasc_bench.analysis import statistics
from psasc_bench.files import write_text
from psasc_bench.records import Record
from psasc_bench.study import RunSpec, Study

REFERENCE = "dp-sgd"  # the method that the others are compared with, seed by seed
CELL = ["dataset", "epsilon", "method"]
LABELS = ["dataset_title", "method_title"]
UNFINISHED = ["missing", "running", "stale", "diverged", "failed"]
Row = dict[str, Any]
NORMS = np.logspace(-4, 2, 241)
REMEDY = "delete it and run the workflow again"


def collect(study: Study, runs: Path, output: Path) -> None:
    """Write ``runs.csv``, ``curves.csv``, ``summary.csv``, ``weights.csv``, ``README.md`` and ``study.json`` (the
    configuration as resolved from all files and flags) to ``output``.

    Runs of the study without a current record are listed with their status and enter no mean. Raises ``ValueError`` for
    a damaged record or curve.
    """
    table, curves = read_runs(study, runs)
    summary = summarise(table)
    for name, frame in {"runs": table, "curves": curves, "summary": summary, "weights": weights(study)}.items():
        write_text(output / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    write_text(output / "README.md", report(study, table, summary))
    write_text(output / "study.json", study.model_dump_json(indent=1) + "\n")


def read_runs(study: Study, runs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per run of the study with its ``status`` (see ``status``), and one row per epoch of every ended run."""
    rows, curves = [], []
    for run in records.survey(study, runs):
        spec, cls = run.spec, methods.load(run.spec.method)
        key: Row = {"dataset": spec.dataset, "epsilon": spec.epsilon, "method": spec.method, "seed": spec.seed}
        labels: Row = {"dataset_title": study.dataset(spec.dataset).title, "method_title": cls.title}
        path = runs / f"{spec.name()}.json"
        try:
            columns = _columns(spec, run.record)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: a damaged run record ({error!r}); {REMEDY}") from None
        rows.append(key | labels | {"control": cls.control, "status": run.status} | columns)
        if run.record:
            curves.append(_read_curve(path.with_suffix(".csv")).assign(**key, **labels, status=run.status))
    table = pd.DataFrame(rows)
    _check_one_data_set(table, runs)
    return table, pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


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


def _read_curve(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not the curve of a run ({error}); {REMEDY}") from None


def _columns(spec: RunSpec, found: Record | None) -> Row:
    columns: Row = {"learning_rate": spec.learning_rate, "momentum": spec.momentum, "delta": spec.delta}
    columns["expected_batch_size"] = spec.expected_batch_size
    columns["test_accuracy"] = np.nan
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
        "seconds": found.seconds["total"],
        "seconds_diagnostics": found.seconds.get("diagnostics"),
        "peak_memory_mib": found.provenance["peak_memory_mib"],
        "commit": found.provenance["commit"],
        "data_sha256": found.provenance["data_sha256"],
    }


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: ``n`` finished runs, their mean test accuracy with its 95 % t-interval, and the difference to
    DP-SGD paired by seed (common initial weights, batches and noise directions) with what can be said of it.

    ``difference_p_holm`` is corrected for the family of all contestants, budgets and data sets of the study, on which
    the ``verdict`` rests; controls comparison nothing and have neither.
    """
    done = table[table["status"] == "done"]
    accuracies = {cell: runs.set_index("seed")["test_accuracy"] for cell, runs in done.groupby(CELL)}
    none = pd.Series(dtype=float)
    rows: list[Row] = []
    comparison: dict[int, statistics.PairedDifference] = {}
    for cell, runs in table.groupby(CELL, sort=False):
        dataset, epsilon, method = cell
        accuracy = accuracies.get(cell, none)
        row: Row = {**dict(zip(CELL, cell, strict=True)), **runs.iloc[0][[*LABELS, "control"]]}
        row |= {"n": len(accuracy)} | {status: int((runs["status"] == status).sum()) for status in UNFINISHED}
        mean, low, high = statistics.t_interval(accuracy.to_numpy(dtype=float))
        row |= {"accuracy_mean": mean, "accuracy_low": low, "accuracy_high": high}
        reference = none if method == REFERENCE else accuracies.get((dataset, epsilon, REFERENCE), none)
        compared = statistics.paired_difference((accuracy - reference).dropna())
        row |= _difference(compared) | {"difference_p_holm": np.nan, "verdict": None}
        if method != REFERENCE and not row["control"]:
            comparison[len(rows)] = compared
        rows.append(row)
    corrected = statistics.holm([compared.p for compared in comparison.values()])
    for (i, compared), p_holm in zip(comparison.items(), corrected, strict=True):
        rows[i] |= {"difference_p_holm": float(p_holm), "verdict": compared.verdict(p_holm)}
    return pd.DataFrame(rows)


def _difference(compared: statistics.PairedDifference) -> Row:
    row: Row = {"n_pairs": compared.n}
    row |= {f"difference_{part}": getattr(compared, part) for part in ("mean", "low", "high", "sd")}
    row |= {"effect_size": compared.effect_size}
    for effect in statistics.EFFECTS:
        points = f"{100 * effect:.1f}".replace(".", "_")
        row[f"seeds_for_{points}_points"] = statistics.seeds_needed(effect, compared.sd)
    return row | {"tie_p": compared.tie_p, "difference_p": compared.p}


def weights(study: Study) -> pd.DataFrame:
    """Every private method's weight and contribution ``x w(x)`` over the gradient norm ``x``, per data set, both also
    in units of the sensitivity, which is what the noise is measured in."""
    import torch

    norms = torch.from_numpy(NORMS)
    frames = []
    for dataset in study.datasets:
        for name in study.methods:
            method = study.method(dataset, name)
            if method.control:
                continue
            weight = method.weight(norms).numpy()
            labels = {"dataset": dataset, "method": name, "method_title": method.title}
            columns = {"norm": NORMS, "weight": weight, "sensitivity": method.sensitivity()}
            frames.append(pd.DataFrame(labels | columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def report(study: Study, table: pd.DataFrame, summary: pd.DataFrame) -> str:
    """The tables as Markdown."""
    lines = ["# Results", "", HEADER, ""]
    begun = summary[summary["missing"] < summary[["n", *UNFINISHED]].sum(axis="columns")]
    for dataset, cells in begun.groupby("dataset", sort=False):
        protocol = study.dataset(str(dataset))
        lines += [
            f"## {protocol.title}",
            "",
            f"delta {protocol.delta:g}, expected batch size {protocol.expected_batch_size}, {protocol.epochs} epochs, "
            f"model `{protocol.model}`.{_large_delta(table[table['dataset'] == dataset])}",
            "",
            _table(cells).to_markdown(index=False, disable_numparse=True, colalign=ALIGNMENT),
            "",
        ]
    unfinished = table[table["status"] != "done"]
    if len(unfinished):
        lines += ["## Runs that enter no mean", "", *_unfinished(unfinished, table), ""]
        names = ", ".join(unfinished["dataset"].unique())
        lines += [f"`snakemake --cores 8 --config 'train=[{names}]'` trains what is missing or stale.", ""]
    return "\n".join(lines)


def _unfinished(runs: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    """A line for each data set, epsilon or cell with runs missing, and for each run that ended badly or is stale."""
    missing = runs[runs["status"] == "missing"]
    for dataset, of_dataset in missing.groupby("dataset", sort=False):
        if len(of_dataset) == (table["dataset"] == dataset).sum():
            yield f"* {dataset}: none of its {len(of_dataset)} runs is there"
            continue
        for epsilon, of_epsilon in of_dataset.groupby("epsilon", sort=False):
            if len(of_epsilon) == ((table["dataset"] == dataset) & (table["epsilon"] == epsilon)).sum():
                yield f"* {dataset}, eps-{epsilon:g}: none of its {len(of_epsilon)} runs is there"
                continue
            for method, cell in of_epsilon.groupby("method", sort=False):
                yield f"* {dataset}/{method}/eps-{epsilon:g}: missing: seeds {', '.join(map(str, cell['seed']))}"
    for _, run in runs.drop(missing.index).iterrows():
        why = f" ({run['reason']})" if isinstance(run.get("reason"), str) else ""
        yield f"* {run['dataset']}/{run['method']}/eps-{run['epsilon']:g}/seed-{run['seed']}: {run['status']}{why}"


def _large_delta(runs: pd.DataFrame) -> str:
    if "sampling_rate" not in runs:
        return ""
    examples = (runs["expected_batch_size"] / runs["sampling_rate"]).max()
    if not runs["delta"].max() * examples >= 1:
        return ""
    return f" **Delta is not below 1/{examples:.0f}, one over the number of training examples: that is no privacy.**"


HEADER = """\
Test accuracy in percent of the last iterate: mean of n seeds with its 95 % t-interval, and the difference to DP-SGD in
percentage points, paired by seed, with its own 95 % t-interval. Intervals are not corrected for the number of
comparisons; p, of the paired t-test, is Holm-corrected over all contestants, budgets and data sets of the study. Better
and worse are said at p < .05; a tie is shown where two one-sided t-tests, uncorrected, put the difference within 0.2
points at p < .05; anything else is inconclusive, which is not a tie. Epsilon is for adding or removing one example;
choosing the hyper-parameters is not accounted for. DP-PSASC is our reading of the paper. The same numbers are in
`summary.csv`, unrounded, and how many seeds it takes to see 0.1, 0.3 or 0.5 points; one row per run is in `runs.csv`,
one per epoch in `curves.csv`. What they say of the paper's claims is in `claims.md`. The workflow writes this file."""
ALIGNMENT = ("right", "left", "right", "right", "right", "right", "left")


def p_text(p: float) -> str:
    """A p-value as it is printed."""
    return "-" if np.isnan(p) else "<.001" if p < 0.001 else f"{p:.3f}"


def _table(cells: pd.DataFrame) -> pd.DataFrame:
    def percent(row: pd.Series[Any], name: str, sign: str = "") -> str:
        mean, low, high = (100 * row[f"{name}_{part}"] for part in ("mean", "low", "high"))
        if np.isnan(mean):
            return "-"
        return f"{mean:{sign}.2f}" if np.isnan(low) else f"{mean:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"

    return pd.DataFrame(
        {
            "epsilon": [f"{epsilon:g}" for epsilon in cells["epsilon"]],
            "method": cells["method_title"],
            "n": cells["n"].astype(str),
            "accuracy": [percent(row, "accuracy") for _, row in cells.iterrows()],
            "difference to DP-SGD": [percent(row, "difference", "+") for _, row in cells.iterrows()],
            "p (Holm)": [p_text(p) for p in cells["difference_p_holm"]],
            "verdict": cells["verdict"].fillna("-"),
        }
    ).sort_values("epsilon", kind="stable", key=lambda column: column.astype(float))
