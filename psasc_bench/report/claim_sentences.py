"""What became of each claim, in two or three sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from psasc_bench.analysis import shares_near_best, small_gradient_shares
from psasc_bench.report.formats import escape_markdown, with_minus_signs
from psasc_bench.report.protocol import listed
from psasc_bench.report.sentences import counted, number, shares, signs_and_size, title_of
from psasc_bench.report.tables import Tables

MANY = 8  # comparisons, of which a sentence names no more


def claim_sentences(name: str, rows: pd.DataFrame, tables: Tables) -> str:
    """Of the ``rows`` of a claim in claims.csv; where these say only what to run, that."""
    primary = rows[rows["primary"] & rows["sign"].notna()]
    said = list(SENTENCES[name](primary, tables)) if len(primary) else []
    said += list(_undecided(rows, tables)) if name in ("C1", "C2") else []
    if not said:
        evidence = with_minus_signs(rows["evidence"].iloc[0])
        return f"{'Not decided' if rows['n'].any() else 'Not tested'}: {evidence}."
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in said)


def _higher_accuracy(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    for method, of_method in rows.groupby("method", sort=False):
        yield f"{_title(method, tables)} is {signs_and_size(of_method, tables)}"


def _beats_earlier_scaling(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    rows = rows[rows["method"] == tables.roles.method]
    if len(rows):
        yield f"{_title(tables.roles.method, tables)} is {counted(rows)}"
    for sign in ("higher", "lower"):
        of_sign = rows[rows["sign"] == sign]
        where = [
            f"than {_title(row['reference'], tables)} on {title_of(row, tables)} ({number(row)})"
            for _, row in of_sign.iterrows()
        ]
        if where:
            yield f"it is {sign} {listed(where)}"


def _weighs_small_gradients(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    measured = tables.requested("deviation")
    if len(measured) and "quarter_weight" in measured:
        found = small_gradient_shares(measured)
        for dataset, of_one in found.groupby("dataset", sort=False):
            means = of_one.groupby("method")["value"].mean()
            shown = [name for name in tables.methods if name in means.index and name != tables.roles.momentum]
            weights = shares([(tables.method_titles[name], float(means[name])) for name in shown])
            where = f"on {title_of({'dataset': dataset}, tables)}"
            if dataset == found["dataset"].iloc[0]:
                where = (
                    "late in training, the quarter of the examples with the smallest gradients has this share of the "
                    f"weight {where} (an equal one is 25 %)"
                )
            yield f"{where}: {weights}"
    for measure, words in [
        ("cosine of what is released", "the expected cosine between what a step releases and the true gradient"),
        ("effective sample size", "the effective sample size"),
    ]:
        of_measure = rows[rows["measure"] == measure]
        if len(of_measure):
            yield f"{words} is {_against(of_measure, tables)}"


def _needs_no_tuning(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    tried = tables.requested("sweeps")
    tried = tried[tried["evaluation"] == "validation"] if len(tried) else tried
    compared = [name for name in (tables.roles.method, tables.roles.reference, *tables.roles.earlier) if name]
    if len(tried):
        means = shares_near_best(tried).groupby("method")["value"].mean()
        shown = [(tables.method_titles[name], float(means[name])) for name in compared if name in means.index]
        where = listed([escape_markdown(title) for title in tried["dataset_title"].unique()])
        yield f"this share of the settings tried on {where} is within a point of the method's own best: {shares(shown)}"
    yield f"the share is {_against(rows, tables)}"


def _speeds_convergence(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    whole = rows[rows["measure"] == "accuracy over the curve"]
    inner = whole[whole["reference"] == tables.roles.method]
    if len(inner):
        yield (
            "with inner momentum, the test accuracy averaged over the curve is, compared with the same without, "
            f"{signs_and_size(inner, tables)}"
        )
    early = rows[rows["measure"] == "accuracy over the curve, first quarter"]
    ahead, behind = early[early["sign"] == "higher"], early[early["sign"] == "lower"]
    tested, reference = (_title(name, tables) for name in (tables.roles.method, tables.roles.reference))
    if len(ahead):
        crossing = [
            f"{title_of(row, tables)} ({number(row)}, {row['evidence'].rsplit('; ', 1)[-1]})"
            for _, row in ahead.iterrows()
        ]
        yield (
            f"the weight by itself converges sooner: over the first quarter of training {tested} leads {reference} on "
            f"{listed(crossing)}"
        )
    elif len(early):
        where = (
            f" and is behind on {listed([title_of(row, tables) for _, row in behind.iterrows()])}"
            if len(behind)
            else ""
        )
        yield f"over the first quarter of training {tested} by itself leads {reference} on no data set{where}"
    of_weight = whole[whole["method"] == tables.roles.method]
    if len(of_weight):
        yield f"over the whole curve it is {signs_and_size(of_weight, tables)}"


def _preserves_privacy(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    attacked = rows[rows["low"].notna()]
    refuted = rows[rows["sign"] == "refuted"]
    if len(refuted):
        where = [f"{_title(row['method'], tables)} at epsilon {row['epsilon']}" for _, row in refuted.iterrows()]
        yield f"refuted for {listed(where)}"
    elif len(attacked):
        nearest = attacked.assign(share=attacked["low"] / attacked["high"]).nlargest(1, "share").iloc[0]
        yield (
            f"not refuted: the nearest attack proves epsilon {nearest['low']:.2f} of the {nearest['high']:.2f} that "
            "the steps it attacks cost, and every run's ledger holds; that is no proof"
        )


SENTENCES: Mapping[str, Callable[[pd.DataFrame, Tables], Iterator[str]]] = {
    "C1": _higher_accuracy,
    "C2": _beats_earlier_scaling,
    "C3": _weighs_small_gradients,
    "C4": _needs_no_tuning,
    "C5": _speeds_convergence,
    "C6": _preserves_privacy,
}


def _against(rows: pd.DataFrame, tables: Tables) -> str:
    """``higher than A and B and lower than C``, of primary ``rows`` of one method and measure; with the data sets where
    there are several, and counted where there are many, or several of one pair."""
    if len(rows) > MANY or rows.duplicated(["dataset", "reference"]).any():
        return counted(rows)
    several = rows["dataset"].nunique() > 1
    parts = []
    for sign, word in (("higher", "higher than"), ("lower", "lower than"), ("unresolved", "unresolved against")):
        of_sign = rows[rows["sign"] == sign]
        where = [f" on {title_of(row, tables)}" if several else "" for _, row in of_sign.iterrows()]
        names = [_title(name, tables) for name in of_sign["reference"]]
        if names:
            parts.append(f"{word} {listed([name + place for name, place in zip(names, where, strict=True)])}")
    if same := int((rows["sign"] == "identical").sum()):
        parts.append(f"identical in {same} of {len(rows)} comparisons")
    return listed(parts)


def _undecided(rows: pd.DataFrame, tables: Tables) -> Iterator[str]:
    """The numbers of data sets that decide nothing."""
    shown = rows[~rows["primary"] & rows["estimate"].notna() & (rows["method"] == tables.roles.method)]
    for dataset, of_one in shown.groupby("dataset", sort=False):
        numbers = [f"{number(row)} to {_title(row['reference'], tables)}" for _, row in of_one.iterrows()]
        where = title_of({"dataset": dataset}, tables)
        yield f"on {where}, where nothing is decided, the difference is {listed(numbers)}"


def _title(name: object, tables: Tables) -> str:
    return escape_markdown(tables.method_titles.get(str(name), str(name)))
