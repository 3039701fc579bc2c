"""Tables as CSV for spreadsheets, in which no cell of text can run as a formula."""

import re

import pandas as pd

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?%?")
FORMULA = re.compile(r"(?:^|(?<=[;\t\n]))(?=\s*[=+\-@＝＋－＠]|[\t\n])")  # noqa: RUF001
"""Where a cell begins that a spreadsheet would compute: at its start, or after what some programs
take to end a cell.
"""


def csv_text(table: pd.DataFrame, *, float_format: str | None = None) -> str:
    """Return a table as CSV text in which no cell and no heading can run as a formula.

    Parameters
    ----------
    table
        Its numbers are written as they are; its index is left out.
    float_format
        How floats are written, such as ``%.6g``; in full where none is given.

    Returns
    -------
    str
        A cell of text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return
        begins with an apostrophe instead, which makes it text in a spreadsheet; text that is a
        number, such as ``-0.5``, stays.
    """
    safe = pd.DataFrame(
        {
            index: column.map(_as_text) if _holds_text(column) else column
            for index, (_, column) in enumerate(table.items())
        }
    )
    safe.columns = pd.Index([_as_text(name) for name in table.columns])
    return safe.to_csv(index=False, float_format=float_format)


def _holds_text(column: pd.Series) -> bool:
    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def _as_text(cell: object) -> object:
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    lines = cell.replace("\r\n", "\n").replace(
        "\r", "\n"
    )  # the csv module quotes no cell for a carriage return
    return FORMULA.sub("'", lines)
