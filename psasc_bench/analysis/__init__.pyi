from .claims import Claim, claims_about, write_claims
from .literature import beside_published, published
from .metrics import (
    ENOUGH,
    NEAR,
    RUN,
    accuracies,
    effective_sample_sizes,
    released_cosines,
    shares_near_best,
    small_gradient_shares,
    steps_to_enough,
)
from .origins import unlike_origins
from .results import CELL, LABELS, UNFINISHED, collect
from .statistics import CONFIDENCE, MARGIN, p_text, t_interval
from .sweeps import sweep_cost, sweep_curves, sweep_table, tuned_study
from .tidy import IDENTITIES, REQUESTED, default_roles, of_the_study, read_study, read_table

__all__ = [
    "CELL",
    "CONFIDENCE",
    "ENOUGH",
    "IDENTITIES",
    "LABELS",
    "MARGIN",
    "NEAR",
    "REQUESTED",
    "RUN",
    "UNFINISHED",
    "Claim",
    "accuracies",
    "beside_published",
    "claims_about",
    "collect",
    "default_roles",
    "effective_sample_sizes",
    "of_the_study",
    "p_text",
    "published",
    "read_study",
    "read_table",
    "released_cosines",
    "shares_near_best",
    "small_gradient_shares",
    "steps_to_enough",
    "sweep_cost",
    "sweep_curves",
    "sweep_table",
    "t_interval",
    "tuned_study",
    "unlike_origins",
    "write_claims",
]
