"""What part of a bias is accuracy, and what part is distance.

Under the default definition AUC(P) = accuracy(P) * mean distance of the correct samples of P, for
the group and for its pooled rest. So log(AUC_P / AUC_rest) = log(ratio of accuracies) + log(ratio
of mean distances), exactly.
"""

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference.intervals import (
    covariance_of_sums,
    freedom_of_smaller_side,
    group_sizes,
    half_width,
)
from rbcore.inference.resampling import CONFIDENCE, N_RESAMPLES, grouped_means
from rbcore.measures import DEFAULT_POLICY, Grouped, Policy, rest_weights, split_groups

PARTS = ("total", "accuracy", "distance")


def decompose_bias(
    distances: pd.DataFrame,
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Split log(AUC_P / AUC_rest) into log ratios of accuracies and of mean distances.

    Accuracies are over the samples that count, so failed ones are in none of the parts; distances
    are at most ``tau_max``.

    Parameters
    ----------
    distances, by, policy
        As `robustness_bias`; only ``rest="pooled"`` with ``misclassified="zero"``.
    confidence, n_resamples, seed
        Of the symmetric bootstrap-t intervals, images resampled within groups.

    Returns
    -------
    pandas.DataFrame
        One row a group and part, in the order ``total``, ``accuracy``, ``distance``: ``group``,
        ``n`` (samples that count), ``n_correct`` (of them), ``part``, ``log_ratio`` (the last
        two add up to the first; exp(total) - 1 is sigma), ``low``, ``high``. NaN where a side
        has no correct sample or only distances of 0; intervals also where too few are correct.
        The interval of the accuracies has width 0 where all samples are correct: the bootstrap
        sees no error there.

    Raises
    ------
    MeasureError
        If the split is not defined for the policy; and as `rbcore.measures.split_groups`.
    """
    if policy.misclassified != "zero" or policy.rest != "pooled":
        raise MeasureError(
            "The split into accuracy and distance is exact only for misclassified='zero' with "
            f"rest='pooled' (not misclassified={policy.misclassified!r}, rest={policy.rest!r}): "
            "otherwise the area is not accuracy times mean distance. Use these two settings."
        )
    grouped = split_groups(distances, by, policy)
    sizes, weights = group_sizes(grouped), grouped.pooled_weights
    columns = [
        np.stack([values, values**2, correct])
        for values, correct in zip(grouped.capped(), grouped.is_correct, strict=True)
    ]
    of_data, drawn = grouped_means(columns, n_resamples, seed)
    estimate, error = _parts(of_data, sizes, weights)
    resampled, resampled_error = _parts(drawn, sizes, weights)
    freedom = freedom_of_smaller_side(sizes)
    tables = []
    for part, log_ratio, own_error, draws, errors in zip(
        PARTS, estimate, error, resampled, resampled_error, strict=True
    ):
        half = half_width(
            log_ratio[0], own_error[0], draws, errors, freedom=freedom, confidence=confidence
        )
        tables.append(_table(grouped, part, log_ratio[0], half))
    return pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)


def _table(grouped: Grouped, part: str, log_ratio: np.ndarray, half: np.ndarray) -> pd.DataFrame:
    half = np.where(group_sizes(grouped) < 2, np.nan, half)
    return pd.DataFrame(
        {
            "group": grouped.groups,
            "n": group_sizes(grouped).astype(int),
            "n_correct": [int(correct.sum()) for correct in grouped.is_correct],
            "part": part,
            "log_ratio": log_ratio,
            "low": log_ratio - half,
            "high": log_ratio + half,
        }
    )


def _parts(
    means: np.ndarray, sizes: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the three log ratios and their standard errors, each shape (3, n_draws, n_groups).

    Parameters
    ----------
    means
        Means of distance, squared distance and correctness, shape (3, n_draws, n_groups).
    sizes, weights
        Samples that count, and what each group counts in a pooled rest, each shape (n_groups,).
    """
    distance, square, correct = means
    others = rest_weights(sizes, "sum")
    sums = weights * np.stack([distance, correct])
    # Of distances, with correctness (a wrong sample has distance 0, so the mean product is the mean
    # distance), of correctness.
    covariances = [square - distance**2, distance - distance * correct, correct - correct**2]
    spread = covariance_of_sums(np.stack(covariances), sizes, weights)
    rest_size = weights @ others
    variance = np.zeros((len(PARTS), *distance.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.log(distance) - np.log(sums[0] @ others / rest_size)
        accuracy = np.log(correct) - np.log(sums[1] @ others / rest_size)
        log_ratios = np.stack([total, accuracy, total - accuracy])
        for side, side_spread in ((sums, spread), (sums @ others, spread @ others)):
            of_distance, of_both, of_correct = side_spread / np.stack(
                [side[0] ** 2, side[0] * side[1], side[1] ** 2]
            )
            variance += np.stack([of_distance, of_correct, of_distance - 2 * of_both + of_correct])
    log_ratios[~np.isfinite(log_ratios)] = np.nan
    return log_ratios, np.sqrt(np.maximum(variance, 0.0))
