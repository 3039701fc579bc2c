"""What a mitigation changed: the same images under both models (figures 17 to 22).

The distances are those of the tables compared; the linearization that a fairness term was trained
on is in none of the numbers.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.inference import CONFIDENCE, FEWEST, bootstrap_intervals, compare_bias, curves
from rbcore.inference.paired import Change, paired_mean, paired_share
from rbcore.measures import (
    DEFAULT_POLICY,
    Policy,
    is_correct,
    is_counted,
    split_groups,
)
from rbcore.measures.pairing import paired
from rbcore.partitions import group_labels
from rbcore.registry import unknown_name

REST, ALL = "the rest", "all images"
ACCURACY, DISTANCE, AUC = "accuracy", "distance", "auc"
SIDE = "side of the comparison"
NEARLY_ALL, FAR_MORE = 0.9, 0.2
"""Share of one and the same answer, and by how much it exceeds that of any label, from which a
model counts as collapsed.
"""


@dataclass(frozen=True)
class Effect:
    """The same images under two models, by `compare`.

    Attributes
    ----------
    group
        The group that is looked at.
    n, n_group
        Images under both models, and those of the group among them.
    n_left_out
        Images that one of the tables lacks.
    policy
        The policy that was applied.
    same_answer, same_label
        Share of the images that get the second model's most frequent answer, and that have the
        most frequent label.
    bias
        As `rbcore.inference.compare_bias`, one row a group, with the intervals of either sigma:
        ``first_low``, ``first_high``, ``second_low``, ``second_high``.
    changes
        One row for ``who`` (the group, the rest, all images, then every other group) and
        ``measure``: ``accuracy`` of all images, ``distance``, the mean L2 distance of those
        classified correctly, which may be others under the second model, ``auc``, the area under
        I_P (L2); ``n``, images; ``before``, ``after``, ``change``, its paired interval ``low``,
        ``high``; ``is_shown``, whether that excludes 0, not corrected for the number of rows.
    """

    group: str
    n: int
    n_group: int
    n_left_out: int
    policy: Policy
    same_answer: float
    same_label: float
    bias: pd.DataFrame
    changes: pd.DataFrame

    @property
    def sigma(self) -> pd.Series:
        """The group's row of ``bias``."""
        return self.bias[self.bias["group"] == self.group].iloc[0]

    def change(self, who: str, measure: str) -> pd.Series:
        """Return one row of ``changes``."""
        is_row = (self.changes["who"] == who) & (self.changes["measure"] == measure)
        return self.changes[is_row].iloc[0]


def compare(
    before: pd.DataFrame,
    after: pd.DataFrame,
    by: str,
    group: str,
    *,
    policy: Policy = DEFAULT_POLICY,
) -> Effect:
    """Compare a group and the rest between two tables of distances of the same images.

    Only images in both take part.

    All intervals are paired, over test images, for these two trained models. That of sigma's change
    is of `rbcore.inference.compare_bias`, that of accuracy of `paired_share` (Bonett and Price),
    those of distances and areas of `paired_mean` (bootstrap-t). The rest is all images outside the
    group, whatever sigma is compared with under the policy.

    Raises
    ------
    UnknownNameError
        If there is no such partition or group.
    MeasureError
        As `rbcore.inference.compare_bias`.
    """
    first, second = paired(before, after, ("label", "prediction"))
    bias = compare_bias(before, after, by, policy=policy)
    groups = list(bias["group"])
    if group not in groups:
        raise unknown_name(f"group of {by}", group, groups)
    for side, rows in (("first", first), ("second", second)):
        intervals = bootstrap_intervals(split_groups(rows, by, policy))
        bias = bias.assign(
            **{f"{side}_low": intervals.sigma_low, f"{side}_high": intervals.sigma_high}
        )
    labels = group_labels(first, by).to_numpy()
    members = {group: labels == group, REST: labels != group, ALL: np.ones(len(labels), bool)}
    members |= {other: labels == other for other in groups if other != group}
    rows_of = [
        _row(who, measure, int(member.sum()), change)
        for who, member in members.items()
        for measure, change in _changes(first[member], second[member], policy).items()
    ]
    return Effect(
        group,
        len(first),
        int(members[group].sum()),
        int(bias["n_left_out"].sum()),
        policy,
        float(second["prediction"].value_counts(normalize=True).max()),
        float(second["label"].value_counts(normalize=True).max()),
        bias,
        pd.DataFrame(rows_of),
    )


def _changes(first: pd.DataFrame, second: pd.DataFrame, policy: Policy) -> dict[str, Change]:
    right = [is_correct(rows, policy) for rows in (first, second)]
    counts = [is_counted(rows, policy) for rows in (first, second)]
    values = [
        np.where(
            own & counted,
            np.minimum(rows["distance"].to_numpy(np.float64), policy.tau_max or np.inf),
            0.0,
        )
        for rows, own, counted in zip((first, second), right, counts, strict=True)
    ]
    correct = [own & counted for own, counted in zip(right, counts, strict=True)]
    return {
        ACCURACY: paired_share(right[0], right[1]),
        DISTANCE: paired_mean(*values, *correct),
        AUC: paired_mean(*values, *counts),
    }


def _row(who: str, measure: str, n: int, change: Change) -> dict[str, object]:
    numbers = {"before": change.before, "after": change.after, "change": change.difference}
    ends = {"low": change.low, "high": change.high, "is_shown": change.is_shown}
    return {"who": who, "measure": measure, "n": n, **numbers, **ends}


def in_points(change: pd.Series) -> str:
    """Return a change of accuracy as it is said: ``97.1% to 96.0% (-1.1 points [-1.9, -0.2])``."""
    return (
        f"{change['before']:.1%} to {change['after']:.1%} ({100 * change['change']:+.1f} points "
        f"[{100 * change['low']:+.1f}, {100 * change['high']:+.1f}])"
    )


def in_l2(change: pd.Series) -> str:
    """Return a change of a distance or an area: ``0.210 to 0.290 (+0.080 [+0.060, +0.100])``."""
    interval = (
        f"[{change['low']:+.3f}, {change['high']:+.3f}]"
        if np.isfinite(change["high"])
        else "no interval"
    )
    return f"{change['before']:.3f} to {change['after']:.3f} ({change['change']:+.3f} {interval})"


def verdict_on_mitigation(effect: Effect) -> str:
    """Say whether the gap between a group and the rest changed, and which side moved."""
    row, group = effect.sigma, effect.group
    first, second, change = (
        float(row[name]) for name in ("sigma_first", "sigma_second", "difference")
    )
    of_all = f"n = {effect.n_group:,} of {effect.n:,}"
    if not row["is_ranked"]:
        return (
            f"Nothing can be said of {group}: fewer than {FEWEST} of its images count ({of_all})."
        )
    if not np.isfinite(change):
        return f"Nothing can be said of {group}: sigma is not defined under both models ({of_all})."
    interval = (
        f"[{row['low']:+.2f}, {row['high']:+.2f}]" if np.isfinite(row["high"]) else "not defined"
    )
    numbers = (
        f"sigma of {group} went from {first:+.2f} to {second:+.2f} (change {change:+.2f}, "
        f"{CONFIDENCE:.0%} interval {interval}, {of_all})"
    )
    if not row["is_shown"]:
        return f"No change of the gap is shown: {numbers}."
    return (
        f"The gap {_turn(row)}, "
        f"{_because(effect, np.sign(change))}{_at_what_cost(effect)}: {numbers}."
    )


def _turn(row: pd.Series) -> str:
    first, second = row["sigma_first"], row["sigma_second"]
    is_other_side = first * second < 0
    if is_other_side and (
        row["second_low"] > 0 or row["second_high"] < 0 or abs(second) > abs(first)
    ):
        return "turned round"
    return "shrank" if abs(second) < abs(first) else "grew"


def _because(effect: Effect, direction: float) -> str:
    """Return which side moved: the group with sigma (direction), or the rest against it."""
    group = effect.group
    own, rest = (_sign(effect.change(who, AUC)) for who in (group, REST))
    word = {1: "safer", -1: "less safe"}
    is_own, is_rest = own == direction, rest == -direction
    if is_own and is_rest:
        return f"because {group} got {word[own]} and the rest {word[rest]}"
    if is_own:
        return f"because {group} got {word[own]}" + (
            ", by more than the rest" if rest else "; no change is shown for the rest"
        )
    if is_rest:
        return f"because the rest got {word[rest]}" + (
            f", by more than {group}" if own else f"; no change is shown for {group}"
        )
    return "though neither side is shown to have moved that way by itself"


def _at_what_cost(effect: Effect) -> str:
    """Return what happened to the accuracy of all images; nothing where no change is shown."""
    accuracy = effect.change(ALL, ACCURACY)
    if not accuracy["is_shown"]:
        return ""
    points = f"{100 * abs(accuracy['change']):.1f} points of accuracy"
    return f", at the cost of {points}" if accuracy["change"] < 0 else f", with a gain of {points}"


def _sign(change: pd.Series) -> int:
    return int(np.sign(change["change"])) if change["is_shown"] else 0


def has_collapsed(effect: Effect) -> bool:
    """Whether the second model gives nearly all images one answer: hard to attack and useless."""
    return effect.same_answer >= NEARLY_ALL and effect.same_answer - effect.same_label >= FAR_MORE


def parts_in_words(effect: Effect) -> str:
    """Say how the area moved on either side, and its two parts.

    And what happened to the accuracy of all.
    """
    sides = []
    for who in (effect.group, REST):
        area, distance, accuracy = (effect.change(who, what) for what in (AUC, DISTANCE, ACCURACY))
        sides.append(
            f"{who} (n = {accuracy['n']:,}): area under the curve {in_l2(area)}, which is mean "
            f"distance of correct images {in_l2(distance)} times accuracy {in_points(accuracy)}"
        )
    return (
        f"{'; '.join(sides)}. Accuracy of all {effect.n:,} images: "
        f"{in_points(effect.change(ALL, ACCURACY))}."
    )


def curves_of_sides(
    before: pd.DataFrame,
    after: pd.DataFrame,
    by: str,
    group: str,
    *,
    taus: np.ndarray,
    policy: Policy = DEFAULT_POLICY,
) -> pd.DataFrame:
    """Return `rbcore.inference.curves` of a group and the rest, ``when`` before and after."""
    tables = []
    for when, rows in zip(("before", "after"), paired(before, after), strict=True):
        tables.append(
            curves(with_sides(rows, by, group), SIDE, taus=taus, policy=policy).assign(when=when)
        )
    return pd.concat(tables, ignore_index=True)


def with_sides(rows: pd.DataFrame, by: str, group: str) -> pd.DataFrame:
    """Return a table of distances with the column `SIDE`: the group, or the rest."""
    return rows.assign(**{SIDE: np.where(group_labels(rows, by) == group, group, REST)})
