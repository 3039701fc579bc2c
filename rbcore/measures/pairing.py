"""The same images in two tables: what every comparison of epochs, models or methods begins with."""

from collections.abc import Sequence

import pandas as pd

from rbcore.errors import MeasureError
from rbcore.measures.tables import checked
from rbcore.partitions import group_labels
from rbcore.sampling import proportional


def paired(
    first: pd.DataFrame, second: pd.DataFrame, also: Sequence[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of the images that both tables hold, in the first one's order.

    Parameters
    ----------
    first, second
        Tables of distances; of stratified ones their proportional part.
    also
        Columns that must be there beside ``sample_id``; see `rbcore.measures.tables.checked`.

    Raises
    ------
    MeasureError
        If the tables have no image in common, and as `rbcore.measures.tables.checked`.
    """
    left, right = (
        proportional(checked(rows, ("sample_id", *also))).set_index("sample_id", drop=False)
        for rows in (first, second)
    )
    common = left.index.intersection(right.index, sort=False)
    if common.empty:
        raise MeasureError(
            "The two tables have no image in common; compare tables of the same "
            "dataset, size and seed."
        )
    return left.loc[common].reset_index(drop=True), right.loc[common].reset_index(drop=True)


def paired_labels(first: pd.DataFrame, second: pd.DataFrame, by: str) -> pd.Series:
    """Return the group of each image of two `paired` tables, shape (n,).

    Raises
    ------
    MeasureError
        If the tables put an image into different groups.
    """
    labels = group_labels(first, by)
    refuse_moved(first["sample_id"], by, labels, group_labels(second, by))
    return labels


def refuse_moved(samples: pd.Series, what: str, first: pd.Series, second: pd.Series) -> None:
    """Refuse facts of the same samples that differ: the tables are then not of the same data."""
    moved = first.ne(second)
    if moved.any():
        at = int(moved.to_numpy().argmax())
        raise MeasureError(
            f"The two tables disagree on the {what} of {int(moved.sum()):,} images, the "
            f"first being {samples[at]!r}: {first[at]!r} and {second[at]!r}. They were "
            "made from different data; compute one of them again."
        )
