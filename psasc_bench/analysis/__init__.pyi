from .claims import Claim, claims_about, write_claims
from .comparisons import budgets_text
from .literature import beside_published, published
from .metrics import (
    NEAR,
    QUARTERS,
    RUN,
    accuracies,
    curve_means,
    effective_sample_sizes,
    released_cosines,
    shares_near_best,
    small_gradient_shares,
)
from .origins import unlike_origins
from .ranking import performance_profiles, ranks
from .reproduction import CellPair, Reproduction, compare_results
from .results import CELL, LABELS, UNFINISHED, collect
from .statistics import ALPHA, CONFIDENCE, MARGIN, POWER, p_text, signed, t_interval
from .sweeps import sweep_cost, sweep_curves, sweep_table
from .tidy import IDENTITIES, REQUESTED, default_roles, of_the_study, read_study, read_table
from .times import read_times
from .tuning import edge_notes, tuned_study

__all__ = [
    "ALPHA",
    "CELL",
    "CONFIDENCE",
    "IDENTITIES",
    "LABELS",
    "MARGIN",
    "NEAR",
    "POWER",
    "QUARTERS",
    "REQUESTED",
    "RUN",
    "UNFINISHED",
    "CellPair",
    "Claim",
    "Reproduction",
    "accuracies",
    "beside_published",
    "budgets_text",
    "claims_about",
    "collect",
    "compare_results",
    "curve_means",
    "default_roles",
    "edge_notes",
    "effective_sample_sizes",
    "of_the_study",
    "p_text",
    "performance_profiles",
    "published",
    "ranks",
    "read_study",
    "read_table",
    "read_times",
    "released_cosines",
    "shares_near_best",
    "signed",
    "small_gradient_shares",
    "sweep_cost",
    "sweep_curves",
    "sweep_table",
    "t_interval",
    "tuned_study",
    "unlike_origins",
    "write_claims",
]
