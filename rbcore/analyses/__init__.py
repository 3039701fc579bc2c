"""The paper's own analyses, one file each, of stored distances; none computes a distance.

=================  =================================================================================
file               question
=================  =================================================================================
models_and_epochs  what is stored: sigma and curves of every group for several models, epochs,
                   methods (figures 6 to 16)
exact              how far images lie from the boundary of a linear model: the median (section 6)
agreement          how often two methods, or two epochs, agree on the sign of sigma (7.1, 7.2,
                   8.1, 8.3, Table 1)
epochs             sigma through training, and whether the sign of the last epoch is
                   there before (7.2)
samples            two methods image by image; a certificate of g beside an attack on f (7.1, 8.3)
gallery            which images to look at
budget             who is fooled within one budget (figure 3)
composition        sigma by one attribute at a common mix of another
pretraining        sigma of a pre-trained against a from-scratch run of the same model (8.2)
mitigation         what a mitigation changed: the same images under the plain and the mitigated
                   model (figures 17 to 22)
mitigated_runs     runs that differ in their mitigation only, and what each bought at what cost
seeds              sigma over runs that differ in their seed only
toys               figures 1 and 2: classifiers in a plane, with their boundaries
                   and exact distances
typical_faces      what it takes to fool a model on a typical toy face of each group, for a class
published          distances that others published (UG100), as tables of this library
=================  =================================================================================
"""

from rbcore.analyses.agreement import (
    Agreement,
    agreement_by_partition,
    agreement_of,
    kappa_in_words,
    paired_sigmas,
    sign_agreement,
)
from rbcore.analyses.budget import BUDGET, fooled_at, median_images, verdict_at_budget
from rbcore.analyses.composition import MIX_RULE, adjusted_bias, raw_and_standardized
from rbcore.analyses.epochs import (
    bias_of_epoch,
    epoch_pairs,
    interval_in_words,
    sign_consistency,
    verdict_through_training,
)
from rbcore.analyses.exact import Median, median_distance
from rbcore.analyses.gallery import ORDERS, choose_images, order_images, taken_for
from rbcore.analyses.mitigated_runs import (
    kind_of,
    mitigated_runs,
    mitigation_in_words,
    plain_of,
    protected_by,
    setting_of,
    trade_off,
)
from rbcore.analyses.mitigation import (
    ACCURACY,
    ALL,
    AUC,
    REST,
    Effect,
    compare,
    curves_of_sides,
    has_collapsed,
    in_l2,
    in_points,
    parts_in_words,
    verdict_on_mitigation,
)
from rbcore.analyses.models_and_epochs import (
    EPOCHS,
    MISSING,
    RULE,
    SHOWN_SHARE,
    MissingDistances,
    applies,
    bias_by_model,
    comparable_runs,
    counted_in_words,
    curves_by_panel,
    find_cell,
    range_in_words,
    say_cell,
    shown_end,
    verdict_over_models,
)
from rbcore.analyses.pretraining import compare_pretraining, pretraining_pairs
from rbcore.analyses.published import UG100_MODELS, ug100_folder, ug100_table
from rbcore.analyses.samples import (
    DistanceComparison,
    certificates_and_attacks,
    compare_distances,
    farthest_apart,
    paired_distances,
)
from rbcore.analyses.seeds import bias_over_seeds, runs_over_seeds
from rbcore.analyses.toys import BUDGET_TOY_TAU, Toy, budget_toys, class_toy
from rbcore.analyses.typical_faces import first_faces, typical_faces

__all__ = [
    "ACCURACY",
    "ALL",
    "AUC",
    "BUDGET",
    "BUDGET_TOY_TAU",
    "EPOCHS",
    "MISSING",
    "MIX_RULE",
    "ORDERS",
    "REST",
    "RULE",
    "SHOWN_SHARE",
    "UG100_MODELS",
    "Agreement",
    "DistanceComparison",
    "Effect",
    "Median",
    "MissingDistances",
    "Toy",
    "adjusted_bias",
    "agreement_by_partition",
    "agreement_of",
    "applies",
    "bias_by_model",
    "bias_of_epoch",
    "bias_over_seeds",
    "budget_toys",
    "certificates_and_attacks",
    "choose_images",
    "class_toy",
    "comparable_runs",
    "compare",
    "compare_distances",
    "compare_pretraining",
    "counted_in_words",
    "curves_by_panel",
    "curves_of_sides",
    "epoch_pairs",
    "farthest_apart",
    "find_cell",
    "first_faces",
    "fooled_at",
    "has_collapsed",
    "in_l2",
    "in_points",
    "interval_in_words",
    "kappa_in_words",
    "kind_of",
    "median_distance",
    "median_images",
    "mitigated_runs",
    "mitigation_in_words",
    "order_images",
    "paired_distances",
    "paired_sigmas",
    "parts_in_words",
    "plain_of",
    "pretraining_pairs",
    "protected_by",
    "range_in_words",
    "raw_and_standardized",
    "runs_over_seeds",
    "say_cell",
    "setting_of",
    "shown_end",
    "sign_agreement",
    "sign_consistency",
    "taken_for",
    "trade_off",
    "typical_faces",
    "ug100_folder",
    "ug100_table",
    "verdict_at_budget",
    "verdict_on_mitigation",
    "verdict_over_models",
    "verdict_through_training",
]
