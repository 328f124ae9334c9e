"""The Markdown table of docs/performance.md from the files that step_cost.py wrote.

python benchmarks/step_table.py digits.json mnist.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def cell(row: dict[str, Any]) -> str:
    if row["status"] != "done":
        return "" if row["status"] == "does not apply" else row["status"].split(":")[0]
    low, high = row["ratio_quartiles"]
    layout = ", nhwc" if row["layout"] == "channels-last" else ""
    return f"{row['ratio']:.2f} ({low:.2f} to {high:.2f}) @{row['micro_batch']}{layout}"


def table(files: list[dict[str, Any]]) -> str:
    contestants = list(dict.fromkeys(row["contestant"] for file in files for row in file["rows"]))
    cells = [{row["contestant"]: cell(row) for row in file["rows"]} for file in files]
    head = ["", *(f"{file['model']}, {file['batch']}" for file in files)]
    rows = [[name, *(column.get(name, "") for column in cells)] for name in contestants]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    print(table([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]))
