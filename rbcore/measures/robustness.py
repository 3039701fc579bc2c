"""The measures of robustness bias: closed forms, float64, no grid and no sampling.

========  ==========================================================================================
I_P(tau)  share of the group P that is classified correctly and farther than tau from the
          boundary (eq. 4-6)
AUC       area under I_P over tau; exactly the mean over P of the distance, with 0
          where misclassified
RB        ``|Pr[d > tau | P, correct] - Pr[d > tau | not P, correct]|`` (eq. 2)
sigma     ``(AUC(P) - AUC(rest)) / AUC(rest)`` (eq. 3): negative, P is less robust than the
          rest; positive, more
========  ==========================================================================================

Distances are L2 in [0, 1] pixel space. What the paper leaves open is a `Policy`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError
from rbcore.measures.policy import DEFAULT_POLICY, Policy
from rbcore.measures.tables import Status, checked
from rbcore.partitions import group_labels, group_order, training_counts
from rbcore.registry import unknown_name
from rbcore.sampling import WEIGHT, readable

LARGEST_FAILED_SHARE = 0.01


@dataclass(frozen=True)
class Grouped:
    """A table of distances, split into groups and reduced to the samples that count under a policy.

    Attributes
    ----------
    groups
        Names of the groups, in the order in which they are shown.
    values
        For each group the distances that count, float64: 0 where misclassified (under ``zero``).
    is_correct
        For each group, whether each of these samples is classified correctly.
    n, n_correct, n_failed, n_fallback
        For each group all its samples, those classified correctly, those without a distance, and
        those whose distance is a fallback.
    n_train
        For each group the images it was trained on, float64; NaN where that is not known.
    sampling_weights
        For each group how many images of the split each of its samples stands for; 1 unless the
        table is stratified.
    policy
        The policy that was applied.
    """

    groups: list[str]
    values: list[np.ndarray]
    is_correct: list[np.ndarray]
    n: np.ndarray
    n_correct: np.ndarray
    n_failed: np.ndarray
    n_fallback: np.ndarray
    n_train: np.ndarray
    sampling_weights: np.ndarray
    policy: Policy

    def index(self, group: str) -> int:
        """Return the position of a group, or raise `UnknownNameError`."""
        if group not in self.groups:
            raise unknown_name("group", group, self.groups)
        return self.groups.index(group)

    @property
    def pooled_weights(self) -> np.ndarray:
        """What each group counts in a pooled rest, shape (n_groups,).

        Its samples that count, or the images they stand for.
        """
        return self.sampling_weights * np.array(
            [len(values) for values in self.values], dtype=np.float64
        )

    def capped(self) -> list[np.ndarray]:
        """Return the values, at most ``tau_max``: their mean is the area under I_P up to it."""
        if self.policy.tau_max is None:
            return self.values
        return [np.minimum(values, self.policy.tau_max) for values in self.values]


def is_correct(distances: pd.DataFrame, policy: Policy = DEFAULT_POLICY) -> np.ndarray:
    """Return which rows of a table of distances are classified correctly, shape (n,), bool.

    ``correct_by`` says by whom.
    """
    if (
        policy.correct_by == "network" and "network_prediction" in distances
    ):  # only where the distances are g's
        return (distances["network_prediction"] == distances["label"]).to_numpy(bool)
    return distances["is_correct"].to_numpy(bool)


def is_counted(distances: pd.DataFrame, policy: Policy = DEFAULT_POLICY) -> np.ndarray:
    """Return which rows of a checked table of distances count under a policy, shape (n,), bool.

    `Policy` says which.
    """
    counts = (distances["status"] != Status.FAILED).to_numpy(bool)
    return counts if policy.misclassified == "zero" else counts & is_correct(distances, policy)


def split_groups(distances: pd.DataFrame, by: str, policy: Policy = DEFAULT_POLICY) -> Grouped:
    """Split a table of distances into the groups of a partition.

    Of a stratified one as `rbcore.sampling` says.

    Raises
    ------
    MeasureError
        If the table is empty or none of distances, as `rbcore.measures.tables.checked` says; if a
        group has no sample that counts, or too many of a group failed under ``failed="raise"``.
    UnknownNameError
        If the table has no such partition.
    """
    distances = checked(distances)
    if distances.empty:
        raise MeasureError("The table of distances has no rows, so no group can be measured.")
    labels = group_labels(distances, by)
    distances = readable(distances, labels)
    labels = labels.loc[distances.index] if len(distances) < len(labels) else labels
    correct = is_correct(distances, policy)
    distance = distances["distance"].to_numpy(np.float64)
    failed, fallback = (
        (distances["status"] == status).to_numpy() for status in (Status.FAILED, Status.FALLBACK)
    )
    weights = (
        distances[WEIGHT].to_numpy(np.float64)
        if WEIGHT in distances.columns
        else np.ones(len(distances))
    )
    counts = is_counted(distances, policy)
    value = np.where(correct, distance, 0.0)
    groups = group_order(labels)
    members = [(labels == group).to_numpy() for group in groups]
    for group, member in zip(groups, members, strict=True):
        n_failed = int(failed[member].sum())
        if policy.failed == "raise" and n_failed > LARGEST_FAILED_SHARE * member.sum():
            raise MeasureError(
                f"No distance was found for {n_failed} of {member.sum()} samples of "
                f"the group {group!r}."
            )
        if not counts[member].any():
            raise MeasureError(
                f"The group {group!r} has {member.sum()} samples, but none that counts "
                f"(misclassified={policy.misclassified!r})."
            )
    return Grouped(
        groups,
        [value[member & counts] for member in members],
        [correct[member & counts] for member in members],
        np.array([member.sum() for member in members]),
        np.array([correct[member].sum() for member in members]),
        np.array([failed[member].sum() for member in members]),
        np.array([fallback[member].sum() for member in members]),
        training_counts(distances, by, groups),
        np.array([weights[member].mean() for member in members]),
        policy,
    )


def proportion_beyond(values: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """Return I_P(tau), the share of values greater than each tau (eq. 4-6).

    Shape as ``taus``, in [0, 1].
    """
    ordered = np.sort(values)
    shares: np.ndarray = 1.0 - np.searchsorted(ordered, taus, side="right") / len(ordered)
    return shares


def rest_weights(weights: np.ndarray, rest: str) -> np.ndarray:
    """Return what every area weighs in each group's rest, shape (n_groups, n_groups).

    Row P times the areas is the area of P's rest; the diagonal is 0, and the rows add up to 1,
    under ``sum`` to n_groups - 1.

    Parameters
    ----------
    weights
        Samples that count in each group, shape (n_groups,).
    rest
        ``pooled | mean | sum``.

    Raises
    ------
    MeasureError
        If there is one group only.
    """
    n_groups = len(weights)
    if n_groups < 2:
        raise MeasureError(
            "The partition has one group only, so there is no rest to compare it with."
        )
    others = (~np.eye(n_groups, dtype=bool)).astype(np.float64)
    if rest == "pooled":
        others *= weights
    if rest != "sum":
        others /= others.sum(axis=1, keepdims=True)
    return others


def rest_of_areas(areas: np.ndarray, weights: np.ndarray, rest: str) -> np.ndarray:
    """Return for every group the area of what it is compared with; the last axis is the groups.

    Parameters
    ----------
    areas
        Area under each group's curve, shape (..., n_groups).
    weights, rest
        As `rest_weights`.
    """
    compared: np.ndarray = areas @ rest_weights(weights, rest).T
    return compared


def relative_difference(areas: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return sigma (eq. 3) from areas.

    NaN where the rest's area is 0, since nothing can be compared with it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma: np.ndarray = np.where(rest > 0, (areas - rest) / rest, np.nan)
    return sigma


def areas_under_curves(grouped: Grouped) -> np.ndarray:
    """Return AUC(I_P) of every group, the exact area up to ``tau_max``: L2, shape (n_groups,)."""
    return np.array([values.mean() for values in grouped.capped()])


def sigma_bias(grouped: Grouped) -> np.ndarray:
    """Return sigma(P) of every group (eq. 3), shape (n_groups,)."""
    areas = areas_under_curves(grouped)
    return relative_difference(
        areas, rest_of_areas(areas, grouped.pooled_weights, grouped.policy.rest)
    )


def sigma_bounds_of_failed(grouped: Grouped) -> tuple[np.ndarray, np.ndarray]:
    """Return sigma if the failed samples had counted in the worst and in the best way.

    Failed samples of the group get distance 0 and those of the rest the largest distance seen, and
    the other way round.
    """
    if not grouped.n_failed.any():
        sigma = sigma_bias(grouped)
        return sigma, sigma
    capped = grouped.capped()
    largest = max(values.max() for values in capped)
    sums, counts = (
        np.array([values.sum() for values in capped]),
        np.array([len(values) for values in capped]),
    )
    n = (counts + grouped.n_failed).astype(np.float64)
    at_zero, at_largest = sums / n, (sums + grouped.n_failed * largest) / n
    weights = grouped.sampling_weights * n
    rest_at_zero = rest_of_areas(at_zero, weights, grouped.policy.rest)
    rest_at_largest = rest_of_areas(at_largest, weights, grouped.policy.rest)
    return relative_difference(at_zero, rest_at_largest), relative_difference(
        at_largest, rest_at_zero
    )


def robustness_bias_at(grouped: Grouped, taus: np.ndarray) -> np.ndarray:
    """Return RB(P, tau) (eq. 2), shape (n_groups, len(taus)), in [0, 1].

    NaN where a side has no correct sample.

    It conditions on correct samples whatever the policy, so it is not the gap between two curves
    I_P; the rest is pooled.
    """
    result = np.full((len(grouped.groups), len(taus)), np.nan)
    for index, (own, n_own, rest, n_rest) in enumerate(correct_beyond(grouped, taus)):
        if n_own and n_rest:
            result[index] = np.abs(own - rest)
    return result


def correct_beyond(
    grouped: Grouped, taus: np.ndarray
) -> list[tuple[np.ndarray, float, np.ndarray, float]]:
    """Return the share of correct samples beyond each tau, and their number, by group and rest.

    The rest's number is how many equally weighted samples say as much (Kish); all shares are
    NaN where it is 0.
    """
    correct = [
        values[keep] for values, keep in zip(grouped.values, grouped.is_correct, strict=True)
    ]
    n = np.array([len(own) for own in correct], dtype=np.float64)
    shares = np.array(
        [proportion_beyond(own, taus) if len(own) else np.zeros(len(taus)) for own in correct]
    )
    weights = grouped.sampling_weights * n
    result = []
    for index, share in enumerate(shares):
        others = np.arange(len(n)) != index
        total = weights[others].sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            rest = weights[others] @ shares[others] / total
        n_rest = total**2 / (grouped.sampling_weights[others] @ weights[others]) if total else 0.0
        result.append((share, float(n[index]), rest, float(n_rest)))
    return result
