"""The commands that make runs: ``train``, ``grid`` and ``import``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import typer

from rbcore.cli.mitigation_options import (
    chosen_grid,
    chosen_mitigation,
    grid_options,
    train_options,
)
from rbcore.cli.options import (
    Builder,
    Device,
    Format,
    FormatOption,
    options_from_records,
    print_table,
    progress_bar,
    use_builder,
)
from rbcore.datasets import Dataset, DatasetRequest, open_dataset
from rbcore.parameters import setting
from rbcore.runs.checkpoints import Run
from rbcore.runs.import_request import ImportRequest
from rbcore.runs.sidecar import Sidecar
from rbcore.training.mitigations import MITIGATIONS, Mitigation
from rbcore.training.request import TrainingRequest


@dataclass(frozen=True)
class GridRequest(TrainingRequest):
    """A training of a grid, which keeps fewer checkpoints."""

    keep: str = setting("3", "checkpoints to keep: all, 3 (first, middle, last) or a number")


def add_commands(cli: typer.Typer) -> None:
    """Add ``train``, ``grid`` and ``import``, with options for the registered mitigations."""
    cli.command("train")(options_from_records(train, mitigation=train_options()))
    cli.command("grid")(options_from_records(grid, ("run",), mitigations=grid_options()))
    cli.command("import")(options_from_records(import_, ("validation", "download")))


def train(
    data: DatasetRequest,
    training: TrainingRequest,
    mitigation: Any,
    builder: Builder = None,
    device: Device = "auto",
    table: FormatOption = Format.table,
) -> None:
    """Train a model and keep a checkpoint of its epochs; print loss and accuracy of each."""
    request = replace(training, mitigation=chosen_mitigation(mitigation))
    use_builder(builder, request.model)
    dataset = opened(data)
    announce(1, request, dataset)
    found = train_with_bar(request, dataset, device)
    splits = ["train", *(["validation"] if dataset.validation else []), "test"]
    columns = [
        "run",
        "epoch",
        "train_loss",
        *(f"{split}_accuracy" for split in splits),
        *(f"n_{split}" for split in splits),
        *(request.mitigation.reported if request.mitigation else ()),
    ]
    sidecars = [found.sidecar(epoch) for epoch in found.epochs]
    print_table(pd.DataFrame([_said(sidecar, columns) for sidecar in sidecars]), table)


def grid(
    data: DatasetRequest,
    training: GridRequest,
    mitigations: Any,
    builder: Builder = None,
    device: Device = "auto",
    table: FormatOption = Format.table,
) -> None:
    """Train the plain run and one for every setting; called again, it resumes.

    Print how each ended.
    """
    wanted = chosen_grid(mitigations)
    use_builder(builder, training.model)
    dataset = opened(data)
    for one in wanted:
        one.hooks(dataset.samples)  # refuses an unknown group before anything is trained
    announce(1 + len(wanted), training, dataset)
    rows = []
    for number, mitigation in enumerate([None, *wanted], start=1):
        found = train_with_bar(replace(training, mitigation=mitigation), dataset, device)
        typer.echo(f"run {number} of {1 + len(wanted)} is ready: {found.name}", err=True)
        rows.append(_end_of(found, mitigation, wanted))
    print_table(pd.DataFrame(rows), table)


def _end_of(run: Run, mitigation: Mitigation | None, wanted: list[Mitigation]) -> dict[str, object]:
    """Return how a run of a grid ended, in one row."""
    varied = dict.fromkeys(name for found in MITIGATIONS.values() for name in found.grid)
    reported = dict.fromkeys(name for found in wanted for name in found.reported)
    settings = run.mitigation or {}
    splits = ("train", *(["validation"] if run.facts.validation else []), "test")
    columns = ["train_loss", *(f"{split}_accuracy" for split in splits), "n_test"]
    last = run.facts.history[-1].of_mitigation
    return {
        "run": run.name,
        "kind": mitigation.kind if mitigation else None,
        **{name: settings.get(name) for name in varied},
        **_said(run.facts, columns),
        **{name: last.get(name) for name in reported},
        "seconds": sum(record.seconds for record in run.facts.history),
    }


def _said(sidecar: Sidecar, columns: Sequence[str]) -> dict[str, object]:
    """Return what a sidecar says, and what the epoch's history says of the mitigation."""
    last = sidecar.history[-1].of_mitigation if sidecar.history else {}
    return {name: last[name] if name in last else getattr(sidecar, name) for name in columns}


def announce(n_runs: int, request: TrainingRequest, dataset: Dataset) -> None:
    """Say what the checkpoints will take."""
    from rbcore.training.train import announced_bytes

    needed = n_runs * announced_bytes(request, dataset)
    typer.echo(f"The checkpoints will take about {needed / 1e6:,.1f} MB.", err=True)


def train_with_bar(request: TrainingRequest, dataset: Dataset, device: str) -> Run:
    """Train one run, or go on with it, under a progress bar."""
    from rbcore.training.train import train_request

    with progress_bar() as progress:
        return train_request(request, dataset, device=device, progress=progress)


def opened(request: DatasetRequest) -> Dataset:
    """Load a dataset under a progress bar.

    Tell which files were skipped and what was decided about images and columns.
    """
    with progress_bar() as progress:
        data = open_dataset(request, progress)
    for skip in data.skipped[:10]:
        typer.echo(f"skipped {skip.file}: {skip.reason}", err=True)
    if len(data.skipped) > 10:
        typer.echo(f"... and {len(data.skipped) - 10} more", err=True)
    for note in data.notes:
        typer.echo(note, err=True)
    return data


def import_(
    data: DatasetRequest,
    weights: ImportRequest,
    builder: Builder = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Import weights trained elsewhere as a run, and print its accuracy.

    The other commands then treat it like any run.
    """
    from rbcore.runs.importing import import_request

    use_builder(builder, weights.model)
    with progress_bar() as progress:
        dataset = open_dataset(data, progress)
    found = import_request(weights, dataset, device=device)
    for note in found.facts.notes:
        typer.echo(note, err=True)
    if found.facts.warning:
        typer.echo(f"warning: {found.facts.warning}", err=True)
    columns = ("run", "train_accuracy", "test_accuracy", "n_train", "n_test")
    print_table(pd.DataFrame([_said(found.facts, columns)]), form)
