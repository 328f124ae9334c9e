from .claim_tests import OURS
from .claims import CLAIMS, write_claims
from .literature import beside_published, published
from .metrics import ENOUGH, NEAR, RUN, accuracies, shares_near_best, steps_to_enough
from .results import CELL, LABELS, REFERENCE, UNFINISHED, collect, p_text
from .statistics import CONFIDENCE, MARGIN, t_interval
from .sweeps import sweep_cost, sweep_curves, sweep_table, tuned_study

__all__ = [
    "CELL",
    "CLAIMS",
    "CONFIDENCE",
    "ENOUGH",
    "LABELS",
    "MARGIN",
    "NEAR",
    "OURS",
    "REFERENCE",
    "RUN",
    "UNFINISHED",
    "accuracies",
    "beside_published",
    "collect",
    "p_text",
    "published",
    "shares_near_best",
    "steps_to_enough",
    "sweep_cost",
    "sweep_curves",
    "sweep_table",
    "t_interval",
    "tuned_study",
    "write_claims",
]
