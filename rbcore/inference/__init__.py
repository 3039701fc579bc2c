"""How sure the measures are: intervals, bands, tests, and what part of a bias is accuracy, distance or composition.

One file a question: `table` puts the answers of `intervals` and `significance` beside the measures; `bands` for the curves;
`decomposition`, `standardisation`, `comparison` and `definitions` for what a single sigma does not tell; `verdicts` says it in
words; `resampling` draws the images anew for all of them.
"""

from rbcore.inference.bands import curves, dkw_band
from rbcore.inference.comparison import bias_over_runs, compare_bias
from rbcore.inference.decomposition import decompose_bias
from rbcore.inference.definitions import sigma_by_definition, sign_flips
from rbcore.inference.intervals import (
    accuracy_interval,
    binomial_interval,
    bootstrap_intervals,
    bootstrap_sigma,
    rb_interval,
    wilson_interval,
)
from rbcore.inference.resampling import CONFIDENCE, N_PERMUTATIONS, N_RESAMPLES
from rbcore.inference.significance import (
    FEWEST,
    benjamini_hochberg,
    holm,
    permutation_tests,
    random_partitions,
)
from rbcore.inference.standardisation import overlap, standardised_bias
from rbcore.inference.table import robustness_bias
from rbcore.inference.verdicts import (
    FEWEST_CORRECT,
    LESS_ROBUST,
    LEVEL,
    MORE_ROBUST,
    NEVER_TRAINED,
    NO_DIFFERENCE,
    TOO_FEW,
    UNDEFINED,
    caution_of,
    fallback_warning,
    least_robust,
    listed,
    name_of_group,
    p_in_words,
    too_few_but_lower,
    verdict,
    verdict_phrases,
    verdicts,
)

__all__ = [
    "CONFIDENCE",
    "FEWEST",
    "FEWEST_CORRECT",
    "LESS_ROBUST",
    "LEVEL",
    "MORE_ROBUST",
    "NEVER_TRAINED",
    "NO_DIFFERENCE",
    "N_PERMUTATIONS",
    "N_RESAMPLES",
    "TOO_FEW",
    "UNDEFINED",
    "accuracy_interval",
    "benjamini_hochberg",
    "bias_over_runs",
    "binomial_interval",
    "bootstrap_intervals",
    "bootstrap_sigma",
    "caution_of",
    "compare_bias",
    "curves",
    "decompose_bias",
    "dkw_band",
    "fallback_warning",
    "holm",
    "least_robust",
    "listed",
    "name_of_group",
    "overlap",
    "p_in_words",
    "permutation_tests",
    "random_partitions",
    "rb_interval",
    "robustness_bias",
    "sigma_by_definition",
    "sign_flips",
    "standardised_bias",
    "too_few_but_lower",
    "verdict",
    "verdict_phrases",
    "verdicts",
    "wilson_interval",
]
