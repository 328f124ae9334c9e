"""The tidy tables, read back: text as it was written, and of tables made on request what is of the study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psasc_bench.study import Roles, Study, default_roles_of, known_identities, load_study, varied_settings

TEXT = (
    *("claim", "dataset", "dataset_title", "method", "method_title", "reference", "trajectory", "sweep", "settings"),
    *("reference_title", "measure", "budgets", "sign", "within", "gain_excluded"),
    *("unit", "evidence", "figure", "status", "reason", "run", "problem"),
    *("implementation", "model", "accountant"),
    *("identity", "trajectory_identity", "data_sha256", "commit", "device", "cpu", "torch", "ended"),
)
# The columns of tables made on request that say what a row is of, see ``study.identity``.
IDENTITIES = ("identity", "trajectory_identity")
REQUESTED = ("deviation", "sweeps", "sweep_curves", "tuning")


def read_table(path: Path) -> pd.DataFrame:
    """A tidy table; one without a row is empty. Names and titles are text, whatever they look like, as are the budgets
    of a claim: only what is empty is missing. Raises ``OSError`` for an absent file, ``ValueError`` for one that is no
    table."""
    text = (*TEXT, "epsilon") if path.stem == "claims" else TEXT
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except ValueError as error:
        raise ValueError(f"{path}: not a table ({str(error).strip()}); make it anew") from None


def read_study(results: Path) -> Study | None:
    """The study whose tables are in ``results``, as it was when they were gathered; None if it is not there."""
    path = results / "study.json"
    return load_study(path) if path.exists() else None


def default_roles(runs: pd.DataFrame) -> Roles:
    """The roles that methods have where no study says so, from a table with ``method`` and ``control``."""
    return default_roles_of([str(name) for name in runs.loc[~runs["control"].astype(bool), "method"].unique()])


def of_the_study(table: pd.DataFrame, study: Study, *, any_epsilon: bool = False) -> pd.DataFrame:
    """The rows of a table made on request whose data, protocol, method, settings and, unless ``any_epsilon`` will do,
    epsilon are those of ``study``, but for the settings that a trial varies; none of a table that does not say what its
    rows are of."""
    columns = [column for column in IDENTITIES if column in table]
    if not columns or not (any_epsilon or "epsilon" in table):
        return table.head(0)
    trials = table["settings"] if "settings" in table else pd.Series("", index=table.index)
    varied = {trial: varied_settings(trial) for trial in trials.unique()}  # hundreds of trials vary the same few
    alike = {names: known_identities(study, varied=names) for names in set(varied.values())}
    if any_epsilon:
        alike = {names: {(identity, 0.0) for identity, _ in identities} for names, identities in alike.items()}
    known = {trial: alike[names] for trial, names in varied.items()}
    epsilons = pd.Series(0.0, index=table.index) if any_epsilon else table["epsilon"]
    kept = pd.Series(True, index=table.index)
    for column in columns:
        rows = zip(table[column], epsilons, trials, strict=True)
        kept &= pd.Series([(identity, epsilon) in known[trial] for identity, epsilon, trial in rows], index=table.index)
    return table[kept].reset_index(drop=True)
