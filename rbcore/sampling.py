"""Which images are measured where not all are, and how a stratified sample is read.

A stratified sample takes at least so many images of every group of a partition. Within a group they
are the first ones in the split's random order, so each group is a fair draw of its own images; but
together they are not a fair draw of the split, since rare groups are over-represented. Each row
carries a *sampling weight*, how many images of the split it stands for. Two readings are right:

- groups within which all weights are equal are measured on all their rows, and pooled by their
  weights (``pooled`` rest);
- by any other partition a group's own mean would be distorted, so only a `proportional` part of
  the rows is measured.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field

from rbcore.errors import MeasureError, MethodError
from rbcore.partitions import group_labels

WEIGHT = "sampling_weight"
"""Column of a stratified table: images of the split that the row stands for."""
STRATA = "strata"
"""Name in a table's provenance, and in its ``attrs``, of the partition by which
images were drawn.
"""
USUAL_AT_LEAST = 60
"""Images of every group that are offered: enough that about 30 are correct where
every second one is.
"""
SAME = 1e-9
SPLIT = "test"
"""The split that is measured where nothing else is said."""


@dataclass(frozen=True)
class Rows:
    """Which images of a dataset are wanted; all of the test split where nothing is said.

    Attributes
    ----------
    split
        ``test``, ``train``, or ``validation`` where the dataset has one.
    limit
        Only the first N images, in a random order fixed by the dataset's seed.
    every
        Only every Nth image, in the order of the files; 5 is the paper's choice for smoothing.
    at_least, by
        At least so many images of every group of a partition (or all of a smaller group), beside
        those of ``limit`` or ``every``; without these, only they.

    Raises
    ------
    MethodError
        If a number leaves no image, or only one of ``at_least`` and ``by`` is given.

    Examples
    --------
    >>> Rows(limit=300, every=5)
    Rows(split='test', limit=300, every=5, at_least=None, by=None)
    """

    split: Annotated[
        str,
        Field(description="test, train, or validation for a run trained with --validation."),
    ] = SPLIT
    limit: Annotated[int | None, Field(ge=1, description="Only the first N images.")] = None
    every: Annotated[
        int,
        Field(
            ge=1,
            description="Only every Nth image; 5 is the paper's choice for smoothing.",
        ),
    ] = 1
    at_least: Annotated[
        int | None,
        Field(ge=1, description="At least N images of every group of --by."),
    ] = None
    by: Annotated[
        str | None,
        Field(title="PARTITION", description="With --at-least: class, an attribute, or a*b."),
    ] = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise MethodError(f"limit={self.limit} leaves no image; give a number from 1.")
        if self.every < 1:
            raise MethodError(f"every={self.every} is not a valid step; give a number from 1.")
        is_whole = self.at_least is not None and self.by is not None and self.at_least >= 1
        if not is_whole and (self.at_least, self.by) != (None, None):
            raise MethodError(
                f"at_least={self.at_least} with by={self.by!r} draws nothing: give a number from 1 "
                "and a partition, as in at_least=60, by='class'."
            )

    @classmethod
    def among(
        cls, rows: "Rows | None", keywords: Mapping[str, Any]
    ) -> tuple["Rows", dict[str, object]]:
        """Take the fields of a record out of keywords, and return it and the other keywords.

        So ``limit=300`` may stand for ``rows=Rows(limit=300)``.

        >>> Rows.among(None, {"split": "train", "steps": 20})[1]
        {'steps': 20}

        Raises
        ------
        MethodError
            If both ``rows`` and one of its fields are given.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        own = {name: value for name, value in keywords.items() if name in names}
        if rows is not None and own:
            raise MethodError(
                f"Both rows={rows} and {next(iter(own))} say which images are wanted; put all into "
                "rows."
            )
        others = {name: value for name, value in keywords.items() if name not in names}
        return rows or cls(**own), others

    def chosen(self, order: np.ndarray, samples: pd.DataFrame) -> np.ndarray:
        """Return the row numbers of the wanted images, int64, in the split's random order.

        Parameters
        ----------
        order
            Row numbers of the split in its random order, shape (n,).
        samples
            One row a sample of the dataset, with its attributes.
        """
        is_step = np.isin(order, np.sort(order)[:: self.every])
        wanted: np.ndarray = order[is_step][: self.limit]
        if self.at_least is None or self.by is None:
            return wanted
        labels = group_labels(samples.iloc[order], self.by).to_numpy()
        only_they = self.limit is None and self.every == 1
        return draw(order[:0] if only_they else wanted, order, labels, self.at_least)


def draw(base: np.ndarray, order: np.ndarray, labels: np.ndarray, at_least: int) -> np.ndarray:
    """Return the rows of a stratified sample, in the split's order.

    Parameters
    ----------
    base
        Rows that are taken in any case.
    order
        All rows of the split in its random order, shape (n,).
    labels
        The group of each of them.
    at_least
        Rows of every group that are taken, its first ones in the order; all of a
        group that has fewer.
    """
    rank = pd.Series(order).groupby(labels).cumcount().to_numpy()
    drawn: np.ndarray = order[np.isin(order, base) | (rank < at_least)]
    return drawn


def weighted(rows: pd.DataFrame, labels: pd.Series, sizes: pd.Series) -> pd.DataFrame:
    """Return rows with their sampling weights; as they are where all weights are equal.

    Parameters
    ----------
    rows
        A table of distances.
    labels
        The stratum of each row.
    sizes
        How many images of the split each stratum has, by its name.
    """
    weights = labels.map(sizes / labels.value_counts()).to_numpy(np.float64)
    if np.ptp(weights) <= SAME * weights.max():
        return rows
    return rows.assign(**{WEIGHT: weights})


def weigh_by(rows: pd.DataFrame, split: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return a table of distances with the sampling weights of images drawn by a partition.

    As it is where nothing is distorted.

    Parameters
    ----------
    rows
        Distances with attributes.
    split
        All samples of the split, with the same attributes.
    by
        As `rbcore.store.Provenance.strata` spells it; if empty, nothing is weighted.
    """
    if not by or rows.empty:
        return rows
    result = weighted(rows, group_labels(rows, by), group_labels(split, by).value_counts())
    result.attrs = {**rows.attrs, STRATA: by}
    return result


def proportional(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the part of a stratified table that is a fair draw of the split, without weights.

    It takes the same share of every stratum.
    """
    if WEIGHT not in rows.columns:
        return rows
    weights = rows[WEIGHT].to_numpy(np.float64)
    kept = np.zeros(len(rows), dtype=bool)
    for weight in np.unique(weights):
        members = np.flatnonzero(
            weights == weight
        )  # in the split's order, so that the first ones are a fair draw
        kept[members[: max(1, round(len(members) * weight / weights.max()))]] = True
    return rows[kept].drop(columns=WEIGHT)


def readable(rows: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """Return the rows that groups with these labels may be measured on.

    All where each group has one weight, else `proportional`.
    """
    if WEIGHT not in rows.columns:
        return rows
    weights = rows[WEIGHT].to_numpy(np.float64)
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise MeasureError(
            f"The column {WEIGHT!r} holds a value that is not a positive number. Estimate "
            "the distances again."
        )
    spread = rows.groupby(labels.to_numpy())[WEIGHT].agg(
        lambda own: np.ptp(own) <= SAME * own.max()
    )
    return rows if spread.all() else proportional(rows)


def share_correct(rows: pd.DataFrame) -> float:
    """Return the accuracy over a table's rows, each counted by its sampling weight."""
    return float(
        np.average(rows["is_correct"], weights=rows[WEIGHT] if WEIGHT in rows.columns else None)
    )


def in_words(rows: pd.DataFrame, labels: pd.Series) -> str:
    """Return a sentence on how a stratified table is read by groups with these labels.

    Nothing for any other table.
    """
    if WEIGHT not in rows.columns:
        return ""
    by = f" by {rows.attrs[STRATA]}" if STRATA in rows.attrs else ""
    part = readable(rows, labels)
    if len(part) == len(rows):
        return (
            f"The images were drawn{by}, so that no group has too few: each group is a fair draw "
            "of its own images, and counts in the rest of another as much as in the whole split."
        )
    return (
        f"The images were drawn{by}, which would distort these groups: they are measured on "
        f"{len(part):,} of {len(rows):,} images, a fair draw of the split."
    )
