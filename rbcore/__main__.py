"""The command line: ``python -m rbcore``."""

import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import torch
import typer
from tqdm import tqdm

from rbcore import analyses, api, inference, reproduction, training
from rbcore import verification as checks
from rbcore.datasets import DATASETS, SkippedFile, count_on_disk, known_folder, load_dataset, remember_check
from rbcore.distances import METHODS
from rbcore.errors import MethodError, ModelError, RobustnessBiasError
from rbcore.importing import import_weights
from rbcore.measures import DEFAULT_POLICY, Policy
from rbcore.models import MODELS, build_network
from rbcore.models.checkpoints import Run, find_run, list_runs
from rbcore.models.foreign import register_builder
from rbcore.recipes import recipe_for
from rbcore.running import Progress

cli = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


USUAL_SIZES = (32, 64, 224)


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    csv = "csv"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How the table is printed.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="Name of a dataset; see: python -m rbcore datasets")
]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model; see: python -m rbcore models")]
MethodName = Annotated[
    str, typer.Argument(metavar="METHOD", help="method or method:preset; see: python -m rbcore methods")
]
RunName = Annotated[
    str | None, typer.Option("--run", help="Name of the run; the newest complete plain one by default.")
]
Epoch = Annotated[str, typer.Option("--epoch", help="first, middle, last, all or a number from 1.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda[:N].")]
Root = Annotated[
    Path | None, typer.Option("--root", help="Folder of the dataset's files; remembered for the next call.")
]
NoChecksum = Annotated[
    bool,
    typer.Option("--no-checksum", help="Accept files that are not the published ones; remembered with the folder."),
]
Builder = Annotated[
    Path | None, typer.Option("--builder", help="Python file with build(input_shape, n_classes); its code runs.")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the method; repeatable.")
]


def print_table(table: pd.DataFrame, form: Format) -> None:
    """Print a table to standard output."""
    if form is Format.csv:
        typer.echo(table.to_csv(index=False), nl=False)
    elif form is Format.json:
        typer.echo(table.to_json(orient="records", indent=1))
    else:
        typer.echo(table.to_string(index=False, float_format="{:.4g}".format, na_rep="-", max_colwidth=80))


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


def parse_settings(settings: list[str] | None, option: str = "--set", what: str = "VALUE") -> dict[str, Any]:
    """Turn ``NAME=VALUE`` texts into parameters."""
    pairs = [text.partition("=") for text in settings or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise MethodError(f"{option} {name}{equals}{value} is not of the form NAME={what}.")
    return {name: value for name, _, value in pairs}


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
                "partitions": " ".join(spec.partitions) + (" + metadata.csv" if spec.is_open else ""),
                "size": spec.default_size,
                "train": "-" if spec.n_train is None else f"{spec.n_train:,}",
                "test": "-" if spec.n_test is None else f"{spec.n_test:,}",
                "on disk": count_on_disk(spec),
                "files": "-" if not spec.needs_folder else str(folder) if folder else "folder not set: --root",
                "runs": len(list_runs(spec.name)),
                "licence": spec.licence,
                "source": spec.source,
            }
        )
    print_table(pd.DataFrame(rows), form)


@cli.command()
def models(form: FormatOption = Format.table) -> None:
    """List the models, with their runs, and their parameters for colour images of 10 classes at a usual size."""
    rows = []
    for spec in MODELS.values():
        size = next(side for side in USUAL_SIZES if spec.takes(side, side))
        with torch.device("meta"):  # shapes only
            network = build_network(spec.name, (3, size, size), 10, (0.0,) * 3, (1.0,) * 3)
        n_parameters = sum(parameter.numel() for parameter in network.parameters())
        row = {"name": spec.name, "title": spec.title, "parameters": f"{n_parameters:,}", "at": f"{size} px"}
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
def train(
    dataset: DatasetName,
    model: ModelName,
    recipe: Annotated[str, typer.Option("--recipe", help="modern or paper.")] = "modern",
    epochs: Annotated[int | None, typer.Option("--epochs", help="The recipe's own by default.")] = None,
    size: Annotated[int | None, typer.Option("--size", help="Height and width in pixels.")] = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    download: Annotated[bool, typer.Option("--download", help="Fetch published files that are missing.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the split, the weights and the batches.")] = 0,
    run: RunName = None,
    builder: Builder = None,
    keep: Annotated[
        str, typer.Option("--keep", help="Checkpoints to keep: all, 3 (first, middle, last) or a number.")
    ] = "all",
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Start from: none, imagenet, or a file; imagenet where the model has them."),
    ] = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Train a model and keep a checkpoint of its epochs; print loss and accuracy of each."""
    use_builder(builder, model)
    with progress_bar() as progress:
        loaded = load_dataset(
            dataset,
            root=root,
            size=size,
            seed=seed,
            checksum=False if no_checksum else None,
            download=download,
            progress=progress,
        )
    _tell_skipped(loaded.skipped)
    needed = training.announced_bytes(loaded, model, recipe_for(dataset, model, recipe, epochs), keep)
    typer.echo(f"The checkpoints will take about {needed / 1e6:,.1f} MB.", err=True)
    with progress_bar() as progress:
        found = training.train(
            model,
            loaded,
            recipe=recipe,
            epochs=epochs,
            run=run,
            keep=keep,
            weights=weights,
            device=device,
            progress=progress,
        )
    columns = ("run", "epoch", "train_loss", "train_accuracy", "test_accuracy", "n_train", "n_test")
    sidecars = [found.sidecar(epoch) for epoch in found.epochs]
    print_table(pd.DataFrame([{name: sidecar[name] for name in columns} for sidecar in sidecars]), form)


def _tell_skipped(skipped: tuple[SkippedFile, ...]) -> None:
    for skip in skipped[:10]:
        typer.echo(f"skipped {skip.file}: {skip.reason}", err=True)
    if len(skipped) > 10:
        typer.echo(f"... and {len(skipped) - 10} more", err=True)


@cli.command("import")
def import_(
    dataset: DatasetName,
    model: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Safetensors or a PyTorch state dict.")],
    builder: Builder = None,
    mean: Annotated[
        str | None, typer.Option("--mean", help="Normalisation they were trained with, as in .485,.456,.406")
    ] = None,
    std: Annotated[str | None, typer.Option("--std", help="The same for the standard deviation.")] = None,
    size: Annotated[int | None, typer.Option("--size", help="Height and width in pixels.")] = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the split.")] = 0,
    run: Annotated[str | None, typer.Option("--run", help="Name of the run; the file's own by default.")] = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Make a run of weights that others trained, and print its accuracy; everything else then treats it as any model."""
    use_builder(builder, model)
    with progress_bar() as progress:
        loaded = load_dataset(
            dataset, root=root, size=size, seed=seed, checksum=False if no_checksum else None, progress=progress
        )
    channels = [_numbers("--mean", mean), _numbers("--std", std)]
    found = import_weights(loaded, model, file, run=run, mean=channels[0], std=channels[1], device=device)
    columns = ("run", "train_accuracy", "test_accuracy", "n_train", "n_test")
    print_table(pd.DataFrame([{name: found.facts[name] for name in columns}]), form)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    try:
        return tuple(float(part) for part in text.split(",")) if text else None
    except ValueError:
        raise MethodError(f"{option} {text} is not a list of numbers such as .485,.456,.406") from None


def use_builder(builder: Path | None, model: str) -> None:
    """Register the builder of a Python file, if one is given, and check that the model exists."""
    if builder is not None and register_builder(builder) != model:
        raise ModelError(f"The builder {builder} is called {builder.stem!r}; use that name instead of {model!r}.")
    MODELS[model]


@cli.command()
def estimate(
    dataset: DatasetName,
    model: ModelName,
    method: MethodName,
    epoch: Epoch = "last",
    run: RunName = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only so many test images.")] = None,
    every: Annotated[
        int, typer.Option("--every", help="Only every so many-th test image; 5 is the paper's choice for smoothing.")
    ] = 1,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Images a pass; found by measuring by default.")
    ] = None,
    settings: Settings = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    builder: Builder = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Estimate distances to the decision boundary and keep them; print what was found for each epoch."""
    parameters = parse_settings(settings)
    use_builder(builder, model)
    spec = DATASETS[dataset]
    found = find_run(dataset, model, run)
    place = root or known_folder(spec)
    if no_checksum and place is not None:
        remember_check(spec, place, False)
    epochs = chosen_epochs(found, epoch)
    with progress_bar() as progress:
        loaded, found = api.open_run(dataset, model, run=found.name, root=root, progress=progress)
    rows = []
    for number in epochs:
        network = api.load_model(model, loaded, epoch=number, run=found.name, device=device)
        cost = api.estimate_cost(network, loaded, method, limit=limit, every=every, **parameters)
        if cost is not None and cost.n_images:
            typer.echo(
                f"epoch {number}: up to {cost.n_images:,} images x {cost.passes:,} passes, about "
                f"{cost.seconds / 60:,.1f} minutes.",
                err=True,
            )
        with progress_bar() as progress:
            table = api.estimate_distances(
                network,
                loaded,
                method,
                limit=limit,
                every=every,
                batch_size=batch_size,
                progress=progress,
                **parameters,
            )
        correct = table.loc[table["is_correct"], "distance"]
        counts = table["status"].value_counts().to_dict()
        rows.append(
            {
                "run": found.name,
                "epoch": number,
                "n": len(table),
                "accuracy": table["is_correct"].mean(),
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
    by: Annotated[str, typer.Option("--by", metavar="PARTITION", help="class, or an attribute of the dataset.")],
    epoch: Epoch = "last",
    run: RunName = None,
    settings: Settings = None,
    misclassified: Annotated[
        str, typer.Option("--misclassified", help="zero or exclude.")
    ] = DEFAULT_POLICY.misclassified,
    rest: Annotated[str, typer.Option("--rest", help="pooled, mean or sum.")] = DEFAULT_POLICY.rest,
    failed: Annotated[str, typer.Option("--failed", help="exclude or raise.")] = DEFAULT_POLICY.failed,
    tau_max: Annotated[float | None, typer.Option("--tau-max", help="Upper limit of tau, L2; none by default.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Print the robustness bias of every group, from distances that `estimate` has kept."""
    parameters = parse_settings(settings)
    policy = Policy(misclassified=misclassified, rest=rest, failed=failed, tau_max=tau_max)
    DATASETS[dataset]
    found = find_run(dataset, model, run)
    tables = []
    for number in chosen_epochs(found, epoch):
        stored = api.stored_distances(found, number, method, **parameters)
        if stored is None:
            raise MethodError(
                f"No {method} distances are stored for epoch {number} of run {found.name}. Compute them: "
                f"python -m rbcore estimate {dataset} {model} {method} --epoch {number} --run {found.name}"
            )
        table = inference.robustness_bias(stored.rows, by, policy=policy)
        table.insert(0, "epoch", number)
        tables.append(table)
        covered = f"{len(stored.rows):,} of {found.facts['n_test']:,} test images"
        typer.echo(f"epoch {number}, {covered}: {inference.verdict(table)}", err=True)
    print_table(pd.concat(tables, ignore_index=True), form)


@cli.command()
def reproduce(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report and its tables.")] = Path("reproduction"),
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Only this dataset; repeatable. All of the plan by default.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="NAME=FOLDER", help="Where a dataset, or ug100, lies; repeatable."),
    ] = None,
    no_checksum: NoChecksum = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tiny budget: shows that all works, measures nothing well.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Run the paper's analyses on the data at hand and write one HTML report, with the paper's value beside ours."""
    started = time.perf_counter()
    folders = {name: Path(folder).expanduser() for name, folder in parse_settings(data, "--data", "FOLDER").items()}
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
    sections.append(reproduction.provenance(materials, _without_folders(sys.argv[1:]), time.perf_counter() - started))
    typer.echo(reproduction.write(out, sections, is_quick=quick))


def _without_folders(arguments: list[str]) -> str:
    """Return the command line as a report shows it: whose folders they were is nobody's business."""
    shown = ["FOLDER" if before == "--out" else text for before, text in pairwise(["", *arguments])]
    named = [re.sub(r"=.*", "=FOLDER", text) if before == "--data" else text for before, text in pairwise(["", *shown])]
    return shlex.join(["python", "-m", "rbcore", *named])


@cli.command()
def verify(
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each table to compute again.")] = 5,
    form: FormatOption = Format.table,
) -> None:
    """Check every cached table against its key and checksum, and compute some rows again; exit 1 if one does not hold."""
    with progress_bar() as progress:
        findings = checks.verify(rows=rows, progress=progress)
    print_table(findings, form)
    if not findings["ok"].all():
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error of ours is one sentence on standard error and exit code 2."""
    try:
        cli()
    except RobustnessBiasError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        typer.echo("Stopped; everything finished until then is kept.", err=True)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
