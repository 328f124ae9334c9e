"""How much the settings matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from psasc_bench.analysis import NEAR, accuracies, shares_near_best
from psasc_bench.report import by_method, layout
from psasc_bench.report.tables import Tables, unfinished

COLOURS = "viridis"  # the lighter, the more accurate, in grey print too
ABREAST, NARROW = 6, 14  # of many methods: so many, under titles in lines of so many characters
TIMES = "\N{MULTIPLICATION SIGN}"
SYMBOLS = {"gamma": "$\\gamma$", "r": "$r$", "s": "$s$", "C": "$C$"}


def draw(tables: Tables) -> Figure:
    """Accuracy on held-out examples over the length of the step and the shape of the weight: a row per data set and
    budget of a sweep, a column per method; many methods in blocks, each with its own steps."""
    tuning = _tuning(tables)
    if tuning.empty:
        others = tables.left_out("sweeps", "tuning")
        return layout.blank("no sweep has finished a trial on held-out examples", others)
    methods = [method for method in tables.methods if method in set(tuning["method"])]
    grids = [grid for _, grid in tuning.groupby(["sweep", "dataset", "epsilon"], sort=False)]
    apart = by_method.many(methods)
    abreast = ABREAST if apart else len(methods)
    figure, columns = layout.panels(len(methods), len(grids), abreast=abreast, height=1.35)
    rows = list(zip(*columns, strict=True))
    names = list(tuning["dataset"].unique())
    # blocks of methods have all data sets, and so has their scale
    scaled = [names] if apart else [[name] for name in names]
    for datasets in scaled:
        own = [(grid, row) for grid, row in zip(grids, rows, strict=True) if grid["dataset"].iloc[0] in datasets]
        scale = _draw_alike(own, methods, tables)
        if not apart:  # else there is no room for it, and each cell has its number
            panels = [axes for _, row in own for axes in row]
            bar = figure.colorbar(ScalarMappable(scale, COLOURS), ax=panels, pad=0.01, fraction=0.15, aspect=20)
            bar.set_label("Held-out accuracy (%)")
            bar.outline.set_visible(False)
    notes = [
        "Mean accuracy (%) over seeds on held-out examples, a frame around each best. Blank: not tried;",
        f"{TIMES}: a seed has no result. Titles: share of the settings within {100 * NEAR:g} point of the best.",
        "Δ: the sensitivity; times the learning rate, it is the longest step that an example can make.",
        *tables.left_out("sweeps", "tuning"),
        *unfinished(tuning["status"].value_counts()),
    ]
    layout.annotate(figure, [], notes)
    return figure


def _tuning(tables: Tables) -> pd.DataFrame:
    """The runs that were evaluated on held-out examples, of data sets with a trial that all seeds have finished; with
    ``step``, their learning rate times the sensitivity. What was drawn at random is left out: it forms no grid."""
    sweeps = tables.requested("sweeps", "tuning")
    if sweeps.empty:
        return sweeps
    tuning = sweeps[(sweeps["evaluation"] == "validation") & sweeps["method"].isin(tables.methods)]
    tuning = tuning[~tuning["drawn"]] if "drawn" in tuning else tuning
    trials = [tuning[key] for key in ("dataset", "sweep", "epsilon", "method", "settings")]
    finished = (tuning["status"] == "done").groupby(trials).transform("all")
    step = (tuning["learning_rate"] * tuning["sensitivity"]).round(9)
    found = accuracies(tuning, "accuracy").assign(step=step)
    return found[found["dataset"].isin(tuning.loc[finished, "dataset"])]


def _draw_alike(grids: Sequence[tuple[pd.DataFrame, Sequence[Axes]]], methods: list[str], tables: Tables) -> Normalize:
    """Draw the grids of a data set, each in its row, on one scale of colours, which is returned."""
    maps = {
        axes: _means(grid[grid["method"] == method])
        for grid, row in grids
        for method, axes in zip(methods, row, strict=True)
        if method in set(grid["method"])
    }
    apart = by_method.many(methods)
    steps = sorted({step for means in maps.values() for step in means.index})
    values = np.concatenate([means.to_numpy().ravel() for means in maps.values()])
    values = values[np.isfinite(values)]
    scale = Normalize(values.min(), values.max())
    for grid, row in grids:
        shares = shares_near_best(grid).groupby("method")["value"].mean()
        for method, axes in zip(methods, row, strict=True):
            share = [f"{100 * shares[method]:.0f} %"] if method in shares else []
            said = [tables.method_titles[method], *share]
            # beside blocks' own steps a panel is narrower than its place
            lines = [*layout.wrapped(said[0], NARROW).splitlines(), *share] if apart else [": ".join(said)]
            layout.heading(axes, *lines)
            if axes in maps:
                _map(axes, maps[axes] if apart else maps[axes].reindex(steps), scale)
            else:
                axes.set_axis_off()
            first = bool((place := axes.get_subplotspec()) and place.is_first_col())
            axes.tick_params(length=0, labelleft=first or apart)
            if first:
                title = tables.title(grid["dataset"].iloc[0], grid["epsilon"].iloc[0])
                axes.set_ylabel(f"{title}\nlearning rate {TIMES} Δ", parse_math=False)
    return scale


def _means(grid: pd.DataFrame) -> pd.DataFrame:
    """Of one method's trials, in percent, over seeds: a row per step, a column per shape, which is what else they
    differ in. NaN where there is no such trial, -inf where some seed has no result."""
    settings = [dict(pair.split("=") for pair in name.split(",")) for name in grid["settings"]]
    shapes = pd.DataFrame(settings, grid.index).drop(columns="learning_rate", errors="ignore").astype(float)
    shapes = shapes.loc[:, shapes.nunique(dropna=False) > 1]
    if shapes.empty:
        shapes = shapes.assign(**{"": 0.0})
    trials = (100 * grid["value"]).groupby([grid["step"], *(shapes[key] for key in shapes)], dropna=False)
    found = trials.agg(lambda values: values.mean(skipna=False)).fillna(-np.inf)
    means: pd.DataFrame = found.unstack(list(shapes))
    return means


def _map(axes: Axes, means: pd.DataFrame, scale: Normalize) -> None:
    values = means.to_numpy()
    axes.imshow(np.where(np.isfinite(values), values, np.nan), cmap=COLOURS, norm=scale, aspect="auto", origin="lower")
    for (i, j), mean in np.ndenumerate(values):
        if not np.isnan(mean):
            ink = "white" if np.isfinite(mean) and scale(mean) < 0.5 else "black"
            text = f"{mean:.1f}" if np.isfinite(mean) else TIMES
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=ink)
    if np.isfinite(values).any():
        i, j = np.unravel_index(np.nanargmax(values), values.shape)
        axes.add_patch(Rectangle((float(j) - 0.5, float(i) - 0.5), 1, 1, fill=False, edgecolor="black", clip_on=False))
    labels = [name if isinstance(name, tuple) else (name,) for name in means.columns]
    if any(means.columns.names):  # they differ in more than the step
        axes.set_xticks(range(len(labels)), [", ".join(f"{value:g}" for value in label) for label in labels])
    else:
        axes.set_xticks([])
    axes.set_yticks(range(len(means)), [f"{step:g}" for step in means.index])
    axes.set_xlabel(", ".join(SYMBOLS.get(str(name), str(name)) for name in means.columns.names))
    axes.spines[:].set_visible(False)
