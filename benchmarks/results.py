"""What every benchmark shares: a run writes its results, a report is made from what was written.

Results lie in ``benchmarks/results/NAME.json`` with the command, the machine and the date. A table
is a list of rows; their keys are the titles of its columns, their values numbers or words.
"""

import json
import math
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "results"
Row = dict[str, Any]
Forms = Mapping[str, str]
"""How the numbers of a column are written, by its title: a format as ``.1%``."""


@dataclass(frozen=True)
class Results:
    """What a run has measured.

    Attributes
    ----------
    name
        Of the benchmark: ``python -m benchmarks.NAME``.
    command, machine, date
        Which made them, on what, when.
    facts
        What a report says beside the tables.
    tables
        Rows by the title of their table.
    """

    name: str
    command: str
    machine: str
    date: str
    facts: dict[str, Any]
    tables: dict[str, list[Row]]

    @property
    def heading(self) -> str:
        """Date, command and machine in a line."""
        return f"{self.date}, `{self.command}`, {self.machine}."


def save(name: str, tables: Mapping[str, Iterable[Row]], **facts: object) -> Results:
    """Write the results of the command that is running, and return them as they were written."""
    plain = {title: list(rows) for title, rows in tables.items()}
    results = Results(name, command(), machine(), date.today().isoformat(), facts, plain)
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(_plain(asdict(results)), indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return read(name)


def read(name: str) -> Results:
    """Return the results that a benchmark has written.

    Raises
    ------
    SystemExit
        If it has written none.
    """
    file = FOLDER / f"{name}.json"
    if not file.exists():
        raise SystemExit(f"{file} is not there; run `python -m benchmarks.{name}` first.")
    return Results(**json.loads(file.read_text(encoding="utf-8")))


def page(results: Results, forms: Forms | None = None, texts: Forms | None = None) -> str:
    """Return results in Markdown: the heading, then every table below its title and its text."""
    parts = [results.heading]
    for title, rows in results.tables.items():
        said = (texts or {}).get(title, "")
        parts += [part for part in (f"### {title}", said, as_table(rows, forms)) if part]
    return "\n\n".join(parts)


def as_table(rows: list[Row], forms: Forms | None = None) -> str:
    """Return rows as a table in Markdown, its columns as the fullest row has them.

    What is missing is left empty.
    """
    if not rows:
        return "None."
    forms = forms or {}
    fullest = sorted(rows, key=len, reverse=True)
    titles = list(dict.fromkeys(title for row in fullest for title in row))
    lines = [titles, ["---"] * len(titles)]
    lines += [[_cell(row.get(title), forms.get(title, "")) for title in titles] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object, form: str) -> str:
    if value is None:
        return ""
    text = format(value, form) if form and not isinstance(value, str) else str(value)
    return text.replace("|", "\\|")


def command() -> str:
    """Return the command that is running."""
    return shlex.join(["python", "-m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]])


def machine() -> str:
    """Return processor, threads, torch's version and how busy the machine is."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    processor = names[0] if names else "an unnamed processor"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{os.cpu_count()} cores of {processor}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, load {load}"
    )


def timed(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def median_seconds(call: Callable[[], object], n_calls: int) -> float:
    """Return the median seconds of several calls."""
    return statistics.median(timed(call) for _ in range(n_calls))


def memory(field: str, process: int | str = "self") -> float:
    """Return a field of Linux's ``/proc/PROCESS/status`` in MB, as VmHWM; NaN where missing."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1024 * float(found[0]) / 1e6 if found else math.nan


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: numbers of Python, and nothing for NaN."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
