"""The paper's measures: I_P(tau), RB and sigma, of checked tables of distances.

`robustness` defines the measures, `policy` how open questions are answered, `tables` what a table
of distances must hold, `pairing` which images two tables share.
"""

from rbcore.measures.policy import CHOICES, DEFAULT_POLICY, Policy
from rbcore.measures.robustness import (
    LARGEST_FAILED_SHARE,
    Grouped,
    areas_under_curves,
    correct_beyond,
    is_correct,
    is_counted,
    proportion_beyond,
    relative_difference,
    rest_of_areas,
    rest_weights,
    robustness_bias_at,
    sigma_bias,
    sigma_bounds_of_failed,
    split_groups,
)

__all__ = [
    "CHOICES",
    "DEFAULT_POLICY",
    "LARGEST_FAILED_SHARE",
    "Grouped",
    "Policy",
    "areas_under_curves",
    "correct_beyond",
    "is_correct",
    "is_counted",
    "proportion_beyond",
    "relative_difference",
    "rest_of_areas",
    "rest_weights",
    "robustness_bias_at",
    "sigma_bias",
    "sigma_bounds_of_failed",
    "split_groups",
]
