"""What figures there are, what each shows, and which tables it is drawn from: light, for the workflow reads it, too.

``FIGURES`` describes them; each is drawn by ``draw`` of the module here that is called like it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from psasc_bench.study import Study

# The tables that are made on request, and by what.
REQUESTED = {
    "cost": "python benchmarks/step_cost.py --model mnist --batch 256 --output results/cost.csv",
    "deviation": "snakemake --cores 8 results/deviation.csv",
    "sweeps": "snakemake --cores 8 sweeps",
    "tuning": "snakemake --cores 8 tune",
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A figure is drawn from the study's ``tables``. What it ``needs`` besides is one of these tables made on request,
    the first that there is; what it ``shows`` besides is as much as there is. The ``caption`` may speak of the study's
    ``{reference}``; that of a study ``without`` one is another."""

    caption: str
    without: str = ""
    tables: tuple[str, ...]
    needs: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()

    def lacks(self, results: Path) -> str:
        """In words, what has to be made before the figure can be drawn; empty if nothing."""
        if not self.needs or any((results / f"{table}.csv").exists() for table in self.needs):
            return ""
        first = self.needs[0]
        return f"needs {results / first}.csv, which `{REQUESTED[first]}` makes"


FIGURES = {
    "forest": Plan(
        caption="Difference in final test accuracy of the method under test to {reference}, paired by seed: on each "
        "data set the mean over its budgets, its 90 % and 95 % interval, and what it decides; then the random-effects "
        "mean over data sets, and the 95 % prediction interval for another one. Shaded: within ±0.2 points.",
        without="There are no differences: the study has no method to compare others with.",
        tables=("summary", "comparisons", "answer"),
    ),
    "accuracy": Plan(
        caption="Final test accuracy against epsilon, and below it the difference to {reference}, paired by seed: "
        "means and 95 % t-intervals over the seeds.",
        without="Final test accuracy against epsilon: means and 95 % t-intervals over the seeds.",
        tables=("runs", "summary"),
    ),
    "differences": Plan(
        caption="Difference in final test accuracy to {reference}, paired by seed, with its 95 % t-interval, for each "
        "method, data set and budget, on one scale. Shaded: within ±0.2 points.",
        without="There are no differences: the study has no method to compare others with.",
        tables=("summary",),
    ),
    "profile": Plan(
        caption="Performance profiles: the share of runs whose final test accuracy is further above the mean of "
        "{reference} than a threshold, averaged over data sets and budgets; and the mean rank of each method. 95 % "
        "intervals by bootstrap over seeds.",
        without="There are no profiles: the study has no method to compare others with.",
        tables=("summary", "runs", "ranks"),
    ),
    "convergence": Plan(
        caption="Test accuracy by epoch minus that of {reference}, paired by seed: means, and of the method under test "
        "also the 95 % t-interval and where its mean crosses zero for the last time; above it the accuracy of "
        "{reference}.",
        without="Test accuracy by epoch: means over the seeds with 95 % t-intervals.",
        tables=("summary", "curves"),
    ),
    "literature": Plan(
        caption="Final test accuracy beside what has been published for the same data set, method and budget, and the "
        "difference, ours minus published, with its 95 % interval by Welch's t-test. Hollow markers are published "
        "numbers, with the intervals of their sources.",
        tables=("summary",),
    ),
    "weights": Plan(
        caption="The weight that a method gives an example's gradient, and what the example then contributes, against "
        "the gradient's norm, in units of the sensitivity, which the noise is proportional to.",
        tables=("summary", "weights"),
    ),
    "norms": Plan(
        caption="Gradient norms of the examples by epoch: median, of {reference} and the method under test also 10th "
        "and 90th percentile, means over seeds, and the norm at which the weight peaks. Not private.",
        without="Gradient norms of the examples by epoch: median, of the method under test also 10th and 90th "
        "percentile, means over seeds, and the norm at which the weight peaks. Not private.",
        tables=("summary", "weights", "curves"),
    ),
    "deviation": Plan(
        caption="How far a method's scaled mean gradient is from the true one, on a fixed set of training examples: "
        "along one run that all methods share, and along each method's own runs; and how much larger than the noise "
        "its sum is. Not private.",
        tables=("summary", "curves"),
        shows=("deviation",),
    ),
    "audit": Plan(
        caption="The epsilon that an attack on the training step proves at least, against the epsilon that is claimed.",
        tables=("summary", "audit"),
    ),
    "robustness": Plan(
        caption="Accuracy on held-out training examples over learning rate and shape of the weight: mean over seeds. "
        "The title has the share of the settings within a point of the method's best.",
        tables=("summary",),
        needs=("tuning", "sweeps"),
    ),
    "momentum": Plan(
        caption="Difference in final test accuracy of inner momentum over k iterates with decay beta to none, paired "
        "by seed, with its 95 % t-interval: with as many steps, which cost k times as many gradients, and with fewer "
        "steps that cost as many.",
        tables=("summary", "runs"),
        needs=("sweeps",),
    ),
    "cost": Plan(
        caption="Time of one training step as a ratio to the fastest ordinary one: median over rounds in which the "
        "implementations take turns, and quartiles.",
        tables=(),
        needs=("cost",),
    ),
}


def drawable(results: Path, among: Iterable[str] = FIGURES) -> list[str]:
    """The figures whose tables are there, or are made by every study."""
    return [name for name in among if not FIGURES[name].lacks(results)]


def figure_caption(name: str, study: Study) -> str:
    """The caption of a figure of ``study``, as reStructuredText."""
    reference, plan = study.roles().reference, FIGURES[name]
    if reference is None:
        return plan.without or plan.caption
    # titles hold anything, and reports are made of it
    return plan.caption.format(reference=re.sub(r"[\\*`|_<>\[\]]", r"\\\g<0>", study.method_title(reference)))
