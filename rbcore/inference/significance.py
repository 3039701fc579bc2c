"""Is the difference more than chance: studentized permutations, and corrections for many groups.

A plain permutation test asks whether the groups have equal distributions and rejects far too often
where only their shapes and sizes differ. Divided by its standard error in every permutation, the
log ratio tests sigma = 0 itself: exactly where the groups are exchangeable, and approximately for
large groups otherwise (Janssen 1997; Chung and Romano 2013).
"""

from dataclasses import dataclass

import numpy as np

from rbcore.inference.intervals import against_rest, group_sizes
from rbcore.inference.resampling import (
    N_PERMUTATIONS,
    SAME,
    group_moments,
    permuted_moments,
    seeded,
)
from rbcore.measures import Grouped

FEWEST = 20
"""Smallest group that is tested and ranked; below it an interval means little."""

FEWEST_CORRECT = 30
"""Correct samples below which an interval covers less often than it claims."""


@dataclass(frozen=True)
class Significance:
    """What the permutation tests of a partition say.

    Attributes
    ----------
    statistic
        The studentized log ratio of each group's area to its rest's, shape (n_groups,); infinite
        where one side is 0.
    p
        Two-sided p of sigma = 0 for each group, shape (n_groups,); NaN for groups of fewer than
        `FEWEST` samples, and where sigma is not defined.
    p_holm, p_bh
        The same after Holm's correction and after Benjamini and Hochberg's, over the groups that
        have a p. Two groups pose one question twice, so that Holm's doubling is cautious there;
        ``p_global`` then answers it once.
    p_global
        p of "no group differs from its rest", by the largest studentized difference over the same
        groups; NaN without any.
    """

    statistic: np.ndarray
    p: np.ndarray
    p_holm: np.ndarray
    p_bh: np.ndarray
    p_global: float


def permutation_tests(
    grouped: Grouped, *, n_permutations: int = N_PERMUTATIONS, seed: int = 0
) -> Significance:
    """Test sigma = 0 for every group of a partition, and for all together.

    All samples that count are dealt out anew to groups of the same sizes; p is (1 + permutations at
    least as extreme) over (1 + permutations), so its smallest value is 1 / (1 + n_permutations).

    Raises
    ------
    MeasureError
        If the partition has one group only.
    """
    comparison = against_rest(grouped)
    values = grouped.capped()
    means, variances = group_moments(values)
    statistic = studentized(*comparison.log_ratio(means, variances))
    # Where the rest is a sum, exchangeable groups do not have sigma = 0 but this logarithm:
    # permutations spread around it.
    center = -np.log(comparison.below.sum(axis=1))
    log_ratio, error = comparison.log_ratio(*permuted_moments(values, n_permutations, seeded(seed)))
    permuted = np.abs(studentized(log_ratio - center, error))
    is_tested = (
        (group_sizes(grouped) >= FEWEST) & (grouped.n_train != 0) & (comparison.below @ means > 0)
    )
    p = np.where(is_tested, exceedance(np.abs(statistic), permuted), np.nan)
    p_global = np.nan
    if is_tested.any():
        largest = np.abs(statistic[is_tested]).max()
        p_global = float(
            exceedance(np.array([largest]), permuted[:, is_tested].max(axis=1)[:, None])[0]
        )
    return Significance(statistic, p, holm(p), benjamini_hochberg(p), p_global)


HEAVY_TAIL, HEAVY_SHARE, TAIL = 2.0, 3.5, 0.05
"""Tail index below which a variance is infinite; share of the largest squared deviation, times the
root of n; share of the values that are the tail.
"""


def is_heavy_tailed(values: np.ndarray) -> bool:
    """Whether the variance may be infinite, so that the test claims differences too often.

    Both must hold: the tail index of the largest 5% (Hill 1975) is below 2, and one value makes
    more than 3.5 / sqrt(n) of the sum of squared deviations, a quarter for 200 values.
    `benchmarks/heavy_tails.md` has how often it fires.
    """
    positive = np.sort(values[values > 0])[::-1]
    n_tail = max(5, int(TAIL * len(positive)))
    if len(positive) <= n_tail or positive[0] <= positive[n_tail]:
        return False
    index = 1 / np.log(positive[:n_tail] / positive[n_tail]).mean()
    squares = (values - values.mean()) ** 2
    return bool(
        index < HEAVY_TAIL and squares.max() > HEAVY_SHARE / np.sqrt(len(values)) * squares.sum()
    )


def studentized(log_ratio: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return log ratios over their standard errors.

    0 where there is no difference, infinite where nothing varies or a side is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = log_ratio / error
    ratio = np.where(np.isfinite(ratio), ratio, np.copysign(np.inf, log_ratio))
    return np.where(np.isnan(log_ratio) | (np.abs(log_ratio) <= SAME), 0.0, ratio)


def exceedance(observed: np.ndarray, permuted: np.ndarray) -> np.ndarray:
    """Return (1 + permutations that reach the observed value) / (1 + permutations).

    Its shape is that of ``observed``.

    Parameters
    ----------
    observed
        Shape (n_rows,).
    permuted
        Shape (n_permutations, n_rows). Ties count as reached, also where rounding parts them.
    """
    reached = (permuted >= observed * (1 - 1e-9)).sum(axis=0)
    share: np.ndarray = (1 + reached) / (1 + len(permuted))
    return share


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values after Holm's step-down correction (1979); NaN stays.

    The chance of any false claim stays below the level.
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return p-values after Benjamini and Hochberg's correction (1995); NaN stays.

    It bounds the share of false claims. `scipy.stats` has it too, but takes half a second to
    import, for every verdict.
    """
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()][::-1]
    stepped = p[order] * (len(order) / np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(np.minimum.accumulate(stepped), 1.0)
    return adjusted
