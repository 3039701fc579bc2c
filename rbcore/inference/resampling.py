"""Drawing the images anew: what the bootstrap, the permutations and the random partitions share.

Everything here works on sums over groups, so a resample costs one draw of indices and one
gather for each sum.
"""

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np

from rbcore.errors import MeasureError

CONFIDENCE = 0.95
N_RESAMPLES = 5000
N_PERMUTATIONS = 4999
MEMORY_CHUNK = 500_000
"""Numbers held at once while drawing, so that memory does not grow with the number of resamples."""

SAME = 1e-12
"""Relative difference below which two numbers are the same but for rounding."""


def seeded(seed: int) -> np.random.Generator:
    """Return the random numbers of a seed, or raise `MeasureError` for an invalid seed."""
    if not isinstance(seed, Integral) or seed < 0:
        raise MeasureError(f"seed={seed!r} is not a valid seed; give a whole number from 0.")
    return np.random.default_rng(int(seed))


def checked_confidence(confidence: float) -> float:
    """Return a confidence between 0 and 1, or raise `MeasureError`."""
    if not (
        isinstance(confidence, float | int) and math.isfinite(confidence) and 0 < confidence < 1
    ):
        raise MeasureError(
            f"confidence={confidence!r} is not a valid confidence level; give a number between 0 "
            "and 1, as in 0.95."
        )
    return confidence


def _refuse_no_draws(what: str, n: int) -> None:
    if not isinstance(n, Integral) or n < 1:
        raise MeasureError(f"{what}={n!r} is too small; give a whole number from 1.")


def group_moments(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of every group and the variance of that mean, each shape (n_groups,).

    A single sample has variance 0.
    """
    means = np.array([own.mean() for own in values])
    variances = np.array([own.var() / max(len(own) - 1, 1) for own in values])
    return means, _without_rounding(variances, means)


def resampled_moments(
    values: Sequence[np.ndarray], n_resamples: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the samples of every group anew, with replacement, and return the moments of the draws.

    Returns
    -------
    means, variances
        As `group_moments`, each shape (n_resamples, n_groups).
    """
    _refuse_no_draws("n_resamples", n_resamples)
    means, variances = np.empty((2, n_resamples, len(values)))
    for index, own in enumerate(values):
        center = own.mean()  # centered, so that the variance is no difference of two large numbers
        columns = np.stack([own - center, (own - center) ** 2])
        shift, square = resampled_means(columns, n_resamples, random)
        means[:, index] = center + shift
        variances[:, index] = np.maximum(square - shift**2, 0.0) / max(len(own) - 1, 1)
    return means, _without_rounding(variances, means)


def resampled_means(
    columns: np.ndarray, n_resamples: int, random: np.random.Generator
) -> np.ndarray:
    """Draw n samples with replacement and return the mean of every column over the same draw.

    Parameters
    ----------
    columns
        Numbers of the n samples of one group, shape (n_columns, n).

    Returns
    -------
    numpy.ndarray
        Shape (n_columns, n_resamples).
    """
    _refuse_no_draws("n_resamples", n_resamples)
    n = columns.shape[1]
    means = np.empty((len(columns), n_resamples))
    chunk = max(1, MEMORY_CHUNK // n)
    for start in range(0, n_resamples, chunk):
        stop = min(start + chunk, n_resamples)
        drawn = random.integers(n, size=(stop - start, n))
        for column, mean in zip(columns, means, strict=True):
            mean[start:stop] = column.take(drawn, mode="clip").mean(axis=1)
    return means


def grouped_means(
    columns: Sequence[np.ndarray], n_resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of every column in every group, of the data and of every draw.

    Parameters
    ----------
    columns
        For each group the numbers of its samples, shape (n_columns, n).

    Returns
    -------
    of_data, drawn
        Shape (n_columns, 1, n_groups) and (n_columns, n_resamples, n_groups).
    """
    random = seeded(seed)
    drawn = [resampled_means(own, n_resamples, random) for own in columns]
    return np.stack([own.mean(axis=1, keepdims=True) for own in columns], axis=2), np.stack(
        drawn, axis=2
    )


def permuted_moments(
    values: Sequence[np.ndarray], n_permutations: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Deal all samples out to groups of the same sizes at random; return these groups' moments.

    Returns
    -------
    means, variances
        As `group_moments`, each shape (n_permutations, n_groups).
    """
    _refuse_no_draws("n_permutations", n_permutations)
    sizes = np.array([len(own) for own in values])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    everything = np.concatenate(values)
    center = everything.mean()
    centered = everything - center
    means, variances = np.empty((2, n_permutations, len(values)))
    chunk = max(1, MEMORY_CHUNK // len(everything))
    for start in range(0, n_permutations, chunk):
        stop = min(start + chunk, n_permutations)
        dealt = random.permuted(np.broadcast_to(centered, (stop - start, len(centered))), axis=1)
        shift = np.add.reduceat(dealt, starts, axis=1) / sizes
        square = np.add.reduceat(dealt**2, starts, axis=1) / sizes
        means[start:stop] = np.maximum(center + shift, 0.0)
        variances[start:stop] = np.maximum(square - shift**2, 0.0) / np.maximum(sizes - 1, 1)
    means[means < SAME * center] = 0.0  # a group of zeros, but for rounding
    return means, _without_rounding(variances, means)


def _without_rounding(variances: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the variances; 0 where the deviation is no more than the rounding of the mean."""
    cleaned: np.ndarray = np.where(variances > (SAME * means) ** 2, variances, 0.0)
    return cleaned
