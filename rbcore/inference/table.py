"""The table of robustness bias: one row a group with its measures, their intervals and its test."""

import numpy as np
import pandas as pd

from rbcore.inference.intervals import bootstrap_intervals, group_sizes
from rbcore.inference.proportions import accuracy_interval
from rbcore.inference.resampling import CONFIDENCE, N_PERMUTATIONS, N_RESAMPLES
from rbcore.inference.significance import FEWEST, FEWEST_CORRECT, is_heavy_tailed, permutation_tests
from rbcore.measures import (
    DEFAULT_POLICY,
    Policy,
    areas_under_curves,
    sigma_bias,
    sigma_bounds_of_failed,
    split_groups,
)


def robustness_bias(
    distances: pd.DataFrame,
    by: str,
    *,
    policy: Policy = DEFAULT_POLICY,
    confidence: float = CONFIDENCE,
    n_resamples: int = N_RESAMPLES,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the robustness bias of every group of a partition, with intervals and tests.

    Intervals and tests are over test images, for the one trained model.

    Parameters
    ----------
    distances
        A table as `estimate_distances` returns it.
    by
        ``"class"``, an attribute, bins of a number or an intersection, as
        `rbcore.partitions` spells it.
    policy
        How open questions of the definition are answered.
    confidence, n_resamples, seed
        Of the symmetric bootstrap-t intervals for sigma and AUC, images resampled within groups.
    n_permutations, seed
        Of the studentized permutation tests.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``group``; ``n`` samples; ``n_correct``; ``n_failed``; ``n_fallback``;
        ``n_counted``, those that count; ``n_train``, images of it in the training split, NaN where
        that is not known; ``is_ranked``, whether at least `FEWEST` count and the group was
        trained, as far as is known; ``is_optimistic``, whether the group or its rest has fewer
        than `FEWEST_CORRECT` correct samples, so that intervals cover less than they claim;
        ``is_heavy_tailed``, see `rbcore.inference.significance.is_heavy_tailed`; ``accuracy``,
        with ``accuracy_low`` and ``accuracy_high`` (Clopper-Pearson); ``auc``, the area under I_P
        (L2), with ``auc_low`` and ``auc_high``; ``sigma`` (eq. 3; negative, less robust than the
        rest), with ``low`` and ``high``; ``failed_low`` and ``failed_high``, sigma if the failed
        samples had counted worst and best; ``p`` of sigma = 0, ``p_holm`` and ``p_bh`` after
        corrections over the groups that are ranked; ``p_global``, the same in every row, of "no
        group differs from its rest".

    Raises
    ------
    MeasureError, UnknownNameError
        As `rbcore.measures.split_groups`; and if the partition has one group only.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> distances = rb.stored_distances(run, "last", "minimal").rows
    >>> bias = rb.robustness_bias(distances, by="class").set_index("group")
    >>> bias.loc["8", ["sigma", "low", "high"]].astype(float).round(2).to_list()
    [-0.37, -0.49, -0.23]
    """
    grouped = split_groups(distances, by, policy)
    sigma = sigma_bias(grouped)
    intervals = bootstrap_intervals(
        grouped, confidence=confidence, n_resamples=n_resamples, seed=seed
    )
    tests = permutation_tests(grouped, n_permutations=n_permutations, seed=seed)
    accuracy_low, accuracy_high = accuracy_interval(grouped, confidence)
    failed_low, failed_high = sigma_bounds_of_failed(grouped)
    n_counted = group_sizes(grouped).astype(int)
    n_correct = np.array([correct.sum() for correct in grouped.is_correct])
    return pd.DataFrame(
        {
            "group": grouped.groups,
            "n": grouped.n,
            "n_correct": grouped.n_correct,
            "n_failed": grouped.n_failed,
            "n_fallback": grouped.n_fallback,
            "n_counted": n_counted,
            "n_train": grouped.n_train,
            "is_ranked": (n_counted >= FEWEST) & (grouped.n_train != 0),
            "is_optimistic": np.minimum(n_correct, n_correct.sum() - n_correct) < FEWEST_CORRECT,
            "is_heavy_tailed": [is_heavy_tailed(values) for values in grouped.capped()],
            "accuracy": grouped.n_correct / grouped.n,
            "accuracy_low": accuracy_low,
            "accuracy_high": accuracy_high,
            "auc": areas_under_curves(grouped),
            "auc_low": intervals.auc_low,
            "auc_high": intervals.auc_high,
            "sigma": sigma,
            "low": intervals.sigma_low,
            "high": intervals.sigma_high,
            "failed_low": failed_low,
            "failed_high": failed_high,
            "p": tests.p,
            "p_holm": tests.p_holm,
            "p_bh": tests.p_bh,
            "p_global": tests.p_global,
        }
    )
