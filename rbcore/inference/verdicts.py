"""What a table of robustness bias shows, in words: by the tests after Holm's correction, never by the size of sigma alone."""

import re

import numpy as np
import pandas as pd

from rbcore.inference.resampling import CONFIDENCE
from rbcore.inference.significance import FEWEST

LEVEL = 0.05
"""Chance of claiming any difference of a partition where there is none."""

FEWEST_CORRECT = 30
"""Correct samples below which an interval covers less often than it claims."""

LESS_ROBUST, NO_DIFFERENCE, MORE_ROBUST = "less robust", "no difference shown", "more robust"
UNDEFINED = "not defined"
TOO_FEW = "too few images"


def verdicts(bias: pd.DataFrame) -> np.ndarray:
    """Return for every row of a table of `robustness_bias` what its test shows after Holm's correction, shape (n,), one of five."""
    sigma, p = bias["sigma"].to_numpy(np.float64), bias["p_holm"].to_numpy(np.float64)
    is_shown = p <= LEVEL
    conditions = [
        ~bias["is_ranked"].to_numpy(bool),
        np.isnan(sigma) | np.isnan(p),
        is_shown & (sigma < 0),
        is_shown & (sigma > 0),
    ]
    return np.select(conditions, [TOO_FEW, UNDEFINED, LESS_ROBUST, MORE_ROBUST], NO_DIFFERENCE)


def verdict_phrases(bias: pd.DataFrame) -> list[str]:
    """Return the verdict of every row with what it rests on: "less robust (p = .003 after Holm)", "too few images (n = 7)"."""
    phrases = []
    for shown, n, p in zip(verdicts(bias), bias["n_counted"], bias["p_holm"], strict=True):
        if shown == TOO_FEW:
            phrases.append(f"{TOO_FEW} (n = {n:,})")
        elif shown == UNDEFINED:
            phrases.append(f"{UNDEFINED}: the rest has no area")
        else:
            phrases.append(f"{shown} ({p_in_words(p)} after Holm)")
    return phrases


def p_in_words(p: float) -> str:
    """Return a p-value as it is printed: ``p = .003``, ``p < .001``, ``p = 1``; NaN as ``p not defined``."""
    if np.isnan(p):
        return "p not defined"
    if p < 0.001:
        return "p < .001"
    return "p = 1" if p >= 0.9995 else f"p = {p:.3f}".replace("0.", ".", 1)


def least_robust(bias: pd.DataFrame) -> pd.Series | None:
    """Return the row of lowest sigma among the groups shown to be less robust; if none is, among all that are ranked; else None."""
    ranked = bias[bias["is_ranked"] & bias["sigma"].notna()]
    shown = ranked[verdicts(ranked) == LESS_ROBUST]
    among = ranked if shown.empty else shown
    return None if among.empty else among.iloc[int(among["sigma"].argmin())]


BARE_NUMBER = re.compile(r"<?\d+(\.\d+)?(-\d+(\.\d+)?|\+)?")


def name_of_group(group: str, kind: str, *, begins: bool = False) -> str:
    """Return a group's name for a sentence: a bare number, or a range of them, with what it counts, as in "digit 8".

    Where it ``begins`` the sentence that is "Digit 8"; a name that is not a number stays as it was given.
    """
    if not kind or not BARE_NUMBER.fullmatch(group):
        return group
    return f"{kind[0].upper() if begins else kind[0]}{kind[1:]} {group}"


def verdict(bias: pd.DataFrame, confidence: float = CONFIDENCE, *, kind: str = "") -> str:
    """Say in words which group of a table of `robustness_bias` is least robust, by how much, and how sure that is.

    Parameters
    ----------
    bias, confidence
        The table, and the confidence of its intervals.
    kind
        What the groups are, as "digit", for names that are bare numbers; see `name_of_group`.
    """
    row = least_robust(bias)
    if row is None:
        return (
            f"No group can be ranked: in each fewer than {FEWEST} images count, or sigma is not defined "
            f"(n = {int(bias['n'].sum())} in all)."
        )
    interval = f"{confidence:.0%} bootstrap interval [{row['low']:+.2f}, {row['high']:+.2f}]"
    if not np.isfinite(row["high"] - row["low"]):
        interval = "no interval, since too few images are correct"
    elif row["is_optimistic"]:
        interval += f", optimistic with fewer than {FEWEST_CORRECT} correct images"
    counted = "" if row["n_counted"] == row["n"] else f", of which {row['n_counted']:,} count"
    numbers = (
        f"sigma = {row['sigma']:+.2f}, {interval}, {p_in_words(row['p_holm'])} after Holm, n = {row['n']:,}{counted}"
    )
    name = name_of_group(row["group"], kind)
    first = name_of_group(row["group"], kind, begins=True)
    (shown,) = verdicts(row.to_frame().T)
    if shown != LESS_ROBUST:
        return f"No group is shown to be less robust than the rest: no difference is shown for the lowest, {name} ({numbers})."
    lowest = bias[bias["is_ranked"]].sort_values("sigma").iloc[0]
    but = (
        ""
        if lowest["group"] == row["group"]
        else f" {name_of_group(lowest['group'], kind)} is lower still, but no difference is shown for it."
    )
    return (
        f"{first} is the least robust group: the area under its curve is {-row['sigma']:.0%} smaller than that of "
        f"the rest ({numbers}).{but}"
    )
