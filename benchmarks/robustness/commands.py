"""The command line inside a worker: what it prints, and its refusals as exceptions."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pandas as pd

from benchmarks.robustness.cases import Refusal
from rbcore.cli.main import main


def command(*arguments: str) -> str:
    """Run ``python -m rbcore`` with these arguments and return its standard output.

    Raises
    ------
    Refusal
        If it ends with an error of its own; with the text that it printed.
    RuntimeError
        If it ends with a traceback.
    """
    output, errors = io.StringIO(), io.StringIO()
    sys.argv = ["rbcore", *arguments]
    code: object = 0
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
    if code == 0:
        return output.getvalue()
    said = errors.getvalue()
    if "Traceback (most recent call last)" in said:
        raise RuntimeError(said)
    raise Refusal(_sentence(said or output.getvalue()))


def table_of(*arguments: str) -> pd.DataFrame:
    """Run a command and return the table that it prints."""
    return pd.read_csv(io.StringIO(command(*arguments, "--format", "csv")))


def _sentence(said: str) -> str:
    """Return what is said after ``error:`` in one line; Typer draws a box around its own errors."""
    lines = [line.strip(" │╭╰─╮╯") for line in said.splitlines()]
    for number, line in enumerate(lines):
        if line.startswith("error: "):
            return "\n".join(
                [line.removeprefix("error: "), *[rest for rest in lines[number + 1 :] if rest]]
            )
    text = [line for line in lines if line and not line.startswith(("Usage:", "Try ", "Error"))]
    return " ".join(text)
