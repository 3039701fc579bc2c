"""One self-contained HTML page, and a CSV file for each of its tables.

It opens offline: charts are SVG inside the page.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pandas.api.types import is_numeric_dtype

from rbcore.charts import AnyChart, chart_svg
from rbcore.errors import StoreError
from rbcore.reports.spreadsheet import csv_text
from rbcore.store import make_folder, write_text

ENDS = ("low", "high")
PAGE = "report.html"
DASH = "–"  # noqa: RUF001
SMALL = 0.0005
"""Below it three decimals would say 0.000."""
HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Figure:
    """A chart with what it shows in a sentence."""

    chart: AnyChart
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes
    ----------
    name
        Of its CSV file, without the ending.
    title, text
        Heading, and paragraphs of plain text.
    table
        Written as it is to the CSV file, and rounded into the page; ``low`` and ``high``
        become one column there.
    figures
        Below the table.
    code
        Lines to be typed as they are, below the text.
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    figures: tuple[Figure, ...] = ()
    code: tuple[str, ...] = ()


def write_report(
    folder: Path, title: str, lead: Sequence[str], sections: Sequence[Section]
) -> Path:
    """Write the page and the tables into a folder; return the page's path.

    Raises
    ------
    StoreError
        If the folder cannot be written, or two sections share a name.
    """
    names = [section.name for section in sections]
    if len(set(names)) < len(names):
        raise StoreError(f"Two sections of a report share a name among {names}.")
    make_folder(folder)
    for section in sections:
        if section.table is not None:
            text = csv_text(section.table, float_format="%.6g")
            write_text(folder / f"{section.name}.csv", text)
    page = page_text(title, lead, sections, lambda section: f"{section.name}.csv")
    write_text(folder / PAGE, page)
    return folder / PAGE


def page_text(
    title: str, lead: Sequence[str], sections: Sequence[Section], link: Callable[[Section], str]
) -> str:
    """Return the page; ``link`` gives the address of the CSV file of a section's table."""
    templates = Environment(
        loader=PackageLoader("rbcore.reports"),
        autoescape=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    return templates.get_template("page.html").render(
        title=title,
        lead=lead,
        sections=sections,
        link=link,
        printed_columns=printed_columns,
        data_uri=data_uri,
        svg=chart_svg,
    )


def csv_inside(section: Section) -> str:
    """Return a section's table, unrounded, as a data URL, for a self-contained page."""
    return data_uri("text/csv", csv_text(pd.DataFrame(section.table)))


def data_uri(kind: str, text: str) -> str:
    """Return text of a media type as an address.

    A chart is an image, not inline SVG: the ids inside the charts would clash on one page.
    """
    return f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}"


@dataclass(frozen=True)
class Column:
    """A column as the page prints it: ``side`` is ``number`` or ``text``, its CSS class."""

    title: str
    side: str
    cells: list[str]


def printed_columns(table: pd.DataFrame) -> list[Column]:
    """Return the columns of a table as text; the ends of an interval are one column."""
    columns = [
        Column(
            name,
            "number" if is_numeric_dtype(table[name]) else "text",
            [number(value) for value in table[name].tolist()],
        )
        for name in table.columns
        if name not in ENDS
    ]
    if set(ENDS) <= set(table.columns):
        ends = zip(*(table[name].tolist() for name in ENDS), strict=True)
        titles = [column.title for column in columns]
        beside = next((name for name in ("sigma", "ratio", "mean", "n") if name in titles), None)
        at = len(titles) if beside is None else titles.index(beside) + 1
        columns.insert(at, Column("95% interval", "number", [_interval(*pair) for pair in ends]))
    return columns


def _interval(low: object, high: object) -> str:
    texts = number(low), number(high)
    return DASH if DASH in texts else f"[{', '.join(texts)}]"


def number(value: object) -> str:
    """Return a value as the page prints it.

    Numbers have about three digits, whole ones are whole, NaN is a dash, a hash is cut.
    """
    if isinstance(value, str):
        return f"{value[:12]}…" if HASH.fullmatch(value) else value
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return DASH
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if not isinstance(value, float):
        return str(value)
    size = abs(value)
    if size >= 1 and value.is_integer():
        return f"{int(value):,}"
    if 0 < size < SMALL:
        return f"{value:.0e}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"
