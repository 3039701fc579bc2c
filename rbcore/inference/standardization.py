"""What part of a bias is composition: sigma with every group re-weighted to a common mix.

Direct standardization: within each stratum (an age bin, say) take the area of the group and of its
rest, and average both over the strata with the same weights, the shares of the strata among all
samples. What remains is not due to that attribute's mix.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference.intervals import Comparison, ratio_interval
from rbcore.inference.resampling import CONFIDENCE, N_RESAMPLES, seeded
from rbcore.measures import DEFAULT_POLICY, Policy, is_counted, split_groups
from rbcore.measures.tables import checked
from rbcore.partitions import group_labels, group_order
from rbcore.registry import unknown_name
from rbcore.sampling import proportional

FEWEST_IN_CELL = 5
"""Smallest cell of group and stratum that is re-weighted; a smaller one would carry
its whole stratum.
"""

CELL = "cell"


def overlap(
    distances: pd.DataFrame, by: str, within: str, policy: Policy = DEFAULT_POLICY
) -> pd.DataFrame:
    """Count the samples that count: a row for a group of ``by``, a column for one of ``within``."""
    distances = proportional(checked(distances))
    groups, strata = group_labels(distances, by), group_labels(distances, within)
    counted = is_counted(distances, policy)
    table = pd.crosstab(groups[counted].to_numpy(), strata[counted].to_numpy())
    return table.reindex(index=group_order(groups), columns=group_order(strata), fill_value=0)


def standardized_bias(
    distances: pd.DataFrame,
    by: str,
    within: str,
    *,
    groups: Sequence[str] | None = None,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure sigma with every group and its rest re-weighted to one mix of another partition.

    Parameters
    ----------
    distances, by, policy
        As `robustness_bias`; of a stratified table its proportional part. Under ``rest="pooled"``
        the rest of a stratum is all its samples outside the group; under ``mean`` and ``sum`` each
        other group is re-weighted for itself.
    within
        The partition whose mix is made equal: an attribute, bins of a number, or ``"class"``.
    groups
        Names of the groups to measure; all where none are given. The rest and the common mix are
        always of all samples.
    confidence, n_resamples, seed
        Of the symmetric bootstrap-t interval, images resampled within group and stratum; the common
        mix is taken as known.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``n``, samples that count; ``n_effective``, how many equally
        weighted ones say as much (Kish); ``smallest_cell``, samples of its smallest stratum;
        ``auc``, ``auc_rest`` (L2) and ``sigma``, standardized; ``low``, ``high``, the interval of
        sigma; ``sigma_raw``, without re-weighting.

    Raises
    ------
    MeasureError
        If a stratum holds fewer than `FEWEST_IN_CELL` samples of a group or of its rest: it names
        these cells. And as `rbcore.measures.split_groups`; also if there is one group only.
    UnknownNameError
        If there is no such partition or group.
    """
    distances = proportional(checked(distances))
    split_groups(distances, by, policy)  # refuses what no measure is defined for
    counts = overlap(distances, by, within, policy)
    names = list(counts.index)
    wanted = names if groups is None else list(groups)
    for name in wanted:
        if name not in names:
            raise unknown_name("group", name, names)
    rows = [names.index(name) for name in wanted]
    _check_overlap(counts, rows, policy.rest, by, within)

    n = counts.to_numpy(np.float64)
    comparison, raw = _weights(n, policy.rest, is_raw=False), _weights(n, policy.rest, is_raw=True)
    codes = np.arange(n.size).reshape(n.shape)
    group_of = (
        group_labels(distances, by)
        .map({name: index for index, name in enumerate(names)})
        .to_numpy(int)
    )
    stratum_of = (
        group_labels(distances, within)
        .map({name: i for i, name in enumerate(counts.columns)})
        .to_numpy(int)
    )
    cells = pd.Series(codes[group_of, stratum_of].astype(str), index=distances.index)
    is_kept = is_counted(distances, policy)
    grouped = split_groups(distances.assign(**{CELL: cells})[is_kept], CELL, policy)
    used = [int(code) for code in grouped.groups]
    comparison = Comparison(
        comparison.above[np.ix_(rows, used)], comparison.below[np.ix_(rows, used)]
    )
    raw = Comparison(raw.above[np.ix_(rows, used)], raw.below[np.ix_(rows, used)])
    values = grouped.capped()
    areas = np.array([own.mean() for own in values])
    low, high = ratio_interval(
        values, comparison, confidence=confidence, n_resamples=n_resamples, random=seeded(seed)
    )
    auc, auc_rest = comparison.above @ areas, comparison.below @ areas
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(auc_rest > 0, auc / auc_rest - 1, np.nan)
        sigma_raw = np.where(
            raw.below @ areas > 0, (raw.above @ areas) / (raw.below @ areas) - 1, np.nan
        )
    share = n.sum(axis=0) / n.sum()
    return pd.DataFrame(
        {
            "group": wanted,
            "n": n[rows].sum(axis=1).astype(int),
            "n_effective": 1 / (share**2 / n[rows]).sum(axis=1),
            "smallest_cell": n[rows].min(axis=1).astype(int),
            "auc": auc,
            "auc_rest": auc_rest,
            "sigma": sigma,
            "low": low - 1,
            "high": high - 1,
            "sigma_raw": sigma_raw,
        }
    )


def _weights(n: np.ndarray, rest: str, *, is_raw: bool) -> Comparison:
    """Return what the area of every cell weighs in each group and in its rest.

    Each has shape (n_groups, n_groups * n_strata).

    Parameters
    ----------
    n
        Samples that count in each cell, shape (n_groups, n_strata).
    is_raw
        Whether the strata keep the mix that they have in the group and in its rest.
    """
    n_groups, n_strata = n.shape
    share = n.sum(axis=0) / n.sum()
    above, below = np.zeros((2, n_groups, n_groups, n_strata))
    own = n / n.sum(axis=1, keepdims=True) if is_raw else np.broadcast_to(share, n.shape)
    for group in range(n_groups):
        others = np.arange(n_groups) != group
        above[group, group] = own[group]
        if rest != "pooled":
            below[group, others] = own[others] / (others.sum() if rest == "mean" else 1)
        elif is_raw:
            below[group, others] = n[others] / n[others].sum()
        else:
            pooled = np.maximum(
                n[others].sum(axis=0), 1
            )  # an empty stratum is refused where its group is measured
            below[group, others] = share * n[others] / pooled
    return Comparison(above.reshape(n_groups, -1), below.reshape(n_groups, -1))


def _check_overlap(counts: pd.DataFrame, rows: list[int], rest: str, by: str, within: str) -> None:
    """Refuse groups whose cells, or whose rest's, are empty or too small to be re-weighted."""
    if len(counts) < 2:
        raise MeasureError(
            "The partition has one group only, so there is no rest to compare it with."
        )
    n = counts.to_numpy(np.int64)
    named = []
    for row, group in enumerate(counts.index):
        for stratum, own, all_samples in zip(counts.columns, n[row], n.sum(axis=0), strict=True):
            if own < FEWEST_IN_CELL and (row in rows or rest != "pooled"):
                named.append(f"{group} in {stratum} (n = {own})")
            if all_samples - own < FEWEST_IN_CELL and row in rows and rest == "pooled":
                named.append(f"outside {group} in {stratum} (n = {all_samples - own})")
    if named:
        few = "; ".join(named[:6]) + (f"; and {len(named) - 6} more" if len(named) > 6 else "")
        raise MeasureError(
            f"{by!r} cannot be compared at a common mix of {within!r}: fewer than "
            f"{FEWEST_IN_CELL} images count for {few}. Use fewer or wider groups of {within!r}, "
            f"or ask for the other groups of {by!r} only (groups=...)."
        )
