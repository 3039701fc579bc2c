"""Attributes of one's own images: ``metadata.csv``, with a column ``file`` and any others.

``file`` is an image's path relative to the folder, written with ``/``. What a column holds is
decided in `rbcore.datasets.reading.columns`: numbers or names of groups. An image without a value
is in the group ``unknown`` (NaN in a column of numbers): it is not dropped, and no other image's
value is lent to it. Every line that cannot be used is reported with its number, and what was
decided about each column is said.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import pandas as pd

from rbcore.datasets.base import SkippedFile
from rbcore.datasets.reading.columns import Cell, read_column
from rbcore.datasets.reading.names import LONGEST, cleaned, is_nameable
from rbcore.datasets.reading.tables import Table, read_table
from rbcore.errors import DatasetError
from rbcore.partitions import CLASS, RESULT_COLUMNS

FILE_NAME = "metadata.csv"
FILE = "file"
RESERVED = {*RESULT_COLUMNS, CLASS, "split"}
"""Columns that tables of samples and distances have already."""
MOST_REPORTED = 1000


@dataclass
class _Problems:
    """Lines that cannot be used, and why: the first `MOST_REPORTED`, and how many more."""

    reported: list[tuple[int, str]] = field(default_factory=list)
    n_more: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.reported) >= MOST_REPORTED

    def add(self, line: int, problem: str) -> None:
        if self.is_full:
            self.n_more += 1
        else:
            self.reported.append((line, problem))

    def skipped(self) -> list[SkippedFile]:
        said = [
            f"line {line}: {problem}"
            for line, problem in sorted(self.reported, key=lambda facts: facts[0])
        ]
        said += [f"{self.n_more:,} more lines have problems"] if self.n_more else []
        return [SkippedFile(FILE_NAME, reason) for reason in said]


def read_metadata(
    path: Path, files: Sequence[str], unused: Mapping[str, str]
) -> tuple[pd.DataFrame, list[SkippedFile], list[str]]:
    """Return one row of attributes for each of ``files``, in their order; what was not used.

    And what was decided about each column.

    Parameters
    ----------
    path
        The table; it must lie in its folder, not elsewhere behind a link.
    files
        The images in use, as paths relative to the folder.
    unused
        Why other files are not in use, by the same kind of path.

    Raises
    ------
    DatasetError
        If it cannot be read, is not text, has no column ``file`` or too many, or not one line
        of it can be used.
    """
    table = read_table(path, path.parent, FILE)
    wrong = _bad_columns(table.header)
    places = {
        name: place
        for place, name in reversed(list(enumerate(table.header)))
        if _column_problem(name) is None
    }
    file_place = places.pop(FILE)
    problems = _Problems()
    lines, n_records = _lines_of_images(table, file_place, files, unused, problems)
    if n_records and not lines:
        line, problem = problems.reported[0]
        raise DatasetError(f"No line of {path} can be used; the first, line {line}: {problem}.")
    if absent := [file for file in files if file not in lines]:
        wrong.append(
            SkippedFile(FILE_NAME, f"{len(absent):,} images have no line; the first is {absent[0]}")
        )
    columns, notes = {}, []
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        cells = [_cell(lines.get(file), place, name, problems) for file in files]
        column = read_column(name, cells, has_decimal_commas=table.separator != ",")
        for line, reason in column.odd:
            problems.add(line, reason)
        notes.append(column.note)
        if column.values is not None:
            columns[name] = column.values
    return pd.DataFrame(columns, index=pd.Index(files)), problems.skipped() + wrong, notes


def _lines_of_images(
    table: Table,
    file_place: int,
    files: Sequence[str],
    unused: Mapping[str, str],
    problems: _Problems,
) -> tuple[dict[str, tuple[int, list[str]]], int]:
    """Return number and cells of the line of each image, and how many records there are."""
    known: dict[str, str | None] = {}
    for file in files:
        known[_normal(file)] = None if _normal(file) in known else file
    known |= {file: file for file in files}
    other = {_normal(file): reason for file, reason in unused.items()}
    lines: dict[str, tuple[int, list[str]]] = {}
    n_records = 0
    for line, record in table.records:
        n_records += 1
        if isinstance(record, str) or len(record) != len(table.header):
            text = (
                record
                if isinstance(record, str)
                else f"{len(record)} values for {len(table.header)} columns"
            )
            problems.add(line, text)
            continue
        written = record[file_place].strip()
        found = known.get(written) or known.get(_normal(written))
        if found is None:
            problems.add(
                line, "" if problems.is_full else _path_problem(_normal(written), known, other)
            )
        elif found in lines:
            problems.add(line, f"another line describes {_short(found)!r}; the first one counts")
        else:
            lines[found] = line, record
    return lines, n_records


def _cell(
    found: tuple[int, list[str]] | None, place: int, name: str, problems: _Problems
) -> Cell | None:
    if found is None:
        return None
    line, record = found
    text = record[place].strip()
    if is_nameable(text):
        return Cell(cleaned(text), line)
    problems.add(
        line, f"the value of {name!r} is longer than {LONGEST} or holds control characters"
    )
    return Cell("", line)


def _bad_columns(header: Sequence[str]) -> list[SkippedFile]:
    seen: set[str] = set()
    wrong = []
    for name in header:
        problem = _column_problem(name) or (
            "is there twice; the first counts" if name in seen else None
        )
        if problem:
            wrong.append(SkippedFile(FILE_NAME, f"the column {_short(name)!r} {problem}"))
        seen.add(name)
    return wrong


def _column_problem(name: str) -> str | None:
    if not name or not is_nameable(name):
        return f"has no name, or one that is longer than {LONGEST} or holds control characters"
    if set(name) & set("*:"):
        return "has a name with * or :, which spell intersections and bins"
    if name in RESERVED:
        return "has a name that is taken; call it something else"
    return None


def _path_problem(file: str, known: Mapping[str, str | None], other: Mapping[str, str]) -> str:
    if not file:
        return "no value of 'file'"
    shown = repr(_short(file))
    if file in known:
        return f"{shown} fits several images whose names look alike; rename them"
    if file.startswith("/") or PureWindowsPath(file).drive or PureWindowsPath(file).root:
        return f"{shown} is an absolute path; write it relative to the folder"
    if ".." in PurePosixPath(file).parts:
        return f"{shown} leads outside the folder"
    reason = next(
        (other[str(part)] for part in (file, *PurePosixPath(file).parents) if str(part) in other),
        None,
    )
    return f"{shown} is not used: {reason}" if reason else f"there is no image {shown}"


def _normal(file: str) -> str:
    """Return a path in the one spelling that different systems agree on."""
    return unicodedata.normalize("NFC", file).replace("\\", "/").removeprefix("./")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
