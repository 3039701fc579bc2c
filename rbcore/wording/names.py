"""Parts of a sentence: names of groups, lists of names, p-values."""

import re
from collections.abc import Sequence

import numpy as np

BARE_NUMBER = re.compile(r"<?\d+(\.\d+)?(-\d+(\.\d+)?|\+)?")


def name_of_group(group: str, kind: str, *, begins: bool = False) -> str:
    """Return a group's name for a sentence: a bare number or range with what it counts, "digit 8".

    Where it ``begins`` the sentence that is "Digit 8"; a name that is not a number
    stays as it was given.
    """
    if not kind or not BARE_NUMBER.fullmatch(group):
        return group
    return f"{kind[0].upper() if begins else kind[0]}{kind[1:]} {group}"


def listed(names: Sequence[str], *, most: int | None = None, more: str = "more") -> str:
    """Return names as a sentence lists them: "a", "a and b", "a, b and c".

    Where there are more than ``most``, the rest is counted: "a, b and 7 more".
    """
    n_more = 0 if most is None else max(0, len(names) - most)
    said = [*names[: len(names) - n_more], *([f"{n_more:,} {more}"] if n_more else [])]
    return " and ".join(filter(None, [", ".join(said[:-1]), said[-1]]))


def p_in_words(p: float) -> str:
    """Return a p-value as it is printed: ``p = .003``, ``p < .001``, ``p = 1``.

    NaN as ``p not defined``.
    """
    if np.isnan(p):
        return "p not defined"
    if p < 0.001:
        return "p < .001"
    return "p = 1" if p >= 0.9995 else f"p = {p:.3f}".replace("0.", ".", 1)
