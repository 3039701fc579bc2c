"""The command line: ``python -m rbcore``."""

import re
import shlex
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rbcore import analyses, inference, sampling, wording
from rbcore.cli import training
from rbcore.cli.options import (
    Builder,
    DatasetName,
    Device,
    Epoch,
    Format,
    FormatOption,
    MethodName,
    ModelName,
    NoChecksum,
    Root,
    RunName,
    Settings,
    Split,
    parse_settings,
    print_table,
    progress_bar,
    use_builder,
)
from rbcore.datasets import DATASETS, count_on_disk, known_folder, remember_check
from rbcore.datasets.opening import user_path
from rbcore.distances import METHODS
from rbcore.distances.best import BEST
from rbcore.distances.cost import estimate_cost
from rbcore.distances.estimate import estimate_distances
from rbcore.distances.stored import stored_distances
from rbcore.errors import MethodError, RobustnessBiasError
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.measures.tables import Status
from rbcore.models import MODELS
from rbcore.partitions import group_labels
from rbcore.reports import reproduction
from rbcore.runs.checkpoints import Run, find_run, list_runs
from rbcore.runs.command_lines import estimate_command, spelled
from rbcore.runs.loading import load_model, open_run
from rbcore.runtime import keep_freed_memory
from rbcore.store import verify as checks

cli = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
cli.command()(training.train)
cli.command()(training.grid)
cli.command("import")(training.import_)


def chosen_epochs(run: Run, which: str) -> list[int]:
    """Return the epochs of a run that ``--epoch`` names."""
    return list(run.epochs) if which == "all" else [run.epoch(which)]


@cli.command()
def datasets(form: FormatOption = Format.table) -> None:
    """List the datasets: what they are, the published numbers of images, what is on disk, what may be done with them."""
    rows = []
    for spec in DATASETS.values():
        folder = known_folder(spec)
        rows.append(
            {
                "name": spec.name,
                "title": spec.title,
                "classes": "the folders" if spec.is_open else str(len(spec.classes)),
                "partitions": " ".join(spec.partitions)
                + (" + metadata.csv" if spec.is_open else ""),
                "size": spec.default_size,
                "train": "-" if spec.n_train is None else f"{spec.n_train:,}",
                "test": "-" if spec.n_test is None else f"{spec.n_test:,}",
                "on disk": count_on_disk(spec),
                "files": "-"
                if not spec.needs_folder
                else str(folder)
                if folder
                else "folder not set: --root",
                "runs": len(list_runs(spec.name)),
                "license": spec.license,
                "source": spec.source,
            }
        )
    print_table(pd.DataFrame(rows), form)


@cli.command()
def models(form: FormatOption = Format.table) -> None:
    """List the models, with their runs, and their parameters for color images of 10 classes at a usual size."""
    rows = []
    for spec in MODELS.values():
        row = {
            "name": spec.name,
            "title": spec.title,
            "parameters": "-" if spec.n_parameters is None else f"{spec.n_parameters:,}",
            "at": f"{spec.usual_size} px",
        }
        rows.append({**row, "runs": len(list_runs(model=spec.name)), "layers": spec.description})
    print_table(pd.DataFrame(rows), form)


@cli.command()
def methods(form: FormatOption = Format.table) -> None:
    """List the distance methods with their parameters, defaults and presets."""
    rows = [
        {
            "name": method.name,
            "bound": method.bound,
            "parameters": " ".join(f"{p.name}={p.default}" for p in method.parameters),
            "presets": " ".join(f"{method.name}:{preset}" for preset in method.presets),
            "description": method.description,
        }
        for method in METHODS.values()
    ]
    print_table(pd.DataFrame(rows), form)


@cli.command()
def estimate(
    dataset: DatasetName,
    model: ModelName,
    method: MethodName,
    epoch: Epoch = "last",
    run: RunName = None,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option("--limit", help="Only so many images.")] = None,
    every: Annotated[
        int,
        typer.Option(
            "--every", help="Only every so many-th image; 5 is the paper's choice for smoothing."
        ),
    ] = 1,
    at_least: Annotated[
        int | None,
        typer.Option("--at-least", help="At least so many images of every group of --by."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="PARTITION", help="With --at-least: class, an attribute, or a*b."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Images a pass; found by measuring by default."),
    ] = None,
    settings: Settings = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    builder: Builder = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Estimate distances to the decision boundary and keep them.

    Print what was found for each epoch.
    """
    parameters = parse_settings(settings)
    use_builder(builder, model)
    spec = DATASETS[dataset]
    data_options = {"root": str(root) if root else None, "no_checksum": no_checksum}
    builder_option = str(builder) if builder else None
    find_run(
        dataset,
        model,
        run,
        **data_options,
        builder=builder_option,
        device=None if device == "auto" else device,
    )
    place = root or known_folder(spec)
    if no_checksum and place is not None:
        remember_check(spec, place, False)
    with progress_bar() as progress:
        loaded, found = open_run(dataset, model, run=run, root=root, progress=progress)
    epochs = chosen_epochs(found, epoch)
    rows = []
    for number in epochs:
        network = load_model(model, loaded, epoch=number, run=found.name, device=device)
        cost = estimate_cost(
            network,
            loaded,
            method,
            split=split,
            limit=limit,
            every=every,
            at_least=at_least,
            by=by,
            **parameters,
        )
        if cost is not None and cost.n_images:
            typer.echo(
                f"epoch {number}: up to {cost.n_images:,} images x {cost.passes:,} passes, about "
                f"{cost.seconds / 60:,.1f} minutes.",
                err=True,
            )
        with progress_bar() as progress:
            table = estimate_distances(
                network,
                loaded,
                method,
                split=split,
                limit=limit,
                every=every,
                at_least=at_least,
                by=by,
                batch_size=batch_size,
                progress=progress,
                **parameters,
            )
        correct = table.loc[table["is_correct"], "distance"]
        warning = wording.fallback_warning(
            int((table["status"] == Status.FALLBACK).sum()), len(correct)
        )
        if warning:
            typer.echo(f"epoch {number}: {warning}", err=True)
        counts = table["status"].value_counts().to_dict()
        rows.append(
            {
                "run": found.name,
                "epoch": number,
                "n": len(table),
                "accuracy": sampling.share_correct(table),
                "mean_distance": correct.mean(),
                "median_distance": correct.median(),
                "status": " ".join(f"{name}={count}" for name, count in sorted(counts.items())),
            }
        )
    print_table(pd.DataFrame(rows), form)


@cli.command()
def bias(
    dataset: DatasetName,
    model: ModelName,
    method: MethodName,
    by: Annotated[
        str,
        typer.Option("--by", metavar="PARTITION", help="class, or an attribute of the dataset."),
    ],
    epoch: Epoch = "last",
    run: RunName = None,
    split: Split = "test",
    settings: Settings = None,
    misclassified: Annotated[
        str, typer.Option("--misclassified", help="zero or exclude.")
    ] = DEFAULT_POLICY.misclassified,
    rest: Annotated[str, typer.Option("--rest", help="pooled, mean or sum.")] = DEFAULT_POLICY.rest,
    failed: Annotated[
        str, typer.Option("--failed", help="exclude or raise.")
    ] = DEFAULT_POLICY.failed,
    correct_by: Annotated[
        str,
        typer.Option(
            "--correct-by", help="own or network: whose class must be the label, for certificates."
        ),
    ] = DEFAULT_POLICY.correct_by,
    tau_max: Annotated[
        float | None, typer.Option("--tau-max", help="Upper limit of tau, L2; none by default.")
    ] = None,
    root: Root = None,
    form: FormatOption = Format.table,
) -> None:
    """Print the robustness bias of every group, from distances that `estimate` has kept; --root finds the run by its images."""
    parameters = parse_settings(settings)
    policy = Policy(
        misclassified=misclassified,
        rest=rest,
        failed=failed,
        tau_max=tau_max,
        correct_by=correct_by,
    )
    DATASETS[dataset]
    found = (
        find_run(dataset, model, run)
        if root is None
        else open_run(dataset, model, run=run, root=root)[1]
    )
    if root is None and run is None:
        _say_which_images(found)
    tables = []
    for number in chosen_epochs(found, epoch):
        stored = stored_distances(found, number, method, split=split, **parameters)
        if stored is None:
            needed = "minimal" if method == BEST else method
            wanted = "all" if epoch == "all" else number
            raise MethodError(
                (
                    f"No {spelled(method, parameters)} distances are stored for epoch {number} of "
                    f"run {found.name}. Compute them: "
                )
                + estimate_command(
                    dataset, model, needed, parameters, epoch=wanted, run=found.name, split=split
                )
            )
        table = inference.robustness_bias(stored.rows, by, policy=policy)
        table.insert(0, "epoch", number)
        tables.append(table)
        covered = f"{len(stored.rows):,} of {found.facts[f'n_{split}']:,} {split} images"
        typer.echo(f"epoch {number}, {covered}: {wording.verdict(table)}", err=True)
        if stored.notice:
            typer.echo(stored.notice, err=True)
        drawn = sampling.in_words(stored.rows, group_labels(stored.rows, by))
        if drawn:
            typer.echo(drawn, err=True)
        is_part = len(stored.rows) < found.facts[f"n_{split}"]
        if is_part and method != BEST and len(wording.too_few_but_lower(table)):
            more = estimate_command(
                *(dataset, model, method, parameters),
                epoch=number,
                run=found.name,
                split=split,
                at_least=sampling.USUAL_AT_LEAST,
                by=by,
            )
            typer.echo(f"Measure more of the groups with too few images: {more}", err=True)
    print_table(pd.concat(tables, ignore_index=True), form)


def _say_which_images(found: Run) -> None:
    """Say which run is meant where other runs of the model were trained on other images of the same dataset."""
    usable = [run for run in list_runs(found.dataset, found.model) if run.is_usual]
    if len({run.facts["dataset_fingerprint"] for run in usable}) > 1:
        typer.echo(
            f"Run {found.name}, the newest. Others were trained on other images of "
            f"{found.dataset}: name the folder by --root, or the run by --run.",
            err=True,
        )


@cli.command()
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
            "--data", metavar="NAME=FOLDER", help="Where a dataset, or ug100, lies; repeatable."
        ),
    ] = None,
    no_checksum: NoChecksum = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A tiny budget: shows that all works, measures nothing well."),
    ] = False,
    device: Device = "auto",
) -> None:
    """Run the paper's analyses on the data at hand and write one HTML report, with the paper's value beside ours."""
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
    """Return the command line as a report shows it: whose folders they were is nobody's business."""
    shown = ["FOLDER" if before == "--out" else text for before, text in pairwise(["", *arguments])]
    named = [
        re.sub(r"=.*", "=FOLDER", text) if before == "--data" else text
        for before, text in pairwise(["", *shown])
    ]
    return shlex.join(["python", "-m", "rbcore", *named])


@cli.command()
def verify(
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Rows of each table to compute again.")
    ] = 5,
    form: FormatOption = Format.table,
) -> None:
    """Check every cached table against its key and checksum, and compute some rows again.

    Exit 1 if one does not hold.
    """
    with progress_bar() as progress:
        findings = checks.verify(rows=rows, progress=progress)
    print_table(findings, form)
    if not findings["ok"].all():
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error of ours is one sentence on standard error and exit code 2."""
    keep_freed_memory()
    try:
        cli()
    except RobustnessBiasError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.echo("Stopped; everything finished until then is kept.", err=True)
        raise SystemExit(130) from None
