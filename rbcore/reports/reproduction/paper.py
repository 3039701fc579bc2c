"""What the paper reports: values to compare with, never results of this library."""

MEDIAN_EXACT = {
    "cifar10": 0.40,
    "cifar100": 0.10,
    "cifar100super": 0.06,
    "adience": 0.38,
    "utkface": 0.12,
}
"""Median exact distance of logistic regression by dataset (section 6), L2."""

N_GROUPS = 151
AGREES_WITH_EXACT = {"deepfool": 125, "carlini_wagner": 125, "smoothing": 101}
"""Groups of 151 with the sign of the exact sigma (sections 7.1 and 8.1)."""

MEAN_DIFFERENCE = {"deepfool": 0.17, "carlini_wagner": 0.19, "smoothing": 0.08}
VARIANCE_OF_DIFFERENCES = {"deepfool": 0.07, "carlini_wagner": 0.06, "smoothing": 0.19}
"""Of exact minus estimated sigma, over 151 groups."""

N_CELLS = 755
DEEPFOOL_AGREES_WITH_CARLINI_WAGNER = 708
"""Of 5 networks x 151 groups (section 7.2)."""

AGREES_WITH_LAST_EPOCH = {
    ("deepfool", "first"): 637,
    ("carlini_wagner", "first"): 621,
    ("deepfool", "middle"): 671,
    ("carlini_wagner", "middle"): 665,
}
"""Cells of 755 with the sign of the last epoch (section 7.2)."""

# dataset: (with DeepFool, with Carlini-Wagner) in percent, and the cells that the percentages imply
SMOOTHING_AGREES = {
    "adience": (83.33, 79.63, 54),
    "utkface": (74.24, 72.73, 66),
    "cifar10": (75.00, 76.67, 60),
    "cifar100": (53.83, 54.00, 600),
    "cifar100super": (65.83, 66.67, 120),
}
"""Table 1, over six models a dataset; a partition by two genders counts as one group."""

SIGNS = {  # dataset, partition, group: sign of sigma, for all models (section 8.2; figures 6 to 8)
    ("utkface", "race", "Black"): -1,
    ("utkface", "race", "Asian"): 1,
    ("utkface", "class", "40-60"): -1,
    ("utkface", "class", "0-15"): 1,
}

TOY_SHARES = {("A", "round"): 0.7, ("A", "cross"): 0.3, ("B", "round"): 0.3, ("B", "cross"): 0.3}
"""Figure 1: share of a subgroup within the budget, by classifier."""
