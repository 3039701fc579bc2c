"""What a table of robustness bias shows, in words.

A verdict follows the tests after Holm's correction, never the size of sigma alone.
"""

import numpy as np
import pandas as pd

from rbcore.inference.resampling import CONFIDENCE
from rbcore.inference.significance import FEWEST, FEWEST_CORRECT
from rbcore.wording.names import listed, name_of_group, p_in_words

LEVEL = 0.05
"""Chance of claiming any difference of a partition where there is none."""

LARGEST_FALLBACK_SHARE = 0.1
"""Share of the correct images with a fallback above which a table says little of the network."""


MOST_NAMED = 3
"""Groups that a sentence names before it counts the others."""

LESS_ROBUST, NO_DIFFERENCE, MORE_ROBUST = "less robust", "no difference shown", "more robust"
UNDEFINED = "not defined"
TOO_FEW = "too few images"
NEVER_TRAINED = "never trained"
"""The training split holds no image of the group, so its sigma says nothing about how the network
treats those it knows.
"""


def verdicts(bias: pd.DataFrame) -> np.ndarray:
    """Return for every row of a table of `robustness_bias` what its test shows, shape (n,).

    One of six verdicts, after Holm's correction.
    """
    sigma, p = bias["sigma"].to_numpy(np.float64), bias["p_holm"].to_numpy(np.float64)
    is_shown = p <= LEVEL
    conditions = [
        is_untrained(bias),
        ~bias["is_ranked"].to_numpy(bool),
        np.isnan(sigma) | np.isnan(p),
        is_shown & (sigma < 0),
        is_shown & (sigma > 0),
    ]
    return np.select(
        conditions, [NEVER_TRAINED, TOO_FEW, UNDEFINED, LESS_ROBUST, MORE_ROBUST], NO_DIFFERENCE
    )


def is_untrained(bias: pd.DataFrame) -> np.ndarray:
    """Return for every row of a table of `robustness_bias` whether its group was never trained.

    bool, shape (n,): whether the group is known to have no training image.
    """
    return (
        np.asarray(bias["n_train"] == 0) if "n_train" in bias else np.zeros(len(bias), dtype=bool)
    )


def verdict_phrases(bias: pd.DataFrame) -> list[str]:
    """Return the verdict of every row with what it rests on.

    As "less robust (p = .003 after Holm)", or "too few images (n = 7)".
    """
    phrases = []
    for shown, n, p in zip(verdicts(bias), bias["n_counted"], bias["p_holm"], strict=True):
        if shown == NEVER_TRAINED:
            phrases.append(f"{NEVER_TRAINED} (n = {n:,})")
        elif shown == TOO_FEW:
            phrases.append(f"{TOO_FEW} (n = {n:,})")
        elif shown == UNDEFINED:
            phrases.append(f"{UNDEFINED}: the rest has no area")
        else:
            phrases.append(f"{shown} ({p_in_words(p)} after Holm)")
    return phrases


def least_robust(bias: pd.DataFrame) -> pd.Series | None:
    """Return the row of lowest sigma among the groups shown to be less robust.

    If none is, among all that are ranked; else None.
    """
    ranked = bias[bias["is_ranked"] & bias["sigma"].notna()]
    shown = ranked[verdicts(ranked) == LESS_ROBUST]
    among = ranked if shown.empty else shown
    return None if among.empty else among.iloc[int(among["sigma"].argmin())]


def too_few_but_lower(bias: pd.DataFrame, than: float | None = None) -> pd.DataFrame:
    """Return the rows of groups too small to be tested that lie no higher than the least robust.

    The lowest first. What a headline must not be silent on.

    Parameters
    ----------
    bias
        A table of `robustness_bias`.
    than
        The sigma they lie no higher than; of `least_robust` where none is given, and 0 where
        no group is ranked.
    """
    if than is None:
        least = least_robust(bias)
        than = 0.0 if least is None else float(least["sigma"])
    few = bias[
        bias["is_ranked"].eq(False)
        & ~is_untrained(bias)
        & (bias["sigma"] <= than)
        & (bias["sigma"] < 0)
    ]
    return few.sort_values("sigma", kind="stable")


def fallback_warning(n_fallback: int, n_correct: int) -> str:
    """Return a sentence of caution if more than a tenth of the correct images have a fallback.

    It belongs wherever a number of the table is shown. Nothing otherwise. A fallback is no attack:
    its distance, toward the nearest image of another class, is about twice as long, and more so
    for some groups than for others.
    """
    if n_fallback <= LARGEST_FALLBACK_SHARE * n_correct:
        return ""
    return (
        f"Caution: the distances of {n_fallback / n_correct:.0%} of the correct images "
        f"({n_fallback:,} of {n_correct:,}) are fallbacks, which no attack found; size and sign "
        "of sigma may come from them. Use minimal, or a larger budget."
    )


def caution_of(bias: pd.DataFrame) -> str:
    """Return what must be said beside any number of a table of `robustness_bias`.

    Nothing where there is nothing to say.
    """
    said = []
    if "n_fallback" in bias.columns:
        said.append(fallback_warning(int(bias["n_fallback"].sum()), int(bias["n_correct"].sum())))
    if "is_heavy_tailed" in bias.columns and bias["is_heavy_tailed"].any():
        heavy = [str(group) for group in bias.loc[bias["is_heavy_tailed"], "group"]]
        said.append(
            "Caution: a few very large distances carry most of the spread of "
            f"{listed(heavy, most=MOST_NAMED)}, so that "
            "p-values and intervals may be optimistic; set an upper limit of tau, or see curves."
        )
    return " ".join(filter(None, said))


def verdict(bias: pd.DataFrame, confidence: float = CONFIDENCE, *, kind: str = "") -> str:
    """Say in words which group is least robust, by how much, and with what confidence.

    Parameters
    ----------
    bias
        A table of `robustness_bias`.
    confidence
        Of its intervals.
    kind
        What the groups are, as "digit", for names that are bare numbers; see `name_of_group`.

    Examples
    --------
    >>> import rbcore as rb
    >>> (run,) = rb.list_runs("digits", "small_cnn")
    >>> bias = rb.robustness_bias(rb.stored_distances(run, "last", "minimal").rows, by="class")
    >>> print(rb.verdict(bias, kind="digit").partition(":")[0])
    Digit 8 is the least robust group
    """
    caution = caution_of(bias)
    said = _verdict(bias, confidence, kind)
    return f"{said} {caution}" if caution else said


def _verdict(bias: pd.DataFrame, confidence: float, kind: str) -> str:
    untrained = _untrained_in_words(bias, kind)
    known = bias[~is_untrained(bias)]
    row = least_robust(bias)
    if row is None:
        return (
            f"No group can be ranked: in each fewer than {FEWEST} images count, or sigma is not "
            f"defined (n = {int(bias['n'].sum())} in "
            f"all).{_too_few_in_words(bias, kind)}{untrained}"
        )
    interval = f"{confidence:.0%} bootstrap interval [{row['low']:+.2f}, {row['high']:+.2f}]"
    if not np.isfinite(row["high"] - row["low"]):
        interval = "no interval, since too few images are correct"
    elif row["is_optimistic"]:
        interval += f", optimistic with fewer than {FEWEST_CORRECT} correct images"
    numbers = (
        f"sigma = {row['sigma']:+.2f}, {interval}, {p_in_words(row['p_holm'])} after Holm, "
        f"{size_in_words(row['n'], row['n_counted'])}"
    )
    name = name_of_group(row["group"], kind)
    first = name_of_group(row["group"], kind, begins=True)
    (shown,) = verdicts(row.to_frame().T)
    if shown != LESS_ROBUST:
        few = " with enough images" if (~known["is_ranked"]).any() else ""
        return (
            f"No group{few} is shown to be less robust than the rest: no difference is shown for "
            f"the lowest, {name} ({numbers}).{_too_few_in_words(bias, kind)}{untrained}"
        )
    lowest = bias[bias["is_ranked"]].sort_values("sigma").iloc[0]
    but = (
        ""
        if lowest["group"] == row["group"]
        else (
            f" {name_of_group(lowest['group'], kind)} is lower still, but no "
            "difference is shown for it."
        )
    )
    is_least = (
        f"Of the groups with enough images {name} is the least robust"
        if (~known["is_ranked"]).any()
        else f"{first} is the least robust group"
    )
    return (
        f"{is_least}: the area under its curve is {-row['sigma']:.0%} smaller than that of the "
        f"rest ({numbers}).{but}{_too_few_in_words(bias, kind)}{untrained}"
    )


def _too_few_in_words(bias: pd.DataFrame, kind: str) -> str:
    """Return a sentence on the groups of `too_few_but_lower`, after a space.

    Nothing where there is none.
    """
    few, least = too_few_but_lower(bias), least_robust(bias)
    if few.empty:
        return ""
    where = (
        "lowest"
        if least is None
        else "lower still"
        if few["sigma"].iloc[0] < least["sigma"]
        else "as low"
    )
    values = [
        f"{row['sigma']:+.2f}"
        + (" with no image classified correctly" if row["n_correct"] == 0 else "")
        for _, row in few.iloc[:MOST_NAMED].iterrows()
    ]
    more = "more group" if len(few) == MOST_NAMED + 1 else "more groups"
    names = listed(_named_with_size(few, kind), most=MOST_NAMED, more=more)
    verb, are = ("lies", "is") if len(few) == 1 else ("lie", "are")
    return f" {names} {verb} {where}, {listed(values)}, but {are} too few to test."


def _untrained_in_words(bias: pd.DataFrame, kind: str) -> str:
    """Return a sentence on the groups without a training image, after a space.

    Nothing where there is none.
    """
    rows = bias[is_untrained(bias)]
    if rows.empty:
        return ""
    names = listed(_named_with_size(rows, kind), most=MOST_NAMED)
    was, it = ("was", "it is") if len(rows) == 1 else ("were", "they are")
    return (
        f" {names} {was} never trained, so {it} not compared, but still part of "
        "the rest of every other group."
    )


def _named_with_size(rows: pd.DataFrame, kind: str) -> list[str]:
    """Return the groups at the start of a sentence, each with its n."""
    return [
        f"{name_of_group(row['group'], kind, begins=index == 0)} "
        f"({size_in_words(row['n'], row['n_counted'])})"
        for index, (_, row) in enumerate(rows.iterrows())
    ]


def size_in_words(n: float, n_counted: float) -> str:
    """Say how many images there are, and how many a measure counts: "n = 9, of which 5 count"."""
    counted = "" if n_counted == n else f", of which {n_counted:,.0f} count"
    return f"n = {n:,.0f}{counted}"
