"""How sure the measures are: intervals, bands, tests, and the parts of a bias.

One file a question: `table` puts the answers of `intervals`, `proportions` and `significance`
beside the measures; `bands` for the curves; `decomposition`, `standardization`, `comparison` and
`definitions` for what a single sigma does not tell; `resampling` draws the images anew for all of
them. `rbcore.wording` says the answers in sentences.
"""

from rbcore.inference.bands import curves, dkw_band
from rbcore.inference.comparison import bias_over_runs, compare_bias
from rbcore.inference.decomposition import decompose_bias
from rbcore.inference.definitions import sigma_by_definition, sign_flips
from rbcore.inference.intervals import (
    bootstrap_intervals,
    bootstrap_sigma,
    mean_interval,
    median_interval,
)
from rbcore.inference.proportions import (
    accuracy_interval,
    binomial_interval,
    rb_interval,
    wilson_interval,
)
from rbcore.inference.resampling import CONFIDENCE, N_PERMUTATIONS, N_RESAMPLES
from rbcore.inference.significance import (
    FEWEST,
    FEWEST_CORRECT,
    benjamini_hochberg,
    holm,
    permutation_tests,
)
from rbcore.inference.standardization import overlap, standardized_bias
from rbcore.inference.table import robustness_bias

__all__ = [
    "CONFIDENCE",
    "FEWEST",
    "FEWEST_CORRECT",
    "N_PERMUTATIONS",
    "N_RESAMPLES",
    "accuracy_interval",
    "benjamini_hochberg",
    "bias_over_runs",
    "binomial_interval",
    "bootstrap_intervals",
    "bootstrap_sigma",
    "compare_bias",
    "curves",
    "decompose_bias",
    "dkw_band",
    "holm",
    "mean_interval",
    "median_interval",
    "overlap",
    "permutation_tests",
    "rb_interval",
    "robustness_bias",
    "sigma_by_definition",
    "sign_flips",
    "standardized_bias",
    "wilson_interval",
]
