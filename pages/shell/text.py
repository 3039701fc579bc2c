"""Text for people: names of groups, files and runs escaped for Markdown; durations and sizes."""

import math
import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@])")
_SPACE = re.compile(r"\s+")


def escape_markdown(text: str) -> str:
    """Escape everything that Markdown would read as markup, so that the text is shown as it is."""
    # Names of files can hold bytes that are not text; a line break could begin a heading or a list.
    text = text.encode("utf-8", "replace").decode()
    return _MARKDOWN.sub(r"\\\1", _SPACE.sub(" ", text))


def format_duration(seconds: float) -> str:
    """Return a duration such as 40 s, 3 min or 2 h 5 min."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def format_bytes(n_bytes: int) -> str:
    """Return a size such as 0 B, 12 kB, 3.4 MB or 1.2 GB."""
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "B" else f"{size:,.1f} {unit}"


def format_interval(low: float, high: float, form: str) -> str:
    """Return an interval in brackets, with a space before it; nothing where it is undefined."""
    return f" [{low:{form}}, {high:{form}}]" if math.isfinite(high - low) else ""


def format_estimate(value: float, low: float, high: float, form: str) -> str:
    """Return a number with its interval, as far as that is defined."""
    return f"{value:{form}}{format_interval(low, high, form)}"
