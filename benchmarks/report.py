"""Reports from results: ``python -m benchmarks.report NAME... [--write]``.

Each benchmark has a function ``report`` that makes Markdown of what its run has written to
``benchmarks/results``. Printed, and with ``--write`` written to ``benchmarks/NAME.md``.
"""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.results import FOLDER, read


def main(
    names: Annotated[list[str] | None, typer.Argument(help="All with results, by default.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Also to benchmarks/NAME.md.")] = False,
) -> None:
    """Make the reports."""
    for name in names or sorted(file.stem for file in FOLDER.glob("*.json")):
        text = import_module(f"benchmarks.{name}").report(read(name))
        print(f"# {name}\n\n{text}\n")
        if write:
            (Path(__file__).parent / f"{name}.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
