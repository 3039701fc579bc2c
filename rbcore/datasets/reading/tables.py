"""Tables that people write: CSV of several kinds, read record by record with line numbers."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rbcore.datasets.reading.names import cleaned
from rbcore.datasets.reading.opening import decode_text, read_below
from rbcore.errors import DatasetError

SEPARATORS = (",", ";", "\t")
MOST_COLUMNS = 1000
LONGEST_HEADER = 1_000_000
"""Characters in which the first record has to end."""
_SAID = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The line by which Excel names the separator."""


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes
    ----------
    header
        Names of the columns.
    separator
        What stands between two cells.
    records
        Each record below the header with the number of its last line; or, in words, why it is none.
    """

    header: list[str]
    separator: str
    records: Iterator[tuple[int, list[str] | str]]


def read_table(path: Path, root: Path, column: str) -> Table:
    """Open a table that has a column of that name, by which its separator is recognized.

    Parameters
    ----------
    root
        Folder below which the file must lie.

    Raises
    ------
    DatasetError
        If it cannot be read, is not text, has no such column, or too many.
    """
    try:
        content = read_below(path, root)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}); put the file itself there, and check "
            "that you may open it."
        ) from error
    try:
        text = decode_text(content)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x} in line "
            f"{error.object[: error.start].count(10) + 1}); save it as CSV UTF-8."
        ) from error
    said = _SAID.match(text)
    text, n_before = (text[said.end() :], 1) if said else (text, 0)
    separator, header = _separator_and_header(text, column)
    if column not in header:
        shown = ", ".join(header)
        raise DatasetError(
            f"{path} has no column {column!r} but {shown[:200] + '...' * (len(shown) > 200)!r}; "
            "write the columns' names in its first line, separated by commas, semicolons or tabs."
        )
    if len(header) > MOST_COLUMNS:
        raise DatasetError(
            f"{path} has {len(header):,} columns; keep those that groups are made of, at most "
            f"{MOST_COLUMNS:,}."
        )
    records = _records(text, separator, n_before)
    next(records)
    return Table(header, separator, records)


def _separator_and_header(text: str, column: str) -> tuple[str, list[str]]:
    """Return the separator by which the first record has the column, and that record.

    Else a comma and what it then is.
    """
    headers = {}
    for separator in SEPARATORS:
        first = next(_records(text[:LONGEST_HEADER], separator, 0), (1, ""))[1]
        headers[separator] = (
            [first] if isinstance(first, str) else [cleaned(name) for name in first]
        )
        names = headers[separator]
        if column not in names and [name.lower() for name in names].count(column) == 1:
            headers[separator] = [column if name.lower() == column else name for name in names]
    best = max(
        SEPARATORS, key=lambda separator: (column in headers[separator], len(headers[separator]))
    )
    return best, headers[best]


def _records(text: str, separator: str, n_before: int) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record with the number of its last line, or why it is none.

    ``n_before`` lines stand before the text.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield n_before + reader.line_num, f"no valid CSV ({error})"
        else:
            if record:
                yield n_before + reader.line_num, record
