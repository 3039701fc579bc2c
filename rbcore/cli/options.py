"""What several commands take and print: options, tables, a progress bar."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import typer
from tqdm import tqdm

from rbcore.errors import MethodError, ModelError
from rbcore.models import MODELS
from rbcore.reports.spreadsheet import csv_text
from rbcore.runs.foreign_weights import register_builder
from rbcore.runtime import Progress


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    csv = "csv"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How the table is printed.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name of a dataset; see: python -m rbcore datasets")
]
ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model; see: python -m rbcore models")
]
MethodName = Annotated[
    str,
    typer.Argument(metavar="METHOD", help="method or method:preset; see: python -m rbcore methods"),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", help="Name of the run; the newest complete plain one by default."),
]
Epoch = Annotated[str, typer.Option("--epoch", help="first, middle, last, all or a number from 1.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda[:N].")]
Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the dataset's files; remembered for the next call."),
]
NoChecksum = Annotated[
    bool,
    typer.Option(
        "--no-checksum",
        help="Accept files that are not the published ones; remembered with the folder.",
    ),
]
Builder = Annotated[
    Path | None,
    typer.Option(
        "--builder", help="Python file with build(input_shape, n_classes); its code runs."
    ),
]
Split = Annotated[
    str,
    typer.Option("--split", help="test, train, or validation for a run trained with --validation."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the method; repeatable."),
]


def print_table(table: pd.DataFrame, form: Format) -> None:
    """Print a table to standard output."""
    if form is Format.csv:
        typer.echo(csv_text(table), nl=False)
    elif form is Format.json:
        typer.echo(table.to_json(orient="records", indent=1))
    else:
        typer.echo(
            table.to_string(index=False, float_format="{:.4g}".format, na_rep="-", max_colwidth=80)
        )


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress callable that draws one tqdm bar after another on standard error, and close what is left open."""
    current: tqdm[NoReturn] | None = None

    def report(done: int, total: int, what: str) -> None:
        nonlocal current
        current = current or tqdm(total=total)
        current.total = total
        current.set_description_str(what, refresh=False)
        current.update(done - current.n)
        if done >= total:
            current.close()
            current = None

    try:
        yield report
    finally:
        if current is not None:
            current.close()


def parse_settings(
    settings: list[str] | None, option: str = "--set", what: str = "VALUE"
) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` texts into parameters."""
    pairs = [text.partition("=") for text in settings or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise MethodError(f"{option} {name}{equals}{value} is not of the form NAME={what}.")
    return {name: value for name, _, value in pairs}


def use_builder(builder: Path | None, model: str) -> None:
    """Register the builder of a Python file, if one is given, and check that the model exists."""
    if builder is not None and register_builder(builder) != model:
        raise ModelError(
            f"The builder {builder} is called {builder.stem!r}; use that name instead of {model!r}."
        )
    MODELS[model]
