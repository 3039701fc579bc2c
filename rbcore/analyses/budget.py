"""Who is fooled within one budget (figure 3): the share of each group's images, with its interval."""

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference import CONFIDENCE, binomial_interval
from rbcore.measures import split_groups

BUDGET = 0.5
"""The paper's, L2 in [0, 1] pixel space (section 3.1)."""


def fooled_at(
    distances: pd.DataFrame, by: str, *, budget: float = BUDGET, confidence: float = CONFIDENCE
) -> pd.DataFrame:
    """Count for every group how many of its correct images are fooled within a budget.

    Distances by an attack are upper bounds, so that at least these are fooled; those farther are not shown to be safe.

    Parameters
    ----------
    distances, by
        As `rbcore.inference.robustness_bias`; images without a distance (failed) are left out.
    budget
        L2 in [0, 1] pixel space.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``budget``; ``n`` images with a result; ``n_correct`` of them; ``n_fooled``, correct ones no
        farther than the budget; ``share``, ``n_fooled / n_correct``, with ``low`` and ``high`` (Clopper-Pearson); NaN where no
        image is correct; ``robust``, I_P(budget) (eq. 4): the share of all ``n`` that are correct and farther.

    Raises
    ------
    MeasureError
        If the budget is no positive number; and as `rbcore.measures.split_groups`.
    """
    if not 0 < budget < np.inf:
        raise MeasureError(f"budget={budget} is no budget; give a positive L2 distance.")
    grouped = split_groups(distances, by)
    rows = []
    for group, values, correct in zip(grouped.groups, grouped.values, grouped.is_correct, strict=True):
        n_correct, n_fooled = int(correct.sum()), int((values[correct] <= budget).sum())
        low, high = binomial_interval(np.array([n_fooled]), n_correct, confidence) if n_correct else ([np.nan],) * 2
        rows.append(
            {
                "group": group,
                "budget": budget,
                "n": len(values),
                "n_correct": n_correct,
                "n_fooled": n_fooled,
                "share": n_fooled / n_correct if n_correct else np.nan,
                "low": float(low[0]),
                "high": float(high[0]),
                "robust": (n_correct - n_fooled) / len(values),
            }
        )
    return pd.DataFrame(rows)
