"""Intervals for AUC and sigma, a mean and a median: over test images, for one trained model.

sigma and AUC: the symmetric bootstrap-t on the logarithm. Images are drawn anew within every group;
the deviation of the log ratio is divided by its standard error (delta method) in every draw; the
95% quantile of its absolute value, times the standard error of the data, is the half width. It is
widened by Student's t over the normal quantile (Welch's degrees of freedom), since the empirical
distribution of a small group has too light a tail. `benchmarks/coverage.md` has the coverage.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special  # the quantiles of scipy.stats, which takes half a second to import

from rbcore.inference.resampling import (
    CONFIDENCE,
    MEMORY_CHUNK,
    N_RESAMPLES,
    SAME,
    checked_confidence,
    group_moments,
    resampled_moments,
    seeded,
)
from rbcore.measures import Grouped, rest_weights

Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """For each row a ratio of two weighted sums of areas: of a group's to its rest's, for instance.

    Attributes
    ----------
    above, below
        Weights of the areas, each shape (n_rows, n_groups). No group has weight in both, so that
        their variances add up. A row without any weight below stands for the sum above alone.
    """

    above: np.ndarray
    below: np.ndarray

    def log_ratio(self, means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log ratios and their standard errors (delta method), each shape (..., n_rows).

        The logarithm is infinite where one side is 0 and NaN where both are; the standard
        error is then NaN.
        """
        above, below = self._sides(means)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = (
                variances @ (self.above**2).T / above**2 + variances @ (self.below**2).T / below**2
            )
            log_ratio: np.ndarray = np.log(above) - np.log(below)
        return log_ratio, np.sqrt(np.where(np.isfinite(log_ratio), variance, np.nan))

    def degrees_of_freedom(
        self, means: np.ndarray, variances: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """Return Welch's degrees of freedom, shape (n_rows,); 1 where no variance is known."""
        above, below = self._sides(means)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = variances * (
                (self.above / above[:, None]) ** 2 + (self.below / below[:, None]) ** 2
            )
            freedom = parts.sum(axis=1) ** 2 / (parts**2 / np.maximum(sizes - 1, 1)).sum(axis=1)
        return np.where(np.isfinite(freedom), np.maximum(freedom, 1.0), 1.0)

    def _sides(self, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        alone = ~self.below.any(axis=1)
        return means @ self.above.T, means @ self.below.T + alone


def group_sizes(grouped: Grouped) -> np.ndarray:
    """Return the samples that count in every group, shape (n_groups,), float64."""
    return np.array([len(values) for values in grouped.values], dtype=np.float64)


def against_rest(grouped: Grouped) -> Comparison:
    """Return the comparison of every group with its rest, as the policy says what the rest is."""
    return Comparison(
        np.eye(len(grouped.groups)), rest_weights(grouped.pooled_weights, grouped.policy.rest)
    )


@dataclass(frozen=True)
class Intervals:
    """Intervals of every group, each shape (n_groups,): sigma (above -1) and AUC(I_P) (L2)."""

    sigma_low: np.ndarray
    sigma_high: np.ndarray
    auc_low: np.ndarray
    auc_high: np.ndarray


def bootstrap_intervals(
    grouped: Grouped,
    *,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Return the symmetric bootstrap-t intervals for sigma and AUC, from the same draws.

    NaN where none is defined: a side has area 0, the group has one sample, or more than 5% of the
    draws leave a side without any positive distance (it has fewer than about 4). Equal distances
    within all groups give a width of 0.

    Raises
    ------
    MeasureError
        If the partition has one group only.
    """
    versus = against_rest(grouped)
    both = Comparison(
        np.vstack([versus.above] * 2), np.vstack([versus.below, np.zeros_like(versus.below)])
    )
    low, high = ratio_interval(
        grouped.capped(), both, confidence=confidence, n_resamples=n_resamples, random=seeded(seed)
    )
    low, high = (
        np.where(group_sizes(grouped) < 2, np.nan, ends.reshape(2, -1)) for ends in (low, high)
    )
    return Intervals(low[0] - 1, high[0] - 1, low[1], high[1])


def bootstrap_sigma(
    grouped: Grouped,
    *,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Ends:
    """Return `bootstrap_intervals` of sigma, each end shape (n_groups,)."""
    intervals = bootstrap_intervals(
        grouped, confidence=confidence, n_resamples=n_resamples, seed=seed
    )
    return intervals.sigma_low, intervals.sigma_high


def ratio_interval(
    values: list[np.ndarray],
    comparison: Comparison,
    *,
    confidence: float,
    n_resamples: int,
    random: np.random.Generator,
) -> Ends:
    """Return the symmetric bootstrap-t interval of every ratio, each end shape (n_rows,), positive.

    Parameters
    ----------
    values
        For each group the distances that count, at most ``tau_max``.
    """
    moments = group_moments(values)
    resampled = resampled_moments(values, n_resamples, random)
    sizes = np.array([len(own) for own in values], dtype=np.float64)
    ratios, halves = np.empty((2, len(comparison.above)))
    rows_at_once = max(1, MEMORY_CHUNK // n_resamples)
    for start in range(0, len(ratios), rows_at_once):
        rows = slice(start, start + rows_at_once)
        part = Comparison(comparison.above[rows], comparison.below[rows])
        ratios[rows], error = part.log_ratio(*moments)
        freedom = part.degrees_of_freedom(*moments, sizes)
        draws, errors = part.log_ratio(*resampled)
        halves[rows] = half_width(
            ratios[rows], error, draws, errors, freedom=freedom, confidence=confidence
        )
    with np.errstate(
        over="ignore"
    ):  # a handful of images: the interval has no end, and is said to have none
        return np.exp(ratios - halves), np.exp(ratios + halves)


def half_width(
    estimate: np.ndarray,
    error: np.ndarray,
    resampled: np.ndarray,
    resampled_error: np.ndarray,
    *,
    freedom: np.ndarray,
    confidence: float,
) -> np.ndarray:
    """Return half the width of the symmetric bootstrap-t interval, shape (n_rows,); else NaN.

    Parameters
    ----------
    estimate, error
        Of the data, shape (n_rows,).
    resampled, resampled_error
        The same of every draw, shape (n_resamples, n_rows). A draw in which they are not finite
        counts as infinitely far.
    freedom
        Degrees of freedom of the error, shape (n_rows,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(resampled - estimate)
        ratio = np.where(away <= SAME, 0.0, away / resampled_error)
    ratio[~np.isfinite(ratio)] = np.inf
    quantile = np.quantile(ratio, checked_confidence(confidence), axis=0, method="higher")
    tail = (1 + confidence) / 2
    widening = special.stdtrit(freedom, tail) / special.ndtri(tail)
    with np.errstate(invalid="ignore"):
        half = np.where(error == 0, 0.0, quantile * error * widening)
    return np.where(np.isfinite(half) & np.isfinite(quantile) & np.isfinite(estimate), half, np.nan)


def difference_ends(
    first: np.ndarray,
    second: np.ndarray,
    with_first: np.ndarray,
    with_second: np.ndarray,
    error: np.ndarray,
    half: np.ndarray,
) -> Ends:
    """Return the interval for ``second - first`` of positive numbers, each end shape (n_rows,).

    The outer of two intervals: the symmetric one, and the one whose ends are reached when the
    logarithm of each number moves with the difference as the two vary together. Where one image in
    many is far, a large ratio comes with a large error, so that a difference far from 0 that turned
    out too small also looks too sure; the second interval knows that, since it is the single
    number's on the logarithm where both move in proportion. At 0 both are nearly one. Exchanging
    the two turns the signs.

    Parameters
    ----------
    first, second
        Of the data, shape (n_rows,).
    with_first, with_second
        Covariance of each with the difference, shape (n_rows,).
    error, half
        Standard error of the difference, and half the width of its symmetric
        interval (`half_width`).
    """
    symmetric = second - first - half, second - first + half
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        moves = [
            half * shared / error**2 / own
            for own, shared in ((first, with_first), (second, with_second))
        ]
        along = [
            second * np.exp(sign * moves[1]) - first * np.exp(sign * moves[0]) for sign in (-1, 1)
        ]
    low, high = (
        np.where(np.isfinite(curved), curved, flat)
        for curved, flat in zip(along, symmetric, strict=True)
    )
    return np.minimum(low, symmetric[0]), np.maximum(high, symmetric[1])


def covariance_of_sums(
    covariances: np.ndarray, sizes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Turn (co)variances among a group's samples into those of its weighted sums (delta method).

    Parameters
    ----------
    covariances
        Of single samples, with n in the denominator, shape (..., n_groups).
    sizes, weights
        Samples of each group, and what all of them together count, each shape (n_groups,).
    """
    scaled: np.ndarray = covariances * weights**2 / np.maximum(sizes - 1, 1)
    return scaled


def freedom_of_smaller_side(sizes: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of the smaller of each group and its rest, shape (n_groups,).

    Welch's are no fewer.
    """
    smaller: np.ndarray = np.maximum(np.minimum(sizes, sizes.sum() - sizes) - 1, 1)
    return smaller


def mean_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Student's interval for a mean; NaN for fewer than two values."""
    if len(values) < 2:
        return np.nan, np.nan
    from scipy import stats

    half = stats.t.ppf((1 + checked_confidence(confidence)) / 2, len(values) - 1) * stats.sem(
        values
    )
    return float(np.mean(values) - half), float(np.mean(values) + half)


def median_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval for a median from order statistics, for any distribution.

    NaN ends where there are too few values for one.
    """
    from scipy import stats

    found: Any = stats.quantile_test(values, p=0.5)
    ends = found.confidence_interval(checked_confidence(confidence))
    return float(ends.low), float(ends.high)
