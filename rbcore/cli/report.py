"""The commands that report: ``bias``, ``report`` and ``reproduce``."""

import re
import shlex
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rbcore import inference, sampling, wording
from rbcore.cli.options import (
    Device,
    Format,
    FormatOption,
    MethodChoice,
    NoChecksum,
    RunChoice,
    Split,
    options_from_records,
    parse_settings,
    print_table,
    progress_bar,
)
from rbcore.datasets import DATASETS
from rbcore.datasets.reading.opening import user_path
from rbcore.distances.best import BEST
from rbcore.distances.stored import stored_distances
from rbcore.errors import MethodError
from rbcore.measures import Policy
from rbcore.partitions import group_labels
from rbcore.runs.checkpoints import Run, find_run, list_runs
from rbcore.runs.command_lines import estimate_command, spelled
from rbcore.sampling import Rows

Partition = Annotated[
    str, typer.Option("--by", metavar="PARTITION", help="class, or an attribute of the dataset.")
]


@options_from_records
def bias(
    wanted: RunChoice,
    method: MethodChoice,
    by: Partition,
    policy: Policy,
    split: Split = "test",
    form: FormatOption = Format.table,
) -> None:
    """Print the robustness bias of every group, from stored distances.

    --root finds the run by its images.
    """
    parameters = method.parameters
    found = _find(wanted)
    tables = []
    for number in wanted.epochs(found):
        stored = stored_distances(found, number, method.method, split=split, **parameters)
        if stored is None:
            needed = "minimal" if method.method == BEST else method.method
            which = "all" if wanted.epoch == "all" else number
            raise MethodError(
                (
                    f"No {spelled(method.method, parameters)} distances are stored for epoch "
                    f"{number} of run {found.name}. Compute them: "
                )
                + estimate_command(
                    *(found.dataset, found.model, needed, parameters),
                    epoch=which,
                    run=found.name,
                    rows=Rows(split),
                )
            )
        table = inference.robustness_bias(stored.rows, by, policy=policy)
        table.insert(0, "epoch", number)
        tables.append(table)
        n_split = found.facts.n_of(split)
        covered = f"{len(stored.rows):,} of {n_split:,} {split} images"
        typer.echo(f"epoch {number}, {covered}: {wording.verdict(table)}", err=True)
        if stored.notice:
            typer.echo(stored.notice, err=True)
        drawn = sampling.in_words(stored.rows, group_labels(stored.rows, by))
        if drawn:
            typer.echo(drawn, err=True)
        is_part = len(stored.rows) < n_split
        if is_part and method.method != BEST and len(wording.too_few_but_lower(table)):
            more = estimate_command(
                *(found.dataset, found.model, method.method, parameters),
                epoch=number,
                run=found.name,
                rows=Rows(split, at_least=sampling.USUAL_AT_LEAST, by=by),
            )
            typer.echo(f"Measure more of the groups with too few images: {more}", err=True)
    print_table(pd.concat(tables, ignore_index=True), form)


@options_from_records
def report(
    wanted: RunChoice,
    method: MethodChoice,
    by: Partition,
    policy: Policy,
    out: Annotated[Path, typer.Option("--out", help="The HTML file.")] = Path("report.html"),
) -> None:
    """Write the bias of one epoch as a self-contained HTML page.

    It includes the sensitivity to definitions and seeds, and the commands that reproduce it.
    """
    from rbcore.reports import selection

    which = spelled(method.method, method.parameters)
    typer.echo(selection.write(out, _find(wanted), wanted.epoch, which, by, policy=policy))


def _find(wanted: RunChoice) -> Run:
    """Return the run that is meant; --root finds it by its images."""
    from rbcore.runs.loading import open_run

    DATASETS[wanted.dataset]
    if wanted.root is not None:
        return open_run(wanted.dataset, wanted.model, run=wanted.run, root=wanted.root)[1]
    found = find_run(wanted.dataset, wanted.model, wanted.run)
    if wanted.run is None:
        _say_which_images(found)
    return found


def _say_which_images(found: Run) -> None:
    """Say which run is meant where others were trained on other images of the dataset."""
    usable = [run for run in list_runs(found.dataset, found.model) if run.is_usual]
    if len({run.facts.dataset_fingerprint for run in usable}) > 1:
        typer.echo(
            f"Run {found.name}, the newest. Others were trained on other images of "
            f"{found.dataset}: name the folder by --root, or the run by --run.",
            err=True,
        )


def reproduce(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report and its tables.")] = Path(
        "reproduction"
    ),
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", help="Only this dataset; repeatable. All of the plan by default."
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data", metavar="NAME=FOLDER", help="Folder of a dataset, or of ug100; repeatable."
        ),
    ] = None,
    no_checksum: NoChecksum = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A smoke test; its numbers mean nothing."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Run the paper's analyses on the available data, and write one HTML report.

    It shows the paper's values beside ours.
    """
    from rbcore import analyses
    from rbcore.reports import reproduction

    started = time.perf_counter()
    folders = {
        name: user_path(folder) for name, folder in parse_settings(data, "--data", "FOLDER").items()
    }
    ug100 = folders.pop("ug100", None) or analyses.ug100_folder()
    for name in [*folders, *(dataset or [])]:
        DATASETS[name]
    audits = [audit for audit in reproduction.PLAN if not dataset or audit.dataset in dataset]
    audits = [reproduction.quick(audit) if quick else audit for audit in audits]
    with progress_bar() as progress:
        materials = reproduction.prepare(
            audits,
            folders=folders,
            checksum=False if no_checksum else None,
            device=device,
            progress=progress,
            tell=lambda text: typer.echo(text, err=True),
        )
    typer.echo("Writing the report", err=True)
    sections = reproduction.all_sections(materials, ug100)
    sections.append(
        reproduction.provenance(
            materials, _without_folders(sys.argv[1:]), time.perf_counter() - started
        )
    )
    typer.echo(reproduction.write(out, sections, is_quick=quick))


def _without_folders(arguments: list[str]) -> str:
    """Return the command line as a report shows it, without the user's folders."""
    shown = ["FOLDER" if before == "--out" else text for before, text in pairwise(["", *arguments])]
    named = [
        re.sub(r"=.*", "=FOLDER", text) if before == "--data" else text
        for before, text in pairwise(["", *shown])
    ]
    return shlex.join(["python", "-m", "rbcore", *named])
