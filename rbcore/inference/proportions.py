"""Intervals for shares of test images: accuracy, I_P(tau) and RB(P, tau)."""

import numpy as np
from scipy import special  # the quantiles of scipy.stats, which takes half a second to import

from rbcore.inference.intervals import Ends
from rbcore.inference.resampling import (
    CONFIDENCE,
    checked_confidence,
)
from rbcore.measures import Grouped, correct_beyond


def binomial_interval(
    n_beyond: np.ndarray, n: int | np.ndarray, confidence: float = CONFIDENCE
) -> Ends:
    """Return the Clopper-Pearson interval of shares ``n_beyond / n``, each end of their shape."""
    tail = (1 - checked_confidence(confidence)) / 2  # a quantile is NaN where a parameter is 0
    low = np.nan_to_num(special.betaincinv(n_beyond, n - n_beyond + 1, tail), nan=0.0)
    high = np.nan_to_num(special.betaincinv(n_beyond + 1, n - n_beyond, 1 - tail), nan=1.0)
    return low, high


def accuracy_interval(grouped: Grouped, confidence: float = CONFIDENCE) -> Ends:
    """Return the Clopper-Pearson interval of every group's accuracy over all its samples.

    Each end has shape (n_groups,).
    """
    return binomial_interval(grouped.n_correct, grouped.n, confidence)


def rb_interval(grouped: Grouped, taus: np.ndarray, confidence: float = CONFIDENCE) -> Ends:
    """Return an interval for RB(P, tau) (eq. 2), each end shape (n_groups, len(taus)), in [0, 1].

    Newcombe's hybrid score interval (1998, method 10) for the difference of the two shares of
    correct samples beyond tau, and of it the absolute values: it starts at 0 where that interval
    includes 0. NaN where a side has no correct sample.
    """
    low, high = np.full((2, len(grouped.groups), len(taus)), np.nan)
    for index, (share, n_own, other, n_other) in enumerate(correct_beyond(grouped, taus)):
        if not n_own or not n_other:
            continue
        share_low, share_high = wilson_interval(share, n_own, confidence)
        other_low, other_high = wilson_interval(other, n_other, confidence)
        start = share - other - np.hypot(share - share_low, other_high - other)
        end = share - other + np.hypot(share_high - share, other - other_low)
        low[index] = np.where(
            (start <= 0) & (end >= 0), 0.0, np.minimum(np.abs(start), np.abs(end))
        )
        high[index] = np.maximum(np.abs(start), np.abs(end))
    return low, np.minimum(high, 1.0)


def wilson_interval(share: np.ndarray, n: float, confidence: float = CONFIDENCE) -> Ends:
    """Return Wilson's score interval of shares of n samples, each end of the shape of ``share``."""
    z = special.ndtri((1 + checked_confidence(confidence)) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
