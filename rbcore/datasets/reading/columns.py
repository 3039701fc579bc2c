"""A column of attributes: numbers or names of groups, what is missing, and what was decided."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.datasets.reading.names import is_missing, joined_names, respelled
from rbcore.partitions import UNKNOWN, is_coded

MOST_GROUPS = 200
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
ODD_SHARE = 20
"""Up to one value in so many, and always one, may be no number in a column of numbers."""
NAMED = 3
"""Lines or spellings that are named in a sentence."""


@dataclass(frozen=True)
class Cell:
    """A value as it is written, without what is invisible, and the line it stands in."""

    text: str
    line: int


@dataclass(frozen=True)
class Column:
    """A column as it is used.

    Attributes
    ----------
    values
        Numbers (int64, or float64 with NaN where none is known), or names of groups (`UNKNOWN`
        where none is); None for a column that cannot be used.
    note
        What was decided, such as ``age: numbers 20-59, 1 not a number (line 5), use bins
        such as age:30,45``.
    odd
        Line and reason of each value that is not a number where numbers are expected.
    """

    values: list[str] | np.ndarray | None
    note: str
    odd: tuple[tuple[int, str], ...] = ()


def read_column(
    name: str, cells: Sequence[Cell | None], *, has_decimal_commas: bool = False
) -> Column:
    """Decide what a column holds.

    Parameters
    ----------
    cells
        One for each sample, None where no line describes it.
    has_decimal_commas
        Whether 1,5 is a number, as in tables that are separated by semicolons.
    """
    written = [cell if cell is not None and not is_missing(cell.text) else None for cell in cells]
    present = [cell for cell in written if cell is not None]
    blank = [
        cell.line
        for cell, value in zip(cells, written, strict=True)
        if cell is not None and value is None
    ]
    missing = (
        [f"{len(written) - len(present):,} missing{_in_lines(blank)}"]
        if len(present) < len(written)
        else []
    )
    if not present:
        return Column(None, f"{name}: left out, since it holds no value")
    numbers = [_number(cell.text, has_decimal_commas) for cell in present]
    odd = [cell for cell, number in zip(present, numbers, strict=True) if number is None]
    n_numbers = len(present) - len(odd)
    if n_numbers > 2 * len(odd) and len(odd) <= max(1, len(present) // ODD_SHARE):
        made = _as_numbers(
            [None if cell is None else _number(cell.text, has_decimal_commas) for cell in written]
        )
        parts = [_range_in_words(made)]
        if has_decimal_commas and any(DECIMAL_COMMA.fullmatch(cell.text) for cell in present):
            parts.append("commas read as decimal points")
        if odd:
            parts.append(
                f"{len(odd):,} not a number{_in_lines([cell.line for cell in odd])}, in "
                f"the group {UNKNOWN}"
            )
        reasons = (
            (
                cell.line,
                f"{cell.text!r} in the column {name!r} is not a number, so it counts as unknown",
            )
            for cell in odd
        )
        return Column(
            made, f"{name}: {', '.join([*parts, *missing, _hint(name, made)])}", tuple(reasons)
        )
    shown = joined_names((cell.text for cell in present), is_case_joined=True)
    groups = set(shown.values())
    if len(groups) > MOST_GROUPS:
        return Column(
            None,
            f"{name}: left out, since it holds {len(groups):,} different values and more than "
            f"{MOST_GROUPS} groups cannot be compared",
        )
    joined = [
        f"{' and '.join(others[:NAMED])} counted as {group!r}"
        for group, others in sorted(respelled(shown).items())
    ]
    values = [UNKNOWN if cell is None else shown[cell.text] for cell in written]
    count = "1 group" if len(groups) == 1 else f"{len(groups)} groups"
    return Column(values, f"{name}: {', '.join([count, *missing, *joined])}")


def _in_lines(lines: Sequence[int]) -> str:
    """Name the first few lines."""
    if not lines:
        return ""
    named = ", ".join(str(line) for line in lines[:NAMED])
    return f" (line{'s' if len(lines) > 1 else ''} {named}{', ...' if len(lines) > NAMED else ''})"


def _number(text: str, has_decimal_commas: bool) -> float | None:
    if has_decimal_commas and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def _as_numbers(values: Sequence[float | None]) -> np.ndarray:
    numbers = np.array([math.nan if value is None else value for value in values])
    is_whole = (
        not np.isnan(numbers).any() and (np.abs(numbers) < 2**53).all() and (numbers % 1 == 0).all()
    )
    return numbers.astype(np.int64) if is_whole else numbers


def _range_in_words(numbers: np.ndarray) -> str:
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    return f"numbers {low:.6g} to {high:.6g}"


def _hint(name: str, numbers: np.ndarray) -> str:
    """Say how a column of numbers can be used as a partition."""
    known = numbers[~np.isnan(numbers)]
    low, high = known.min(), known.max()
    digits = 0 if high == low else 1 - math.floor(math.log10(high - low))
    cuts = sorted(
        {round(float(cut), digits) for cut in np.quantile(known, [1 / 3, 2 / 3])} - {float(low)}
    )
    bins = (
        f"bins such as {name}:{','.join(f'{cut:.15g}' for cut in cuts)}"
        if cuts
        else "no bins, since all are alike"
    )
    if is_coded(pd.Series(numbers)):
        return f"{len(np.unique(known))} groups as they are, or {bins}"
    return f"use {bins}"
