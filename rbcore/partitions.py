"""Partitions of samples: by class, attribute, bins of a number, and by intersections of these.

How a partition is spelled, everywhere the same: ``class``; ``race``; ``age:15,25,40,60`` for a
number cut at these values (left-closed); ``gender*race`` for an intersection.
"""

import math
import re
from itertools import pairwise

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from rbcore.errors import MeasureError
from rbcore.registry import unknown_name

UNKNOWN = "unknown"
"""The group of samples whose value of an attribute is missing, beside all groups and bins."""

CLASS = "class"
"""Name of the partition by class; the column of that name holds the classes' names."""

RESULT_COLUMNS = (
    "sample_id",
    "label",
    "prediction",
    "is_correct",
    "distance",
    "bound",
    "status",
    "norm",
    "perturbed_prediction",
    "network_prediction",
    "smoothed_prediction",
    "votes",
    "sampling_weight",
    "probability",
    "perturbed_probability",
)
"""Columns of a table of distances that describe a result; every other column is a class
or an attribute.
"""

N_TRAIN = "n_train"
"""Name under which ``attrs`` of a table of distances say how many images the training split holds,
by partition and group.
"""

MOST_CODES = 10
"""Different whole numbers up to which a column of numbers is taken for codes of categories, such as
a race coded 0 to 4.
"""
FEWEST_A_CODE = 5
"""Samples of each code, in the mean, from which codes are offered as a partition: of fewer no group
could be measured.
"""

LEADING_NUMBER = re.compile(r"(?P<below><?)(?P<value>-?\d+(\.\d+)?(e[+-]?\d+)?)(?=$|-|\+| )")

TIMES = " × "  # noqa: RUF001  (the sign between the names of an intersection's parts)


def _is_number(column: pd.Series) -> bool:
    return is_numeric_dtype(column) and not is_bool_dtype(column)


def _are_codes(column: pd.Series) -> bool:
    """Return whether a column of numbers holds few different whole ones.

    Where a value is missing it may be NaN.
    """
    codes = column.dropna().unique()
    return 0 < len(codes) <= MOST_CODES and bool(
        (np.abs(codes) < 2**53).all() and (codes % 1 == 0).all()
    )


def is_coded(column: pd.Series) -> bool:
    """Return whether a column of numbers is offered as categories.

    It holds few different whole numbers, and several samples of each.
    """
    return _are_codes(column) and column.count() >= FEWEST_A_CODE * column.nunique()


def partition_names(table: pd.DataFrame) -> list[str]:
    """Return the simple partitions of a table: class, categories, and numbers that are codes."""
    return [
        name
        for name in table.columns
        if name not in RESULT_COLUMNS and (not _is_number(table[name]) or is_coded(table[name]))
    ]


def group_labels(table: pd.DataFrame, by: str) -> pd.Series:
    """Return the group of each row as text, shape (n,).

    Parameters
    ----------
    table
        A table of distances, or any table with a column ``class`` and columns of attributes.
    by
        A partition as it is spelled above.

    Raises
    ------
    UnknownNameError
        If the table has no such class or attribute.
    MeasureError
        If a number of many values is not cut into bins or has no such bins.

    Notes
    -----
    Rows without a value are in the group `UNKNOWN`, beside the others; codes are
    named as whole numbers.
    """
    parts = [_simple_labels(table, part.strip()) for part in by.split("*")]
    labels = parts[0]
    for part in parts[1:]:
        labels = labels + TIMES + part
    return labels


def _simple_labels(table: pd.DataFrame, by: str) -> pd.Series:
    name, _, cuts = by.partition(":")
    if name not in table.columns or name in RESULT_COLUMNS:
        raise unknown_name("partition", name, partition_names(table))
    column = table[name]
    is_known = column.notna().to_numpy()
    known = column[is_known]
    if _is_number(column):
        names = (
            known.astype("int64").astype(str)
            if by == name and _are_codes(column)
            else _binned(known, name, cuts)
        )
    elif cuts:
        raise MeasureError(
            f"{by!r} cuts {name!r} into bins, but it is not numeric. Partition by {name!r}."
        )
    else:
        names = _as_text(known)
    labels = np.full(len(column), UNKNOWN, dtype=object)
    labels[is_known] = names
    return pd.Series(labels, index=column.index, name=name).astype(str)


def _as_text(column: pd.Series) -> pd.Series:
    try:
        return column.astype(str)
    except UnicodeEncodeError as error:
        raise MeasureError(
            f"The column {str(column.name)!r} holds {error.object!r}, which is not text that can "
            "be written. Rename that group."
        ) from error


def _binned(column: pd.Series, name: str, cuts: str) -> pd.Series:
    try:
        edges = [float(cut) for cut in cuts.split(",")]
    except ValueError:
        edges = []
    if not edges or edges != sorted(set(edges)) or not all(map(math.isfinite, edges)):
        raise MeasureError(
            f"{name!r} is numeric; cut it at increasing values, as in "
            f"{name}:15,25,40 (not {cuts!r})."
        )
    names = [
        f"<{edges[0]:.15g}",
        *(f"{low:.15g}-{high:.15g}" for low, high in pairwise(edges)),
        f"{edges[-1]:.15g}+",
    ]
    which = np.searchsorted(edges, column.to_numpy(np.float64), side="right")
    return pd.Series(np.array(names, dtype=object)[which], index=column.index, name=name).astype(
        str
    )


def group_order(labels: pd.Series) -> list[str]:
    """Return the groups as they are always ordered: numbers by value, names, then `UNKNOWN`."""

    def rank(name: str) -> tuple[bool, bool, float, bool, str]:
        number = LEADING_NUMBER.match(name)
        if number is None:
            return name == UNKNOWN, True, 0.0, True, name.casefold()
        return False, False, float(number["value"]), not number["below"], name.casefold()

    return sorted(labels.unique(), key=rank)


def training_counts(table: pd.DataFrame, by: str, groups: list[str]) -> np.ndarray:
    """Return how many images of each group the network was trained on, float64, shape (n_groups,).

    NaN where that is not known.

    Parameters
    ----------
    table
        A table of distances as `rbcore.estimate_distances` returns it: its
        ``attrs`` hold the counts.
    by, groups
        A partition as it is spelled above, and its groups. An intersection has no image where one
        of its parts has none.
    """
    known: dict[str, dict[str, int]] = table.attrs.get(N_TRAIN, {})
    parts = [part.strip() for part in by.split("*")]
    if "*".join(parts) in known:
        counts = known["*".join(parts)]
        return np.array([counts.get(group, 0) for group in groups], dtype=np.float64)

    def is_absent(group: str) -> bool:
        named = zip(parts, group.split(TIMES), strict=False)
        return any(part in known and value not in known[part] for part, value in named)

    return np.array([0.0 if is_absent(group) else np.nan for group in groups])
