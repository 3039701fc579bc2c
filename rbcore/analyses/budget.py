"""Who is fooled within one budget (figure 3): the share of each group, and an image of each."""

import numpy as np
import pandas as pd

from rbcore import norms
from rbcore.errors import MeasureError
from rbcore.inference import CONFIDENCE, binomial_interval
from rbcore.measures import split_groups
from rbcore.partitions import group_labels, group_order

BUDGET = 0.5
"""The paper's, L2 in [0, 1] pixel space (section 3.1)."""


def fooled_at(
    distances: pd.DataFrame, by: str, *, budget: float = BUDGET, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Count for every group how many of its correct images are fooled within a budget.

    Distances by an attack are upper bounds, so that at least these are fooled; those farther are
    not shown to be safe.

    Parameters
    ----------
    distances, by
        As `rbcore.inference.robustness_bias`; images without a distance (failed) are left out.
    budget
        L2 in [0, 1] pixel space.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``budget``; ``n`` images with a result; ``n_correct`` of them;
        ``n_fooled``, correct ones no farther than the budget; ``share``, ``n_fooled / n_correct``,
        with ``low`` and ``high`` (Clopper-Pearson); NaN where no image is correct; ``robust``,
        I_P(budget) (eq. 4): the share of all ``n`` that are correct and farther.

    Raises
    ------
    MeasureError
        If the budget is not a positive number; and as `rbcore.measures.split_groups`.
    """
    if not 0 < budget < np.inf:
        raise MeasureError(f"budget={budget} is not a valid budget; give a positive L2 distance.")
    grouped = split_groups(distances, by)
    sides = list(zip(grouped.values, grouped.is_correct, strict=True))
    table = pd.DataFrame(
        {
            "group": grouped.groups,
            "budget": budget,
            "n": [len(values) for values, _ in sides],
            "n_correct": [int(correct.sum()) for _, correct in sides],
            "n_fooled": [int((values[correct] <= budget).sum()) for values, correct in sides],
        }
    )
    n_correct, n_fooled = table["n_correct"].to_numpy(), table["n_fooled"].to_numpy()
    low, high = binomial_interval(n_fooled, n_correct, confidence)
    table.attrs[norms.COLUMN] = norms.norm_of(distances).value
    return table.assign(
        share=table["n_fooled"] / table["n_correct"],  # NaN where none is correct
        low=np.where(n_correct > 0, low, np.nan),
        high=np.where(n_correct > 0, high, np.nan),
        robust=(n_correct - n_fooled) / table["n"],
    )


def median_images(distances: pd.DataFrame, by: str) -> pd.DataFrame:
    """Choose for every group the image in its middle: half of those with a distance are no farther.

    Returns
    -------
    pandas.DataFrame
        One row a group that has any such image, in the groups' order: ``group``, ``sample_id``,
        ``distance`` (L2) and ``n``, the images with a distance. Of an even number the nearer one of
        the two in the middle; of equal distances the first by id.

    Raises
    ------
    MeasureError, UnknownNameError
        As `rbcore.partitions.group_labels`.
    """
    labels = group_labels(distances, by)
    known = distances.assign(group=labels)[distances["distance"].notna()].sort_values(
        ["distance", "sample_id"]
    )
    rows = []
    for group in group_order(labels):
        own = known[known["group"] == group]
        if len(own):
            middle = own.iloc[(len(own) - 1) // 2]
            rows.append((group, middle["sample_id"], float(middle["distance"]), len(own)))
    return pd.DataFrame(rows, columns=["group", "sample_id", "distance", "n"])


def verdict_at_budget(fooled: pd.DataFrame) -> str:
    """Say of which group the most and the fewest images are fooled, from a table of `fooled_at`."""
    known = fooled[fooled["share"].notna()]
    budget = fooled["budget"].iat[0]
    if known.empty:
        return (
            f"No group has a correctly classified image, so none can be fooled within {budget:g}."
        )
    shares = known["share"].to_numpy(np.float64)
    most, fewest = known.iloc[int(shares.argmax())], known.iloc[int(shares.argmin())]
    said = f"Within {budget:.3g} at least {_share(most)} of {most['group']} are fooled"
    return f"{said}." if len(known) == 1 else f"{said}, and {_share(fewest)} of {fewest['group']}."


def _share(row: pd.Series) -> str:
    return (
        f"{row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}] of the "
        f"{row['n_correct']:,} correct images"
    )
