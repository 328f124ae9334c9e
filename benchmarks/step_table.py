"""The Markdown tables of docs/performance.md from those that step_cost.py and epoch_cost.py wrote.

python benchmarks/step_table.py results/cost.csv
python benchmarks/step_table.py results/epoch_cost.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd


def cell(row: pd.Series) -> str:
    if row["status"] != "done":
        return "" if row["status"] == "does not apply" else row["status"].split(":")[0]
    layout = ", nhwc" if row["layout"] == "channels-last" else ""
    ratio = f"{row['median']:.2f} ({row['q25']:.2f} to {row['q75']:.2f})"
    if "peak_mib" in row:
        return f"{ratio}, {row['peak_mib']:.0f} MiB{layout}"
    return f"{ratio} @{row['micro_batch']:.0f}{layout}"


def table(costs: pd.DataFrame) -> str:
    columns = costs["model"] + ", " + costs["batch"].astype(str)
    cells = costs.assign(column=columns, cell=costs.apply(cell, axis="columns"))
    wide = cells.pivot(index="contestant", columns="column", values="cell").fillna("")
    return wide.loc[costs["contestant"].unique(), columns.unique()].rename_axis(None).to_markdown(tablefmt="github")


if __name__ == "__main__":
    print(table(pd.read_csv(Path(sys.argv[1]))))
