"""How sure the measures are: intervals over the test images for one trained model, and the sentence that says it."""

import numpy as np
import pandas as pd
from scipy import stats

from rbcore.measures import (
    DEFAULT_POLICY,
    Grouped,
    Policy,
    areas_under_curves,
    proportion_beyond,
    relative_difference,
    rest_of_areas,
    robustness_bias_at,
    sigma_bias,
    sigma_bounds_of_failed,
    split_groups,
)

N_RESAMPLES = 2000
CONFIDENCE = 0.95
MEMORY_CHUNK = 4_000_000
FEWEST = 20
"""Smallest group that is ranked; below it an interval means little."""


def robustness_bias(
    distances: pd.DataFrame,
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the robustness bias of every group of a partition.

    Parameters
    ----------
    distances
        A table as `estimate_distances` returns it.
    by
        ``"class"`` or an attribute.
    policy
        How open questions of the definition are answered.
    confidence, n_resamples, seed
        Of the bootstrap interval for sigma: percentile, resampled within groups.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``n`` samples; ``n_correct``; ``n_failed``; ``n_counted``, those that count under the policy;
        ``is_ranked``, whether these are at least `FEWEST`; ``accuracy``; ``auc``, the area under I_P
        (L2); ``sigma`` (eq. 3; negative, less robust than the rest); ``low`` and ``high``, its interval over test images;
        ``failed_low`` and ``failed_high``, sigma if the failed samples had counted worst and best.

    Raises
    ------
    MeasureError, UnknownNameError
        As `rbcore.measures.split_groups`; and if the partition has one group only.
    """
    grouped = split_groups(distances, by, policy)
    sigma = sigma_bias(grouped)
    low, high = bootstrap_sigma(grouped, confidence=confidence, n_resamples=n_resamples, seed=seed)
    failed_low, failed_high = sigma_bounds_of_failed(grouped)
    n_counted = np.array([len(values) for values in grouped.values])
    return pd.DataFrame(
        {
            "group": grouped.groups,
            "n": grouped.n,
            "n_correct": grouped.n_correct,
            "n_failed": grouped.n_failed,
            "n_counted": n_counted,
            "is_ranked": n_counted >= FEWEST,
            "accuracy": grouped.n_correct / grouped.n,
            "auc": areas_under_curves(grouped),
            "sigma": sigma,
            "low": low,
            "high": high,
            "failed_low": failed_low,
            "failed_high": failed_high,
        }
    )


def bootstrap_sigma(
    grouped: Grouped, *, confidence: float = CONFIDENCE, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of a percentile bootstrap interval for sigma of every group, each shape (n_groups,).

    Samples are drawn anew within every group, so each keeps its size. The interval is over test images for one model.
    """
    random = np.random.default_rng(seed)
    areas = np.stack([_resampled_means(values, n_resamples, random) for values in grouped.capped()], axis=1)
    weights = np.array([len(values) for values in grouped.values], dtype=np.float64)
    sigma = relative_difference(areas, rest_of_areas(areas, weights, grouped.policy.rest))
    tail = (1 - confidence) / 2
    low, high = np.quantile(sigma, [tail, 1 - tail], axis=0)
    return low, high


def _resampled_means(values: np.ndarray, n_resamples: int, random: np.random.Generator) -> np.ndarray:
    chunk = max(1, MEMORY_CHUNK // len(values))
    means = [
        values[random.integers(len(values), size=(min(chunk, n_resamples - start), len(values)))].mean(axis=1)
        for start in range(0, n_resamples, chunk)
    ]
    return np.concatenate(means)


def curves(
    distances: pd.DataFrame,
    by: str,
    *,
    taus: np.ndarray,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
) -> pd.DataFrame:
    """Return I_P(tau) of every group with a pointwise Clopper-Pearson interval.

    Returns
    -------
    pandas.DataFrame
        One row a group and tau: ``group``, ``n`` (samples that count), ``tau`` (L2), ``share`` (I_P), ``low``, ``high``,
        and ``rb``, RB(P, tau) (eq. 2).
    """
    grouped = split_groups(distances, by, policy)
    rb = robustness_bias_at(grouped, taus)
    tables = []
    for index, (group, values) in enumerate(zip(grouped.groups, grouped.values, strict=True)):
        share = proportion_beyond(values, taus)
        low, high = binomial_interval(np.rint(share * len(values)), len(values), confidence)
        facts = {
            "group": group,
            "n": len(values),
            "tau": taus,
            "share": share,
            "low": low,
            "high": high,
            "rb": rb[index],
        }
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)


def binomial_interval(n_beyond: np.ndarray, n: int, confidence: float = CONFIDENCE) -> tuple[np.ndarray, np.ndarray]:
    """Return the Clopper-Pearson interval of shares ``n_beyond / n``, each end of the shape of ``n_beyond``."""
    tail = (1 - confidence) / 2
    low = np.where(n_beyond > 0, stats.beta.ppf(tail, np.maximum(n_beyond, 1), n - n_beyond + 1), 0.0)
    high = np.where(n_beyond < n, stats.beta.ppf(1 - tail, n_beyond + 1, np.maximum(n - n_beyond, 1)), 1.0)
    return low, high


LESS_ROBUST, NO_DIFFERENCE, MORE_ROBUST = "less robust", "interval includes 0", "more robust"
UNDEFINED = "interval not defined"
TOO_FEW = f"fewer than {FEWEST} images count"


def verdicts(bias: pd.DataFrame) -> np.ndarray:
    """Return for every row of a table of `robustness_bias` what its interval shows, in words, shape (n,)."""
    low, high = bias["low"].to_numpy(np.float64), bias["high"].to_numpy(np.float64)
    conditions = [~bias["is_ranked"].to_numpy(bool), ~np.isfinite(low) | ~np.isfinite(high), high < 0, low > 0]
    return np.select(conditions, [TOO_FEW, UNDEFINED, LESS_ROBUST, MORE_ROBUST], NO_DIFFERENCE)


def least_robust(bias: pd.DataFrame) -> pd.Series | None:
    """Return the row of the least robust group that is large enough to be ranked, or None if none is."""
    ranked = bias[bias["is_ranked"] & bias["sigma"].notna()]
    return None if ranked.empty else ranked.iloc[int(ranked["sigma"].argmin())]


def verdict(bias: pd.DataFrame, confidence: float = CONFIDENCE) -> str:
    """Say in words which group of a table of `robustness_bias` is least robust, by how much, and how sure that is."""
    row = least_robust(bias)
    if row is None:
        return (
            f"No group can be ranked: in each fewer than {FEWEST} images count, or sigma is not defined "
            f"(n = {int(bias['n'].sum())} in all)."
        )
    interval = f"{confidence:.0%} bootstrap interval [{row['low']:+.2f}, {row['high']:+.2f}]"
    (shown,) = verdicts(row.to_frame().T)
    if shown == UNDEFINED:
        interval = "no interval, since the rest has too few correct images"
    counted = "" if row["n_counted"] == row["n"] else f", of which {row['n_counted']:,} count"
    numbers = f"sigma = {row['sigma']:+.2f}, {interval}, n = {row['n']:,}{counted}"
    if shown == LESS_ROBUST:
        return (
            f"{row['group']} is the least robust group: the area under its curve is {-row['sigma']:.0%} smaller than that of "
            f"the rest ({numbers})."
        )
    if shown == UNDEFINED:
        return f"No group is shown to be less robust than the rest: the lowest is {row['group']} ({numbers})."
    return (
        f"No group is shown to be less robust than the rest: the lowest, {row['group']}, has an interval that includes 0 "
        f"({numbers})."
    )
