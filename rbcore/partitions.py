"""Partitions of a table of samples into groups: by class, or by any categorical attribute."""

import pandas as pd
from pandas.api.types import is_numeric_dtype

from rbcore.errors import MeasureError
from rbcore.registry import unknown_name

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
    "perturbed_prediction",
)
"""Columns of a table of distances that describe a result; every other column is a class or an attribute."""


def partition_names(table: pd.DataFrame) -> list[str]:
    """Return the partitions a table of distances offers, the class first."""
    return [name for name in table.columns if name not in RESULT_COLUMNS and not is_numeric_dtype(table[name])]


def group_labels(table: pd.DataFrame, by: str) -> pd.Series:
    """Return the group of each row as text, shape (n,).

    Parameters
    ----------
    table
        A table of distances, or any table with a column ``class`` and columns of attributes.
    by
        ``"class"`` or the name of a categorical attribute.

    Raises
    ------
    UnknownNameError
        If the table has no such partition.
    MeasureError
        If the attribute is numeric, or missing for some rows.
    """
    if by in table.columns and by not in RESULT_COLUMNS and is_numeric_dtype(table[by]):
        raise MeasureError(
            f"{by!r} is a number, not a group. Partition by one of: {', '.join(partition_names(table))}."
        )
    if by not in partition_names(table):
        raise unknown_name("partition", by, partition_names(table))
    labels = table[by]
    if labels.isna().any():
        raise MeasureError(f"{int(labels.isna().sum())} of {len(labels)} rows have no value of {by!r}.")
    return labels.astype(str)


def group_order(labels: pd.Series) -> list[str]:
    """Return the groups in the order in which they are always shown: numbers by value, then names by alphabet."""

    def rank(name: str) -> tuple[bool, float, str]:
        head = name.split("-")[0].rstrip("+")
        return (False, float(head), name) if head.isdecimal() else (True, 0.0, name.casefold())

    return sorted(labels.unique(), key=rank)
