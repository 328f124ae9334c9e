"""The table of claims: a block for each, with the comparisons that decide it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from psasc_bench.analysis import claims_about
from psasc_bench.report.formats import DASH, Block, Table
from psasc_bench.report.sentences import POINTS, number
from psasc_bench.report.tables import Tables, epsilon_text

WORDS = {"sign": "sign", "within": f"within ±{POINTS}", "gain_excluded": f"gain of {POINTS} excluded"}
UNRESOLVED = {"unresolved": "?"}
CAPTION = (
    "The claims{whose}, by differences that are paired by seed, positive in favour of the claim: mean with its 95 % "
    "interval, its sign, whether it is within ±{points}, and whether a gain of {points} is excluded; ? is unresolved."
    "{reading}{untested}"
)


def claims(tables: Tables) -> Table:
    """What became of the paper's claims; comparisons in measures that decide nothing are among the rows alone."""
    rows = tables.read("claims")
    told = rows[rows[["estimate", "low", "sign"]].notna().any(axis="columns")]
    statements = {name: claim.statement for name, claim in claims_about(tables.roles, tables.method_titles).items()}
    blocks = tuple(
        _block(str(name), statements[str(name)], number, of_measure, tables)
        for name, of_claim in told.groupby("claim", sort=False)
        for number, (_, of_measure) in enumerate(_deciding(of_claim).groupby("measure", sort=False))
    )
    untested = [name for name in rows["claim"].unique() if name not in set(told["claim"])]
    ours = tables.reading(tested=True)
    caption = CAPTION.format(
        whose=" of the paper's abstract" if ours else "",
        points=POINTS,
        reading=f" {ours} is our reading of the paper." if ours else "",
        untested=f" Not tested: {', '.join(untested)}." if untested else "",
    )
    return Table(rows, caption, blocks)


def _deciding(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the comparisons of a claim those in a measure that decides it, or all where none does."""
    measures = set(rows.loc[rows["primary"].astype(bool), "measure"])
    return rows[rows["measure"].isin(measures)] if measures else rows


def _block(name: str, statement: str, number: int, rows: pd.DataFrame, tables: Tables) -> Block:
    """The comparisons in one measure; what all have in common stands above them."""
    about = pd.DataFrame(
        {
            "data set": _titles(rows["dataset"], tables.titles, "any"),
            "ε": [text if isinstance(text, str) else epsilon_text(text) for text in rows["epsilon"].fillna("any")],
            "method": _titles(rows["method"], tables.method_titles, DASH),
            "against": _titles(rows["reference"], tables.method_titles, DASH),
            "measure": rows["measure"].fillna(DASH),
            "unit": rows["unit"].fillna(DASH),
        }
    )
    common = [column for column in about if about[column].nunique() == 1 and column != "data set"]
    said = [f"{column}: {about[column].iloc[0]}" for column in common if about[column].iloc[0] != DASH]
    shown = pd.DataFrame(index=pd.MultiIndex.from_frame(about.drop(columns=common))).assign(
        difference=[_estimate(row) for _, row in rows.iterrows()],
        **{
            title: rows[word].replace(UNRESOLVED).fillna(DASH).to_numpy()
            for word, title in WORDS.items()
            if rows[word].notna().any()
        },
    )
    notes = (f"Throughout, {'; '.join(said)}.",) if said else ()
    return Block(shown, f"{name}-{number}" if number else name, f"{name}: {statement}", notes)


def _estimate(row: pd.Series[float]) -> str:
    if pd.isna(row["estimate"]):  # of C6, what an attack proves of what is claimed
        return DASH if pd.isna(row["low"]) else f"{row['low']:.2f} of {row['high']:.2f}"
    return number(row)


def _titles(names: pd.Series[str], titles: Mapping[str, str], otherwise: str) -> list[str]:
    return [titles.get(name, name) if isinstance(name, str) else otherwise for name in names]
