"""How often two methods, or two epochs, agree on the sign of sigma (7.1, 7.2, 8.1, 8.3, Table 1).

The paper gives a percentage. Beside it stand its denominator, an interval, Cohen's kappa (agreement
beyond what two methods with these shares of signs reach by chance), and the mean and variance of
the differences of sigma.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.inference import CONFIDENCE, mean_interval, wilson_interval
from rbcore.measures import DEFAULT_POLICY, Policy, sigma_bias, split_groups
from rbcore.measures.pairing import paired, paired_labels
from rbcore.wording import UNDEFINED

ALL = "all"


@dataclass(frozen=True)
class Agreement:
    """Agreement of two sigmas over a number of groups.

    Attributes
    ----------
    n, n_same
        Groups with a sigma on both sides, and those of them with the same sign
        (below, at or above 0).
    n_undefined
        Groups that were left out, since a sigma is NaN.
    share, low, high
        ``n_same / n`` with its Wilson interval. It takes groups as independent, which those of one
        partition are not quite.
    kappa
        Cohen's kappa of the signs; NaN where both sides have one and the same sign throughout.
    mean_difference, mean_low, mean_high
        Mean of first minus second, with its interval by Student's t over groups; NaN ends for
        fewer than two groups.
    variance_of_differences
        Sample variance (n - 1) of first minus second; NaN for fewer than two groups.
    """

    n: int
    n_same: int
    n_undefined: int
    share: float
    low: float
    high: float
    kappa: float
    mean_difference: float
    mean_low: float
    mean_high: float
    variance_of_differences: float


def sign_agreement(
    first: np.ndarray, second: np.ndarray, *, confidence: float = CONFIDENCE
) -> Agreement:
    """Compare two sigmas of the same groups, each shape (n,).

    Raises
    ------
    MeasureError
        If the shapes differ or no group has a sigma on both sides.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape:
        raise MeasureError(
            f"{len(first)} values of sigma cannot be paired with {len(second)}; "
            "give as many of each."
        )
    is_known = np.isfinite(first) & np.isfinite(second)
    n = int(is_known.sum())
    if n == 0:
        raise MeasureError("No group has a sigma on both sides, so no sign can be compared.")
    signs = np.sign(first[is_known]), np.sign(second[is_known])
    same = signs[0] == signs[1]
    low, high = wilson_interval(np.array(same.mean()), n, confidence)
    differences = first[is_known] - second[is_known]
    mean_low, mean_high = mean_interval(differences, confidence)
    return Agreement(
        n=n,
        n_same=int(same.sum()),
        n_undefined=len(first) - n,
        share=float(same.mean()),
        low=float(low),
        high=float(high),
        kappa=cohens_kappa(*signs),
        mean_difference=float(differences.mean()),
        mean_low=mean_low,
        mean_high=mean_high,
        variance_of_differences=float(differences.var(ddof=1)) if n > 1 else np.nan,
    )


def cohens_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Return Cohen's kappa of two labelings, at most 1.

    NaN where chance alone would agree always.
    """
    labels = np.union1d(first, second)
    by_chance = sum(float((first == label).mean() * (second == label).mean()) for label in labels)
    observed = float((first == second).mean())
    return float("nan") if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def kappa_in_words(kappa: float) -> str:
    """Return Cohen's kappa as it is printed.

    Where chance alone would agree always, that it is not defined.
    """
    return UNDEFINED if np.isnan(kappa) else f"{kappa:.2f}"


def paired_sigmas(
    first: pd.DataFrame,
    second: pd.DataFrame,
    partitions: Sequence[str],
    *,
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame:
    """Measure sigma of every group by two tables of distances, over the images that both hold.

    A partition into two groups gives one row, of its first group: the two sigmas of such a
    partition always differ in sign, so that the second adds nothing. The paper's Table 1
    counts in the same way.

    Parameters
    ----------
    first, second
        Tables as `rbcore.distances.estimate.estimate_distances` returns them, on the same dataset.
    partitions
        As `rbcore.partitions` spells them; one that has a single group among the common
        images is left out.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``partition``, ``group``, ``n`` (images of the group in both), ``n_images``
        (of all groups), ``sigma_first``, ``sigma_second``.

    Raises
    ------
    MeasureError
        If the tables have no image in common or put one into different groups; and as
        `rbcore.measures.split_groups`.
    """
    sides = paired(first, second)
    rows: list[pd.DataFrame] = []
    for partition in partitions:
        if paired_labels(*sides, partition).nunique() < 2:
            continue
        grouped = [split_groups(side, partition, policy) for side in sides]
        table = pd.DataFrame(
            {
                "partition": partition,
                "group": grouped[0].groups,
                "n": grouped[0].n,
                "n_images": len(sides[0]),
                "sigma_first": sigma_bias(grouped[0]),
                "sigma_second": sigma_bias(grouped[1]),
            }
        )
        rows.append(table.head(1) if len(table) == 2 else table)
    columns = ["partition", "group", "n", "n_images", "sigma_first", "sigma_second"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def agreement_of(pairs: pd.DataFrame, *, confidence: float = CONFIDENCE) -> Agreement:
    """Summarize a table of `paired_sigmas`, or several of them joined; see `sign_agreement`."""
    return sign_agreement(
        pairs["sigma_first"].to_numpy(), pairs["sigma_second"].to_numpy(), confidence=confidence
    )


def agreement_by_partition(
    first: pd.DataFrame,
    second: pd.DataFrame,
    partitions: Sequence[str],
    *,
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame:
    """Summarize `paired_sigmas` for every partition, and for all of them together (as Table 1).

    Returns
    -------
    pandas.DataFrame
        One row a partition in which some group has a sigma on both sides, then ``all`` where there
        is more than one: ``partition`` and the attributes of `Agreement`.
    """
    pairs = paired_sigmas(first, second, partitions, policy=policy)
    is_known = np.isfinite(pairs[["sigma_first", "sigma_second"]].to_numpy(np.float64)).all(axis=1)
    names = list(dict.fromkeys(pairs.loc[is_known, "partition"]))
    rows = [
        {"partition": name, **asdict(agreement_of(pairs[pairs["partition"] == name]))}
        for name in names
    ]
    if len(names) > 1:
        rows.append({"partition": ALL, **asdict(agreement_of(pairs))})
    return pd.DataFrame(rows)
