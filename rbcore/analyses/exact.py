"""The median exact distance to the decision boundary of a linear model (section 6)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference import CONFIDENCE, median_interval
from rbcore.measures import DEFAULT_POLICY, Policy, is_correct, is_counted
from rbcore.measures.tables import checked
from rbcore.sampling import proportional


@dataclass(frozen=True)
class Median:
    """A median distance, L2 in [0, 1] pixel space.

    Attributes
    ----------
    n
        Images that count.
    median
        Of their distances.
    low, high
        Its interval from order statistics, which holds for any distribution; NaN where n is
        too small for one.
    """

    n: int
    median: float
    low: float
    high: float


def median_distance(
    distances: pd.DataFrame, *, policy: Policy = DEFAULT_POLICY, confidence: float = CONFIDENCE
) -> Median:
    """Return the median distance of the images that count under a policy.

    Parameters
    ----------
    distances
        A table as `rbcore.distances.estimate.estimate_distances` returns it; by ``exact`` for
        the paper's numbers.
    policy
        ``misclassified="zero"`` counts them with distance 0 (eq. 4-6), ``"exclude"`` leaves them
        out; section 6 does not say.

    Raises
    ------
    MeasureError
        If no image counts.
    """
    distances = proportional(checked(distances))
    correct = is_correct(distances, policy)
    values = np.where(correct, distances["distance"].to_numpy(np.float64), 0.0)[
        is_counted(distances, policy)
    ]
    if not len(values):
        raise MeasureError("No image counts, so the median distance is not defined.")
    return Median(len(values), float(np.median(values)), *median_interval(values, confidence))
