"""Two methods image by image, and a certificate beside an attack (7.1, 8.3)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from rbcore import norms
from rbcore.errors import MeasureError
from rbcore.inference import CONFIDENCE, binomial_interval, median_interval
from rbcore.measures.tables import Status, checked
from rbcore.partitions import group_labels, group_order

RELATIVE = 1e-4
"""Distances that differ by less, relative to the larger, count as equal: batches of other sizes
move them by 1e-5.
"""
FEWEST_RANKED = 4


def paired_distances(first: pd.DataFrame, second: pd.DataFrame, by: str) -> pd.DataFrame:
    """Join the distances that two methods give to the same images.

    Parameters
    ----------
    first, second
        Tables as `rbcore.distances.estimate.estimate_distances` returns them, on the same
        network and dataset.
    by
        The partition whose groups are named.

    Returns
    -------
    pandas.DataFrame
        One row an image that has a distance in both, group by group in their order: ``sample_id``,
        ``group``, ``first``, ``second`` (L2), ``ratio`` (second / first; NaN where both are 0) and
        ``status_first``, ``status_second``.
    """
    first, second = checked(first, ["sample_id"]), checked(second, ["sample_id"])
    sides = [
        table.loc[table["distance"].notna(), ["sample_id", "distance", "status"]].rename(
            columns={"distance": name, "status": f"status_{name}"}
        )
        for table, name in ((first, "first"), (second, "second"))
    ]
    named = first[["sample_id"]].assign(group=group_labels(first, by))
    pairs = named.merge(sides[0], on="sample_id").merge(sides[1], on="sample_id")
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs["ratio"] = pairs["second"].to_numpy(np.float64) / pairs["first"].to_numpy(np.float64)
    pairs.attrs[norms.COLUMN] = norms.norm_of(first).value
    pairs = pairs.sort_values(
        "group", key=lambda names: names.map(group_order(names).index), kind="stable"
    )
    return pairs.reset_index(drop=True)[
        ["sample_id", "group", "first", "second", "ratio", "status_first", "status_second"]
    ]


@dataclass(frozen=True)
class DistanceComparison:
    """How the second method's distances compare with the first's on the same images.

    Attributes
    ----------
    n
        Images with a ratio.
    ratio, ratio_low, ratio_high
        Median of second / first, and its interval from order statistics; NaN ends where n is
        too small for one.
    n_lower, n_equal
        Images for which the second is lower, and for which both are equal to within `RELATIVE`.
    lower, lower_low, lower_high
        ``n_lower / n`` with its Clopper-Pearson interval.
    rank_correlation, rank_low, rank_high
        Spearman's, and its interval by Fisher's z with the standard error of Fieller, Hartley and
        Pearson (1957); NaN where n is below `FEWEST_RANKED` or one side is constant.
    """

    n: int
    ratio: float
    ratio_low: float
    ratio_high: float
    n_lower: int
    n_equal: int
    lower: float
    lower_low: float
    lower_high: float
    rank_correlation: float
    rank_low: float
    rank_high: float


def compare_distances(pairs: pd.DataFrame, *, confidence: float = CONFIDENCE) -> DistanceComparison:
    """Summarize a table of `paired_distances`.

    Raises
    ------
    MeasureError
        If no image has a ratio.
    """
    known = pairs[pairs["ratio"].notna()]
    n = len(known)
    if n == 0:
        raise MeasureError("No image has a distance by both methods, so they cannot be compared.")
    ratios = known["ratio"].to_numpy(np.float64)
    ratio_low, ratio_high = median_interval(ratios, confidence)
    first, second = known["first"].to_numpy(np.float64), known["second"].to_numpy(np.float64)
    is_equal = np.abs(first - second) <= RELATIVE * np.maximum(first, second)
    n_lower = int(((second < first) & ~is_equal).sum())
    low, high = binomial_interval(np.array([n_lower]), n, confidence)
    correlation, ends = np.nan, (np.nan, np.nan)
    if n >= FEWEST_RANKED and np.ptp(first) > 0 and np.ptp(second) > 0:
        from scipy import stats

        correlation = float(stats.spearmanr(first, second).statistic)
        half = float(special.ndtri((1 + confidence) / 2)) * np.sqrt(1.06 / (n - 3))
        with np.errstate(divide="ignore"):
            middle = np.arctanh(correlation)
        ends = (float(np.tanh(middle - half)), float(np.tanh(middle + half)))
    return DistanceComparison(
        n=n,
        ratio=float(np.median(ratios)),
        ratio_low=ratio_low,
        ratio_high=ratio_high,
        n_lower=n_lower,
        n_equal=int(is_equal.sum()),
        lower=n_lower / n,
        lower_low=float(low[0]),
        lower_high=float(high[0]),
        rank_correlation=correlation,
        rank_low=ends[0],
        rank_high=ends[1],
    )


def farthest_apart(pairs: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the ``n`` images on which two methods differ most, by the ratio or its inverse."""
    with np.errstate(divide="ignore"):
        apart = np.abs(np.log(pairs["ratio"].to_numpy(np.float64)))
    known = pairs.assign(apart=apart).dropna(subset="apart")
    return (
        known.sort_values(["apart", "sample_id"], ascending=[False, True])
        .drop(columns="apart")
        .head(n)
    )


def certificates_and_attacks(
    certificates: pd.DataFrame, attack: pd.DataFrame, smoothed_attack: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Join for the same images the certified radius of g with upper bounds of f, and of g.

    They speak of different classifiers: the network f, and g, which smooths it (section 8.3). Only
    radius and upper bound of g bracket one number, and that with the confidence of both.

    Parameters
    ----------
    certificates
        Distances by ``smoothing``.
    attack
        Distances by an attack on f, or the best of several.
    smoothed_attack
        Distances by ``smoothing_attack`` with the same noise.

    Returns
    -------
    pandas.DataFrame
        One row an image that has a radius and an upper bound of f, nearest first: ``sample_id``,
        ``radius`` (0 where the certificate abstained or another class won), ``status`` (of the
        certificate), ``upper_f``, ``upper_g`` (NaN where there is none).
    """
    certificates, attack = checked(certificates, ["sample_id"]), checked(attack, ["sample_id"])
    joined = certificates[["sample_id", "distance", "status"]].rename(
        columns={"distance": "radius"}
    )
    joined = joined.merge(
        attack[["sample_id", "distance"]].rename(columns={"distance": "upper_f"}), on="sample_id"
    )
    if smoothed_attack is None:
        joined["upper_g"] = np.nan
    else:
        smoothed_attack = checked(smoothed_attack, ["sample_id"])
        found = smoothed_attack.loc[
            smoothed_attack["status"] != Status.OVERRULED, ["sample_id", "distance"]
        ]
        joined = joined.merge(
            found.rename(columns={"distance": "upper_g"}), on="sample_id", how="left"
        )
    known = joined.dropna(subset=["radius", "upper_f"])
    return known.sort_values(["upper_f", "sample_id"])[
        ["sample_id", "radius", "status", "upper_f", "upper_g"]
    ]
