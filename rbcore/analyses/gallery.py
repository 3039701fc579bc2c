"""Which images to look at: those of a table of distances that fit some conditions, in an order."""

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.measures.tables import checked
from rbcore.partitions import group_labels

NEAREST, FARTHEST, BY_ID, LEAST_CONFIDENT, MOST_CONFIDENT = (
    "least robust first",
    "most robust first",
    "by sample id",
    "least confident first",
    "most confident first",
)
ORDERS = (NEAREST, FARTHEST, BY_ID, LEAST_CONFIDENT, MOST_CONFIDENT)
"""Ways to order images; the last two need the network's probabilities."""


def taken_for(rows: pd.DataFrame) -> pd.Series:
    """Return the class number of each image's perturbed image, or of itself where it has none."""
    return rows["perturbed_prediction"].where(rows["perturbed_prediction"] >= 0, rows["prediction"])


def choose_images(
    rows: pd.DataFrame,
    by: str,
    *,
    group: str | None = None,
    low: float = 0.0,
    high: float = np.inf,
    true_class: str | None = None,
    ends_as: int | None = None,
    status: str | None = None,
) -> pd.DataFrame:
    """Return the rows of a table of distances that fit every condition given, in their order.

    Parameters
    ----------
    rows, by
        As `rbcore.inference.robustness_bias`.
    group
        Of the partition.
    low, high
        Both included, L2. Images without a distance are only in if neither says anything.
    true_class
        Name of the class of the label.
    ends_as
        Number of the class that the perturbed image is taken for, or the image itself where it
        has no perturbed one.
    status
        As in the table; where none is given, the images that have a distance.

    Raises
    ------
    MeasureError
        If ``low`` is above ``high``.
    """
    if low > high:
        raise MeasureError(f"low={low:g} is above high={high:g}; swap the two.")
    rows = checked(rows)
    fits = rows["distance"].notna() if status is None else rows["status"] == status
    if group is not None:
        fits &= group_labels(rows, by) == group
    if low > 0 or np.isfinite(high):
        fits &= rows["distance"].between(low, high)
    if true_class is not None:
        fits &= rows["class"].astype(str) == true_class
    if ends_as is not None:
        fits &= taken_for(rows) == ends_as
    return rows[fits]


def order_images(
    rows: pd.DataFrame, order: str, probability: pd.Series | None = None
) -> pd.DataFrame:
    """Return the rows in one of `ORDERS`; equal ones by sample id.

    Parameters
    ----------
    probability
        Of the predicted class of each clean image, by sample id; needed where the order is by
        confidence.

    Raises
    ------
    MeasureError
        If the order is unknown or lacks its probabilities.
    """
    if order not in ORDERS or (order in (LEAST_CONFIDENT, MOST_CONFIDENT) and probability is None):
        raise MeasureError(f"{order!r} is not an order of images; use one of {', '.join(ORDERS)}.")
    by = rows["distance"]
    if probability is not None and order in (LEAST_CONFIDENT, MOST_CONFIDENT):
        by = rows["sample_id"].map(probability)
    if order == BY_ID:
        return rows.sort_values("sample_id")
    return (
        rows.assign(order=by)
        .sort_values(["order", "sample_id"], ascending=[order in (NEAREST, LEAST_CONFIDENT), True])
        .drop(columns="order")
    )
