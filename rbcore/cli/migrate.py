"""The command that makes a cache written by the version before readable."""

import pandas as pd
import typer

from rbcore.cli.options import Format, FormatOption, print_table, progress_bar
from rbcore.store import migrate as cache


def migrate(form: FormatOption = Format.table) -> None:
    """Convert the cache of the previous version; nothing is recomputed.

    Exit with 1 if a file cannot be migrated.
    """
    with progress_bar() as progress:
        found = cache.migrate(progress=progress)
    rows = [
        {
            "files": result.kind,
            "migrated": result.n_migrated,
            "readable already": result.n_readable,
            "not migrated": len(result.problems),
        }
        for result in found
    ]
    print_table(pd.DataFrame(rows), form)
    problems = [problem for result in found for problem in result.problems]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
