"""The same images twice: two epochs, two models, two runs.

And one measure over several runs with other seeds.
"""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference.intervals import (
    covariance_of_sums,
    difference_ends,
    freedom_of_smaller_side,
    half_width,
    mean_interval,
)
from rbcore.inference.resampling import CONFIDENCE, N_RESAMPLES, grouped_means
from rbcore.inference.significance import FEWEST
from rbcore.measures import (
    DEFAULT_POLICY,
    Policy,
    is_correct,
    is_counted,
    relative_difference,
    rest_weights,
    split_groups,
)
from rbcore.measures.pairing import paired, paired_labels, refuse_moved
from rbcore.partitions import group_labels, group_order
from rbcore.sampling import proportional

PRODUCTS = tuple(combinations_with_replacement(range(4), 2))
"""Pairs of value and counting of the first side (0, 1) and of the second (2, 3), whose mean
products give covariances.
"""


def compare_bias(
    first: pd.DataFrame,
    second: pd.DataFrame,
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare sigma of every group between two tables of the same images: second minus first.

    Only images in both tables take part. Every draw takes the same images on both sides, so
    what makes an image easy or hard for both cancels. The interval is over test images, for
    these two trained models.

    Parameters
    ----------
    first, second
        Tables as `estimate_distances` returns them, by any epochs, models, runs or methods,
        on the same images.
    by, policy
        As `robustness_bias`. A failed sample, or a misclassified one under ``exclude``, leaves
        its own side only.
    confidence, n_resamples, seed
        Of the paired interval: bootstrap-t of the difference, with ends that allow for skewed
        distances; see `rbcore.inference.intervals.difference_ends`.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``n``, images in both tables; ``n_left_out``, images of the
        group in one table only; ``is_ranked``, whether at least `FEWEST` images count on both
        sides; ``sigma_first``, ``sigma_second``, ``difference``; ``low``, ``high``, its
        interval; ``is_shown``, whether it excludes 0, not corrected for the number of groups.
        NaN where a side is not defined; intervals also where the group has area 0 on a side, or
        more than 5% of the draws do.

    Raises
    ------
    MeasureError
        If the tables have no image in common, hold one twice, or differ in an image's group or
        label; if there is one group only; and as `rbcore.measures.split_groups` for the common
        images on either side.
    """
    left, right = paired(first, second, ["label"])
    refuse_moved(left["sample_id"], "label", left["label"], right["label"])
    labels = paired_labels(left, right, by)
    for rows in (left, right):
        split_groups(rows, by, policy)  # refuses what no measure is defined for

    groups = group_order(labels)
    n_alone = pd.concat(
        [
            group_labels(rows, by)[~rows["sample_id"].isin(left["sample_id"])]
            for rows in (proportional(first), proportional(second))
        ]
    ).value_counts()
    columns = np.concatenate([_columns(left, policy), _columns(right, policy)])
    columns = np.concatenate([columns, [columns[k] * columns[m] for k, m in PRODUCTS]])
    of_groups = [columns[:, labels == group] for group in groups]
    n_counted = np.array([own[[1, 3]].sum(axis=1).min() for own in of_groups])
    sizes = np.array([own.shape[1] for own in of_groups], dtype=np.float64)
    of_data, drawn = grouped_means(of_groups, n_resamples, seed)
    sigma_first, sigma_second, error, with_first, with_second = (
        values[0] for values in _paired_sigma(of_data, sizes, policy.rest)
    )
    drawn_first, drawn_second, drawn_error, *_ = _paired_sigma(drawn, sizes, policy.rest)
    difference = sigma_second - sigma_first
    half = half_width(
        difference,
        error,
        drawn_second - drawn_first,
        drawn_error,
        freedom=freedom_of_smaller_side(sizes),
        confidence=confidence,
    )
    low, high = difference_ends(
        1 + sigma_first, 1 + sigma_second, with_first, with_second, error, half
    )
    is_known = np.isfinite(difference) & (sizes > 1) & (sigma_first > -1) & (sigma_second > -1)
    low, high = np.where(is_known, low, np.nan), np.where(is_known, high, np.nan)
    return pd.DataFrame(
        {
            "group": groups,
            "n": sizes.astype(int),
            "n_left_out": [int(n_alone.get(group, 0)) for group in groups],
            "is_ranked": n_counted >= FEWEST,
            "sigma_first": sigma_first,
            "sigma_second": sigma_second,
            "difference": difference,
            "low": low,
            "high": high,
            "is_shown": (low > 0) | (high < 0),
        }
    )


def _columns(rows: pd.DataFrame, policy: Policy) -> np.ndarray:
    """Return distances, 0 where one does not count, and whether each counts: shape (2, n)."""
    counts = is_counted(rows, policy)
    value = np.where(counts & is_correct(rows, policy), rows["distance"].to_numpy(np.float64), 0.0)
    return np.stack(
        [
            value if policy.tau_max is None else np.minimum(value, policy.tau_max),
            counts.astype(np.float64),
        ]
    )


def _paired_sigma(means: np.ndarray, sizes: np.ndarray, rest: str) -> tuple[np.ndarray, ...]:
    """Return sigma of both sides, the error of their difference, and each one's covariance with it.

    Five arrays of shape (n_draws, n_groups).

    Parameters
    ----------
    means
        Means over the images of a group of: value and counting of the first side, of the second,
        and the `PRODUCTS` of these four; shape (14, n_draws, n_groups).
    """
    covariances = [means[4 + i] - means[k] * means[m] for i, (k, m) in enumerate(PRODUCTS)]
    spread = covariance_of_sums(np.stack(covariances), sizes, sizes)
    sums = sizes * means[:4]
    weights, others = rest_weights(sizes, rest), rest_weights(sizes, "sum")
    with np.errstate(divide="ignore", invalid="ignore"):
        areas, covariance = _areas(sums, spread)
        if rest == "pooled":
            rest_areas, rest_covariance = _areas(sums @ others, spread @ others)
        else:
            rest_areas, rest_covariance = areas @ weights.T, covariance @ (weights**2).T
        sigma = relative_difference(areas, rest_areas)
        spreads = np.zeros(
            (3, *areas.shape[1:])
        )  # variances of both sigmas, with the covariance between
        for slope, shared in (
            (1 / rest_areas, covariance),
            ((1 + sigma) / rest_areas, rest_covariance),
        ):
            spreads += np.stack([slope[0] ** 2, slope[0] * slope[1], slope[1] ** 2]) * shared
        first, both, second = spreads
    return (
        sigma[0],
        sigma[1],
        np.sqrt(np.maximum(first - 2 * both + second, 0.0)),
        both - first,
        second - both,
    )


def _areas(sums: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both areas, shape (2, ...), and their variances with the covariance between, (3, ...).

    Parameters
    ----------
    sums
        Sums of value and counting of the first side, and of the second, shape (4, ...).
    spread
        Covariances of these sums in the order of `PRODUCTS`, shape (10, ...).
    """
    counts = sums[1::2]
    areas = sums[::2] / counts
    of = dict(zip(PRODUCTS, spread, strict=True))

    def covariance(k: int, m: int) -> np.ndarray:
        value, other = of[2 * k, 2 * m], of[2 * k + 1, 2 * m + 1]
        crossed = (
            areas[m] * of[2 * k, 2 * m + 1]
            + areas[k] * of[min(2 * k + 1, 2 * m), max(2 * k + 1, 2 * m)]
        )
        result: np.ndarray = (value - crossed + areas[k] * areas[m] * other) / (
            counts[k] * counts[m]
        )
        return result

    return areas, np.stack([covariance(0, 0), covariance(0, 1), covariance(1, 1)])


def bias_over_runs(tables: list[pd.DataFrame], *, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Summarize sigma of every group over several runs that differ in their seed.

    The interval is over runs, not over test images: it says where the mean sigma of such trainings
    lies, by Student's t with as many observations as there are runs.

    Parameters
    ----------
    tables
        One table of `robustness_bias` a run, at least two, with the same groups.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``, ``n_runs`` with a sigma, ``n_negative`` of them, ``mean``,
        ``sd``, ``low``, ``high``; the last three are NaN for fewer than two runs with a sigma.

    Raises
    ------
    MeasureError
        If there are fewer than two runs, or they have other groups.
    """
    if len(tables) < 2:
        raise MeasureError(f"An interval over runs needs at least two runs (given: {len(tables)}).")
    groups = list(tables[0]["group"])
    if any(list(table["group"]) != groups for table in tables):
        raise MeasureError(
            "The runs have different groups; measure them by the same partition "
            "of the same dataset."
        )
    sigma = pd.DataFrame([table["sigma"].to_numpy(np.float64) for table in tables])
    known = sigma.where(np.isfinite(sigma))
    low, high = zip(
        *(mean_interval(own.dropna().to_numpy(), confidence) for _, own in known.items()),
        strict=True,
    )
    return pd.DataFrame(
        {
            "group": groups,
            "n_runs": known.count(),
            "n_negative": (known < 0).sum(),
            "mean": known.mean(),
            "sd": known.std(),
            "low": low,
            "high": high,
        }
    )
