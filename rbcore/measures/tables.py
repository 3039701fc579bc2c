"""Is it a table of distances: columns, types and words are checked before anything is measured.

What is unambiguous is taken: text "True" or 1 for a truth value, text "0.5" for a number, "Failed"
for a status. Everything else is refused with the column, the value, where it stands, and what to
do. One function does it, `checked`, and everything that measures calls it.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from rbcore.errors import MeasureError

NEEDED = {
    "is_correct": "whether the clean image is classified correctly (True or False)",
    "distance": (
        "its L2 distance to the decision boundary (a number; NaN where misclassified or failed)"
    ),
    "status": (
        "how that was found ('found' where an attack did, 'failed' where none, 'misclassified')"
    ),
}
"""What a table must hold to be measured, and what each column says."""


class Status(StrEnum):
    """How the distance of a sample came about."""

    FOUND = "found"
    FALLBACK = "fallback"
    FAILED = "failed"
    MISCLASSIFIED = "misclassified"
    EXACT = "exact"
    UNREACHABLE = "unreachable"
    CERTIFIED = "certified"
    ABSTAINED = "abstained"
    OVERRULED = "overruled"


class Bound(StrEnum):
    """What a distance is of the true one."""

    UPPER = "upper"
    LOWER = "lower"
    EXACT = "exact"


TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
"""Text that says a truth value, in small letters."""


FURTHER = {
    "sample_id": "its name, the same in every table",
    "label": "the number of its true class",
    "prediction": "the number of the class that the network says",
}
"""What some measures need beside that."""


def checked(distances: pd.DataFrame, also: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table of distances in the types and spellings that the measures expect.

    That is ``is_correct`` as bool, ``distance`` as float64, ``status`` as it is spelled here.

    A table of `rbcore.estimate_distances` comes back as it is; an empty one is not an error here.
    ``also`` names columns of `FURTHER` that must be there.

    Raises
    ------
    MeasureError
        If a column is missing or stands twice, a value cannot be read as what it must be, a sample
        stands twice, a correct sample is said to be misclassified, a distance is negative or
        infinite or missing where it must not be, or the table joins upper bounds with lower ones.
        The sentence names column, value, sample and remedy.
    """
    if not isinstance(distances, pd.DataFrame):
        raise MeasureError(
            f"A table of distances has to be a pandas DataFrame, not {type(distances).__name__}; "
            "convert it first."
        )
    twice = distances.columns[distances.columns.duplicated()]
    if len(twice):
        raise MeasureError(
            f"The table has two columns {twice[0]!r}, so it is not clear which one "
            "counts. Drop one of them."
        )
    is_of_g = (
        "network_prediction" in distances.columns
    )  # and a policy may compare that class with the label
    for name, meaning in (
        NEEDED | {name: FURTHER[name] for name in (*also, *["label"] * is_of_g)}
    ).items():
        if name not in distances.columns:
            raise MeasureError(
                f"The table has no column {name!r}. Add it: for each sample {meaning}."
            )
    changed = {
        "is_correct": _as_truth(distances),
        "distance": _as_number(distances, "distance"),
        "status": _as_words(distances, "status", Status),
    }
    if "bound" in distances.columns:
        changed["bound"] = _as_words(distances, "bound", Bound)
    differing = {name: column for name, column in changed.items() if column is not None}
    table = distances.assign(**differing) if differing else distances
    _refuse_contradictions(table)
    return table


def _as_truth(table: pd.DataFrame) -> pd.Series | None:
    """Return the column as bool; None where it is already."""
    column = table["is_correct"]
    if is_bool_dtype(column) and not column.isna().any():
        return None if column.dtype == np.dtype(bool) else column.astype(bool)
    text = column.astype(str).str.strip().str.lower()
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        text = text.where(~column.isin([0, 1]), column.fillna(0).astype(int).astype(str))
    is_known = text.isin(list(TRUTH))
    if not is_known.all():
        _refuse(
            table,
            "is_correct",
            is_known,
            "neither true nor false; write True or False for each sample",
        )
    return text.map(TRUTH).astype(bool)


def _as_number(table: pd.DataFrame, name: str) -> pd.Series | None:
    """Return the column as float64; None where it is already."""
    column = table[name]
    if column.dtype == np.dtype(np.float64):
        return None
    if is_bool_dtype(column):
        _refuse(
            table,
            name,
            np.zeros(len(column), dtype=bool),
            "a truth value and no number; write the distance",
        )
    is_real = ~column.map(lambda value: isinstance(value, complex | np.complexfloating)).to_numpy(
        bool
    )
    numbers = pd.to_numeric(column.astype(object).where(is_real), errors="coerce").astype(
        np.float64
    )
    text = column.astype(str).str.strip().str.lower()
    is_known = is_real & (numbers.notna() | column.isna() | text.isin(["", "nan"]))
    if not is_known.all():
        _refuse(
            table,
            name,
            is_known,
            "no number; write it as 0.5, and nothing where there is no distance",
        )
    return numbers


def _as_words(table: pd.DataFrame, name: str, known: type[StrEnum]) -> pd.Series | None:
    """Return the column as it is spelled among the known words; None where it is already."""
    column = table[name]
    values = pd.unique(column)
    if set(values) <= {*known}:
        return None
    spelled = column.astype(str).str.strip().str.lower()
    is_known = spelled.isin([*known]) & column.notna()
    if not is_known.all():
        _refuse(table, name, is_known, f"none of {', '.join(known)}; write one of these")
    return spelled


def _refuse_contradictions(table: pd.DataFrame) -> None:
    correct, status = table["is_correct"].to_numpy(bool), table["status"]
    distance = table["distance"].to_numpy(np.float64)
    if "sample_id" in table.columns:
        ids = table["sample_id"]
        _refuse(
            table,
            "sample_id",
            ~ids.isna().to_numpy(),
            "no name of a sample; give every row its own",
        )
        if not ids.is_unique:
            _refuse(
                table,
                "sample_id",
                ~ids.duplicated().to_numpy(),
                "there twice, and would count twice; keep one row of it",
            )
    is_wrong = (status == Status.MISCLASSIFIED).to_numpy()
    _refuse(
        table,
        "status",
        ~(correct & is_wrong),
        "said of a sample whose is_correct is True; mend one of the two",
    )
    remedy = (
        "; a distance is 0 or more, in L2 of pixels in [0, 1]. Mend it, or mark the sample as "
        "failed with no distance"
    )
    _refuse(table, "distance", ~(distance < 0), f"negative{remedy}")
    _refuse(table, "distance", ~np.isinf(distance), f"infinite{remedy}")
    is_of_g = (
        "network_prediction" in table.columns
    )  # these have a distance, 0 at least, wherever one was looked for
    needs = (correct | is_of_g) & ~(status == Status.FAILED).to_numpy()
    _refuse(
        table,
        "distance",
        ~(needs & np.isnan(distance)),
        "missing without the status 'failed'; mark the sample as failed",
    )
    if "bound" in table.columns and {Bound.UPPER, Bound.LOWER} <= set(pd.unique(table["bound"])):
        raise MeasureError(
            "The table joins upper bounds with lower ones (column 'bound'), which cannot be "
            "compared. Measure each by itself."
        )


def _refuse(table: pd.DataFrame, name: str, is_fine: np.ndarray | pd.Series, what: str) -> None:
    """Raise `MeasureError` for the first row that is not fine, and say how many there are."""
    wrong = np.flatnonzero(~np.asarray(is_fine, dtype=bool))
    if not len(wrong):
        return
    first = int(wrong[0])
    where = f"row {first + 1}"
    if name != "sample_id" and "sample_id" in table.columns:
        where = f"sample {table['sample_id'].iloc[first]!s}, {where}"
    more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
    value = table[name].iloc[first]
    shown = repr(value) if isinstance(value, str) else str(value)
    raise MeasureError(f"The column {name!r} holds {shown} ({where}){more}, which is {what}.")
