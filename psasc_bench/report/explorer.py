"""One page to explore a study with: figures and tables with filters, in a file that needs nothing but a browser."""

from __future__ import annotations

import colorsys
import html
import json
import math
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vl_convert
from matplotlib.colors import to_hex, to_rgb

from psasc_bench.analysis import CONFIDENCE, IDENTITIES, LABELS
from psasc_bench.files import write_text
from psasc_bench.report import charts
from psasc_bench.report.style import Look
from psasc_bench.report.tables import Tables

DIGITS = 5  # significant ones: a page twice as large would show nothing more
READABLE = 3.0  # the contrast that WCAG 2 asks of lines and markers
DARK = "#16181d"  # the page's background in dark mode
RECORD = ["seed", "status", "test_accuracy", "test_loss", "learning_rate", "momentum", "noise_multiplier"]
RECORD += ["epsilon_rdp", "epsilon_pld", "delta", "steps_taken", "seconds", "peak_memory_mib", "commit"]
LISTED = {
    "summary": "Mean of each data set, budget and method",
    "claims": "Claims",
    "runs": "Runs",
    "sweeps": "Sweeps over settings",
    "audit": "Audits",
    "cost": "Cost of a step",
}


@dataclass(frozen=True)
class Figure:
    """A chart of the rows of ``table``: one panel per value of the column ``by``, showing one of the columns
    ``metrics`` (here with their titles), which the Vega-Lite specification ``spec`` knows as ``value``."""

    name: str
    title: str
    caption: str
    table: str
    metrics: dict[str, str]
    spec: dict[str, Any]
    by: str | None = None
    by_title: str = ""


def write_explorer(results: Path, output: Path) -> None:
    """Write the page to ``output``, from the tidy tables in ``results``; of those, only ``audit``, ``claims``,
    ``sweeps``, ``cost`` and ``deviation`` may be absent. Raises ``OSError`` for an absent table.
    """
    tables = Tables(results)
    offered = tables.summary if tables.finished.empty else tables.finished
    looks = {method: look for method, look in tables.looks.items() if method in set(offered["method"])}
    frames = _frames(tables)
    configuration = results / "study.json"
    page = {
        "datasets": {name: tables.titles[name] for name in offered["dataset"].unique()},
        "methods": [_entry(name, looks, tables) for name in looks],
        "epsilons": [_number(epsilon) for epsilon in sorted(offered["epsilon"].unique())],
        "seeds": sorted(int(seed) for seed in frames["runs"]["seed"].unique()),
        "figures": [asdict(figure) for figure in _figures(frames, looks, tables)],
        "listed": {name: title for name, title in LISTED.items() if name in frames},
        "tables": {name: _packed(frame) for name, frame in frames.items()},
        "configuration": configuration.read_text(encoding="utf-8") if configuration.exists() else "",
    }
    template = resources.files("psasc_bench.report").joinpath("explorer.html").read_text(encoding="utf-8")
    parts = {
        "/* colours */": _colors(looks),
        "/* vega */": _vega(),
        # It may hold anything but a "<", which could end the element that it stands in.
        "/* page */": json.dumps(page, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c"),
        "<!-- reading -->": _reading(tables.reading()),
    }
    for marker, part in parts.items():
        template = template.replace(marker, part, 1)
    write_text(output, template)


def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed, as text that can stand in a script element."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", vl_version=charts.VEGA_LITE)
    return bundle.replace("</script", "<\\/script")


def _reading(title: str) -> str:
    return f" {html.escape(title)} is our\n    reading of the paper." if title else ""


def _frames(tables: Tables) -> dict[str, pd.DataFrame]:
    """What the page holds, by table."""
    runs = tables.read("runs").sort_values("epsilon", kind="stable")
    key = ["dataset", "epsilon", "seed"]
    done, reference = runs[runs["status"] == "done"], tables.roles.reference
    baseline = done.loc[done["method"] == reference, [*key, "test_accuracy"]].rename(columns={"test_accuracy": "base"})
    percent = 100 * runs["test_accuracy"].where(runs["status"] == "done")
    base = 100 * runs[key].merge(baseline, on=key, how="left")["base"].to_numpy()
    difference = np.where(runs["method"] == reference, np.nan, percent - base)
    curves, weights = tables.curves, tables.weights
    frames = {
        "summary": tables.summary.sort_values("epsilon", kind="stable"),
        "runs": runs.assign(accuracy_percent=percent, difference_points=difference),
        "curves": curves.drop(columns=["status", *LABELS], errors="ignore"),
        "weights": weights,
    }
    if len(weights):
        frames["weights"] = weights.assign(
            relative_weight=weights["weight"] / weights["sensitivity"],
            relative_contribution=weights["norm"] * weights["weight"] / weights["sensitivity"],
        )
    if "test_accuracy" in curves:
        frames["curves"] = frames["curves"].assign(accuracy_percent=100 * curves["test_accuracy"])
    for name in ("audit", "claims", "cost"):
        if (tables.folder / f"{name}.csv").exists() and len(frame := tables.read(name)):
            frames[name] = frame
    for name in ("sweeps", "deviation"):
        if len(frame := tables.requested(name, any_epsilon=True)):
            frames[name] = frame.drop(columns=list(IDENTITIES), errors="ignore")
    if "audit" in frames:
        schedule = [f"q = {q:g}, {n:g} steps" for q, n in frames["audit"][["sampling_rate", "steps"]].to_numpy()]
        frames["audit"] = frames["audit"].assign(schedule=schedule)
    return frames


def _figures(frames: dict[str, pd.DataFrame], looks: dict[str, Look], tables: Tables) -> list[Figure]:
    interval = f"Mean and {100 * CONFIDENCE:g} % t-interval over the seeds that are chosen."
    theme = charts.Theme(looks, most=int(tables.summary["n"].max()))
    metrics = {"accuracy_percent": "Test accuracy (%)", "test_loss": "Test loss (nats)", "seconds": "Seconds"}
    if frames["runs"]["difference_points"].notna().any():
        difference = f"Difference to {tables.reference_title()}, paired by seed (percentage points)"
        metrics |= {"difference_points": difference}
    record = [column for column in RECORD if column in frames["runs"]]
    caption = f"{interval} Small: the runs; point at one for its record."
    figures = [Figure("budget", "By privacy budget", caption, "runs", metrics, theme.by_budget(record))]
    by_epoch = {"by": "epsilon", "by_title": "ε"}
    if len(frames["curves"]):
        metrics = {"accuracy_percent": "Test accuracy (%)", "test_loss": "Test loss (nats)"}
        metrics |= _nonprivate(frames["curves"])
        figures.append(Figure("epoch", "By epoch", interval, "curves", metrics, theme.by_epoch(), **by_epoch))
    if "deviation" in frames:
        metrics = {"cosine": "Cosine", "relative_error": "Relative error", "below_peak": "Share below the peak"}
        caption = f"Scaled against true mean gradient, along one trajectory for all methods; not private. {interval}"
        spec = theme.by_epoch()
        figures.append(Figure("deviation", "Deviation", caption, "deviation", metrics, spec, **by_epoch))
    if len(frames["weights"]):
        metrics = {"relative_weight": "Weight w(x)/Δ", "relative_contribution": "Contribution x w(x)/Δ"}
        caption = "Against the gradient norm x of an example. Δ is the sensitivity, which the noise is proportional to."
        figures.append(Figure("weights", "Weight functions", caption, "weights", metrics, theme.by_norm()))
    if "audit" in frames:
        metrics = {"epsilon_lower": "Lower bound on ε that an attack proves"}
        caption = "A tick is the claim; a point above it would refute it. Of all data sets, for the step is the same."
        figures.append(Figure("audit", "Audit", caption, "audit", metrics, theme.audit(), by="schedule"))
    return figures


def _nonprivate(curves: pd.DataFrame) -> dict[str, str]:
    """Titles of the diagnostics that there are."""
    found = [str(column) for column in curves if str(column).startswith("nonprivate_") and curves[column].notna().any()]
    named = {column: column.removeprefix("nonprivate_").replace("_", " ") for column in found}
    return {column: f"{name[0].upper()}{name[1:]} (not private)" for column, name in named.items()}


def _entry(name: str, looks: dict[str, Look], tables: Tables) -> dict[str, Any]:
    """A control is shown on request, unless there is nothing else."""
    dashes = " ".join(f"{2 * part:g}" for part in looks[name].dashes if part is not None)
    control = name in tables.controls and not looks.keys() <= tables.controls
    return {"name": name, "title": tables.method_titles[name], "dashes": dashes, "control": control}


def _colors(looks: dict[str, Look]) -> str:
    """The methods' colours as custom properties: those of the figures, and in dark mode what is as readable there."""
    light = "".join(f"--method-{i}: {look.color};" for i, look in enumerate(looks.values()))
    dark = "".join(f"--method-{i}: {on_dark(look.color)};" for i, look in enumerate(looks.values()))
    return f":root {{{light}}} @media (prefers-color-scheme: dark) {{:root {{{dark}}}}}"


def on_dark(color: str) -> str:
    """``color``, or where it would be hard to see on the dark page, the same hue as light as it was dark."""
    if contrast(color, DARK) >= READABLE:
        return color
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(color))
    return to_hex(colorsys.hls_to_rgb(hue, 1 - lightness, saturation))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2, relative luminance)."""

    def luminance(color: str) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def _packed(frame: pd.DataFrame) -> dict[str, Any]:
    """Columns and rows, rounded to ``DIGITS``."""
    return {
        "columns": list(frame),
        "rows": [[_number(value) for value in row] for row in frame.itertuples(index=False)],
    }


def _number(value: Any) -> Any:
    """As JSON knows it: nothing for what is not there, and infinities as text."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        rounded = float(f"{value:.{DIGITS}g}")
        return str(rounded) if math.isinf(rounded) else int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, np.integer):
        return int(value)
    return None if pd.isna(value) else value
