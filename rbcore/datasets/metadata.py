"""Attributes of one's own images: ``metadata.csv``, with a column ``file`` and any others.

``file`` is an image's path relative to the folder, written with ``/``. A column whose values are all numbers stays a number;
every other becomes a partition. An image without a value is in the group ``unknown`` (NaN in a column of numbers): it is not
dropped, and no other image's value is lent to it. Every line that cannot be used is reported with its number.
"""

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from rbcore.datasets.base import SkippedFile
from rbcore.errors import DatasetError
from rbcore.partitions import CLASS, RESULT_COLUMNS

FILE_NAME = "metadata.csv"
FILE = "file"
UNKNOWN = "unknown"
RESERVED = {*RESULT_COLUMNS, CLASS, "split", "probability", "perturbed_probability"}
"""Columns that tables of samples and distances have already."""
LONGEST = 200
MOST_GROUPS = 200
MOST_REPORTED = 1000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_metadata(
    path: Path, files: Sequence[str], unused: Mapping[str, str]
) -> tuple[pd.DataFrame, list[SkippedFile]]:
    """Return one row of attributes for each of ``files``, in their order, and the lines and columns that were not used.

    Parameters
    ----------
    files
        The images in use, as paths relative to the folder.
    unused
        Why other files are not in use, by the same kind of path.

    Raises
    ------
    DatasetError
        If it is no UTF-8 text, has no column ``file``, or not one line of it can be used.
    """
    records = _records(path)
    _, first = next(records, (1, []))
    header = [name.strip() for name in first] if isinstance(first, list) else [first]
    if FILE not in header:
        raise DatasetError(
            f"{path} has no column 'file' but {_short(', '.join(header))!r}; write the columns' names in its first line, separated "
            "by commas."
        )
    wrong = [SkippedFile(FILE_NAME, f"the column {_short(name)!r} {reason}") for name, reason in _bad_columns(header)]
    columns = [name for name in dict.fromkeys(header) if name != FILE and _column_problem(name) is None]
    known = {_normal(file): file for file in files}
    other = {_normal(file): reason for file, reason in unused.items()}
    values: dict[str, dict[str, str]] = {}
    problems: list[tuple[int, str]] = []
    n_records = 0
    for line, record in records:
        n_records += 1
        if isinstance(record, str) or len(record) != len(header):
            text = record if isinstance(record, str) else f"{len(record)} values for {len(header)} columns"
            problems.append((line, text))
            continue
        named = dict(zip(reversed(header), reversed([value.strip() for value in record]), strict=True))
        file = _normal(named[FILE])
        problem = _path_problem(file, known, other)
        if problem or known[file] in values:
            problems.append((line, problem or f"another line describes {_short(file)!r}; the first one counts"))
            continue
        for column in columns:
            if not named[column]:
                problems.append((line, f"no value of {column!r}"))
            elif not is_nameable(named[column]):
                problems.append((line, f"the value of {column!r} is longer than {LONGEST} or holds control characters"))
        values[known[file]] = {name: named[name] for name in columns if named[name] and is_nameable(named[name])}
    wrong += [SkippedFile(FILE_NAME, f"line {line}: {problem}") for line, problem in problems[:MOST_REPORTED]]
    if len(problems) > MOST_REPORTED:
        wrong.append(SkippedFile(FILE_NAME, f"{len(problems) - MOST_REPORTED:,} more lines have problems"))
    if n_records and not values:
        line, problem = problems[0]
        raise DatasetError(f"No line of {path} can be used; the first, line {line}: {problem}.")
    if absent := [file for file in files if file not in values]:
        wrong.append(SkippedFile(FILE_NAME, f"{len(absent):,} images have no line; the first is {absent[0]}"))
    table = {}
    for column in columns:
        made = _as_column([values.get(file, {}).get(column) for file in files])
        if isinstance(made, str):
            wrong.append(SkippedFile(FILE_NAME, f"the column {column!r} {made}"))
        else:
            table[column] = made
    return pd.DataFrame(table, index=pd.Index(files)), wrong


def is_nameable(text: str) -> bool:
    """Return whether text can name a group: not endless, and writable (no control character, no stray byte)."""
    return len(text) <= LONGEST and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)


def _records(path: Path) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record with the number of its last line, or why it is none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DatasetError(
            f"{path} is not UTF-8 text (byte 0x{error.object[error.start]:02x} in line {line}); save it as CSV UTF-8."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read ({error.strerror}); check that it is a file you may open."
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"no valid CSV ({error})"
        else:
            if record:
                yield reader.line_num, record


def _bad_columns(header: list[str]) -> Iterator[tuple[str, str]]:
    for place, name in enumerate(header):
        problem = _column_problem(name)
        if problem:
            yield name, problem
        elif name in header[:place]:
            yield name, "is there twice; the first counts"


def _column_problem(name: str) -> str | None:
    if not name or not is_nameable(name):
        return f"has no name, or one that is longer than {LONGEST} or holds control characters"
    if set(name) & set("*:"):
        return "has a name with * or :, which spell intersections and bins"
    if name in RESERVED:
        return "has a name that is taken; call it something else"
    return None


def _path_problem(file: str, known: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    if not file:
        return "no value of 'file'"
    if file in known:
        return None
    shown = repr(_short(file))
    if file.startswith("/") or PureWindowsPath(file).drive or PureWindowsPath(file).root:
        return f"{shown} is an absolute path; write it relative to the folder"
    if ".." in PurePosixPath(file).parts:
        return f"{shown} leads outside the folder"
    reason = next((other[str(part)] for part in (file, *PurePosixPath(file).parents) if str(part) in other), None)
    return f"{shown} is not used: {reason}" if reason else f"there is no image {shown}"


def _normal(file: str) -> str:
    """Return a path in the one spelling of its accents and separators that different systems agree on."""
    return unicodedata.normalize("NFC", file).replace("\\", "/").removeprefix("./")


def _as_column(values: list[str | None]) -> list[str] | np.ndarray | str:
    """Return numbers where all values are, else text; or in words why the column cannot be used."""
    present = [value for value in values if value is not None]
    if not present:
        return "holds no value"
    if all(NUMBER.fullmatch(value) and math.isfinite(float(value)) for value in present):
        numbers = np.array([math.nan if value is None else float(value) for value in values])
        is_whole = len(present) == len(values) and (np.abs(numbers) < 2**53).all() and (numbers % 1 == 0).all()
        return numbers.astype(np.int64) if is_whole else numbers
    n_groups = len(set(present))
    if n_groups > MOST_GROUPS:
        return f"holds {n_groups:,} different values; more than {MOST_GROUPS} groups cannot be compared"
    return [UNKNOWN if value is None else value for value in values]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
