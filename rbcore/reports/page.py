"""One self-contained HTML page, and a CSV file for each of its tables.

It opens offline: charts are SVG inside the page.
"""

import base64
import html
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.charts import AnyChart, chart_svg
from rbcore.errors import StoreError
from rbcore.reports.spreadsheet import csv_text
from rbcore.store import make_folder, write_atomically

ENDS = ("low", "high")
PAGE = "report.html"


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
            _write(folder / f"{section.name}.csv", csv_text(section.table, float_format="%.6g"))
    _write(folder / PAGE, page_text(title, lead, sections, _linked_file))
    return folder / PAGE


def page_text(
    title: str, lead: Sequence[str], sections: Sequence[Section], link: Callable[[Section], str]
) -> str:
    """Return the page as text; ``link`` says where the CSV file of a section's table is found, as an HTML attribute."""
    contents = "".join(f'<li><a href="#{s.name}">{html.escape(s.title)}</a></li>' for s in sections)
    body = "".join(_section(section, link) for section in sections)
    leading = "".join(f"<p>{html.escape(text)}</p>" for text in lead)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{leading}<nav>"
        f"<ol>{contents}</ol></nav>{body}</body></html>\n"
    )


def _linked_file(section: Section) -> str:
    return f'href="{section.name}.csv"'


def csv_inside(section: Section) -> str:
    """Return a link that holds the section's table itself, unrounded, for a page that stands alone."""
    table = pd.DataFrame() if section.table is None else section.table
    data = base64.b64encode(csv_text(table).encode()).decode()
    return f'download="{section.name}.csv" href="data:text/csv;base64,{data}"'


def _write(path: Path, text: str) -> None:
    def put(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, put)


def _section(section: Section, link: Callable[[Section], str]) -> str:
    parts = [f'<section id="{section.name}"><h2>{html.escape(section.title)}</h2>']
    parts += [f"<p>{html.escape(text)}</p>" for text in section.text]
    if section.code:
        parts.append(f"<pre>{html.escape(chr(10).join(section.code))}</pre>")
    if section.table is not None:
        parts.append(html_table(section.table))
        parts.append(f'<p class="file">Table: <a {link(section)}>{section.name}.csv</a></p>')
    if section.figures:
        parts.append('<div class="figures">' + "".join(map(_figure, section.figures)) + "</div>")
    return "".join([*parts, "</section>"])


def _figure(figure: Figure) -> str:
    # An image, not inline SVG: the ids inside the charts would clash on one page.
    data = base64.b64encode(chart_svg(figure.chart).encode()).decode()
    caption = html.escape(figure.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def html_table(table: pd.DataFrame) -> str:
    """Return a table as HTML: numbers rounded and to the right, nothing for NaN but a dash, all text escaped."""
    shown = [name for name in table.columns if name not in ENDS]
    if set(ENDS) <= set(table.columns):
        beside = next((name for name in ("sigma", "n") if name in shown), None)
        at = len(shown) if beside is None else shown.index(beside) + 1
        shown.insert(at, "95% interval")
    is_number = {
        name: name in table and pd.api.types.is_numeric_dtype(table[name]) for name in shown
    }
    head = "".join(
        f'<th class="{_side(is_number[name])}">{html.escape(name)}</th>' for name in shown
    )
    rows = []
    for row in table.to_dict("records"):
        cells = []
        for name in shown:
            text = _interval(row) if name == "95% interval" else number(row[name])
            side = _side(is_number[name] or name == "95% interval")
            cells.append(f'<td class="{side}">{html.escape(text)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _side(is_number: bool) -> str:
    return "number" if is_number else "text"


def _interval(row: Mapping[Hashable, object]) -> str:
    low, high = number(row["low"]), number(row["high"])
    return DASH if DASH in (low, high) else f"[{low}, {high}]"


DASH = "–"  # noqa: RUF001
SMALL = 0.0005
"""Below it three decimals would say 0.000."""
HASH = re.compile("[0-9a-f]{64}")


def number(value: object) -> str:
    """Return a value as the page prints it: about three digits, whole numbers whole, NaN as a dash, a hash by its start."""
    if isinstance(value, str):
        return f"{value[:12]}…" if HASH.fullmatch(value) else value
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return DASH
    if isinstance(value, int | np.integer) or (
        isinstance(value, float) and value.is_integer() and abs(value) >= 1
    ):
        return f"{int(value):,}"
    if isinstance(value, float) and 0 < abs(value) < SMALL:
        return f"{value:.0e}"
    if isinstance(value, float):
        return (
            f"{value:.1f}"
            if abs(value) >= 10
            else f"{value:.2f}"
            if abs(value) >= 1
            else f"{value:.3f}"
        )
    return str(value)


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; max-width: 1240px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem } h2 { font-size: 1.25rem; margin-top: 2.6rem; border-top: 1px solid #ddd; padding-top: 1.2rem }
p { max-width: 50rem } nav ol { columns: 2; column-gap: 3rem; max-width: 56rem } a { color: #0072B2 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13px; line-height: 1.35 }
th { text-align: left; border-bottom: 2px solid #888; padding: 4px 10px 4px 0; vertical-align: bottom }
td { border-bottom: 1px solid #e4e4e4; padding: 3px 10px 3px 0; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.text { max-width: 26rem; overflow-wrap: break-word } td.text:last-child { min-width: 17rem }
pre { background: #f3f3f3; padding: 0.7rem 1rem; overflow-x: auto; font-size: 13px }
.file { font-size: 13px; color: #555 }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(33rem, 100%), 1fr)); gap: 1rem 1.5rem; align-items: start }
figure { margin: 0.5rem 0 } figure img { max-width: 100%; height: auto } figcaption { font-size: 13px; color: #444; max-width: 34rem }
@media print { body { max-width: none } section { break-inside: avoid } }
"""
