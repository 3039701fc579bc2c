"""The commands that make runs: ``train``, ``grid`` and ``import``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rbcore import training
from rbcore.commands.options import (
    Builder,
    DatasetName,
    Device,
    Format,
    FormatOption,
    ModelName,
    NoChecksum,
    Root,
    RunName,
    print_table,
    progress_bar,
    use_builder,
)
from rbcore.datasets import Dataset, load_dataset
from rbcore.errors import MethodError, TrainingError
from rbcore.importing import import_weights
from rbcore.models.checkpoints import Run
from rbcore.recipes import recipe_for
from rbcore.regularizer import FORMS, Regularizer, grid_of, regularizer_of, sides_of

RecipeName = Annotated[str, typer.Option("--recipe", help="modern or paper.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="The recipe's own by default.")]
Size = Annotated[int | None, typer.Option("--size", help="Height and width in pixels.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch published files that are missing.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the split, the weights and the batches.")]
Keep = Annotated[str, typer.Option("--keep", help="Checkpoints to keep: all, 3 (first, middle, last) or a number.")]
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="Start from: none, imagenet, or a file; imagenet where the model has them."),
]
Whom = typer.Option(
    "--regularize",
    metavar="PARTITION[=GROUP]",
    help="Train with the fairness term for a group, as in lighting=dim, or for all groups of a partition.",
)
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="T of the relaxed indicator, L2 in pixels; 0.1 by default.")
]
Form = Annotated[str | None, typer.Option("--form", help=f"{', '.join(FORMS)}; runner_up by default.")]
Over = Annotated[str | None, typer.Option("--over", help="Of all groups: worst (by default) or mean.")]
Clip = Annotated[
    float | None, typer.Option("--clip", help="Longest gradient of the term, before alpha; 1 by default, 0 for never.")
]


@dataclass(frozen=True)
class Plan:
    """Data, and how every run of a command is trained on them."""

    dataset: Dataset
    model: str
    recipe: str
    epochs: int | None
    keep: str
    weights: str | None
    device: str

    def announce(self, n_runs: int) -> None:
        """Say what the checkpoints will take."""
        recipe = recipe_for(self.dataset.name, self.model, self.recipe, self.epochs)
        needed = n_runs * training.announced_bytes(self.dataset, self.model, recipe, self.keep)
        typer.echo(f"The checkpoints will take about {needed / 1e6:,.1f} MB.", err=True)

    def train(self, regularizer: Regularizer | None, run: str | None = None) -> Run:
        """Train one run, or go on with it, under a progress bar."""
        with progress_bar() as progress:
            return training.train(
                self.model,
                self.dataset,
                recipe=self.recipe,
                epochs=self.epochs,
                run=run,
                keep=self.keep,
                weights=self.weights,
                regularizer=regularizer,
                device=self.device,
                progress=progress,
            )


def train(
    dataset: DatasetName,
    model: ModelName,
    recipe: RecipeName = "modern",
    epochs: Epochs = None,
    size: Size = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    download: Download = False,
    seed: Seed = 0,
    run: RunName = None,
    builder: Builder = None,
    keep: Keep = "all",
    weights: Weights = None,
    regularize: Annotated[str | None, Whom] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", help="Weight of the term; 1 by default.")] = None,
    tau: Annotated[float | None, typer.Option("--tau", help="Distance compared, L2 in pixels; 0.5 by default.")] = None,
    temperature: Temperature = None,
    form: Form = None,
    over: Over = None,
    clip: Clip = None,
    device: Device = "auto",
    table: FormatOption = Format.table,
) -> None:
    """Train a model and keep a checkpoint of its epochs; print loss and accuracy of each."""
    settings = {"alpha": alpha, "tau": tau, "temperature": temperature, "form": form, "over": over, "clip": clip}
    given = [f"--{name}" for name, value in settings.items() if value is not None]
    if regularize is None and given:
        raise TrainingError(f"{given[0]} belongs to --regularize; add --regularize PARTITION=GROUP or leave it out.")
    regularizer = regularizer_of(regularize, **settings) if regularize is not None else None
    use_builder(builder, model)
    data = _loaded(dataset, root=root, size=size, seed=seed, no_checksum=no_checksum, download=download)
    plan = Plan(data, model, recipe, epochs, keep, weights, device)
    plan.announce(1)
    found = plan.train(regularizer, run)
    columns = ["run", "epoch", "train_loss", "train_accuracy", "test_accuracy", "n_train", "n_test"]
    columns += [] if found.is_plain else ["regularizer_term", "regularizer_steps", "regularizer_skipped"]
    sidecars = [found.sidecar(epoch) for epoch in found.epochs]
    print_table(pd.DataFrame([{name: sidecar[name] for name in columns} for sidecar in sidecars]), table)


def grid(
    dataset: DatasetName,
    model: ModelName,
    regularize: Annotated[str, Whom],
    alphas: Annotated[str, typer.Option("--alphas", help="Weights of the term, as in 0.1,1,10.")] = "0.1,1,10",
    taus: Annotated[str, typer.Option("--taus", help="Distances compared, L2 in pixels, as in 0.25,0.5.")] = "0.5",
    recipe: RecipeName = "modern",
    epochs: Epochs = None,
    size: Size = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    download: Download = False,
    seed: Seed = 0,
    builder: Builder = None,
    keep: Keep = "3",
    weights: Weights = None,
    temperature: Temperature = None,
    form: Form = None,
    over: Over = None,
    clip: Clip = None,
    device: Device = "auto",
    table: FormatOption = Format.table,
) -> None:
    """Train the plain run and one for every alpha and tau; called again, it goes on where it stopped. Print how each ended."""
    base = regularizer_of(regularize, temperature=temperature, form=form, over=over, clip=clip)
    regularizers = grid_of(base, list(numbers("--alphas", alphas)), list(numbers("--taus", taus)))
    use_builder(builder, model)
    data = _loaded(dataset, root=root, size=size, seed=seed, no_checksum=no_checksum, download=download)
    sides_of(base, data.samples)  # a group that does not exist is said before the plain run is trained
    plan = Plan(data, model, recipe, epochs, keep, weights, device)
    plan.announce(1 + len(regularizers))
    rows = []
    for number, regularizer in enumerate([None, *regularizers], start=1):
        found = plan.train(regularizer)
        typer.echo(f"run {number} of {1 + len(regularizers)} is ready: {found.name}", err=True)
        steps = found.facts.get("regularizer_steps", 0) + found.facts.get("regularizer_skipped", 0)
        rows.append(
            {
                "run": found.name,
                "alpha": regularizer.alpha if regularizer else None,
                "tau": regularizer.tau if regularizer else None,
                **{name: found.facts[name] for name in ("train_loss", "train_accuracy", "test_accuracy", "n_test")},
                "regularizer_term": found.facts.get("regularizer_term"),
                "skipped": f"{found.facts['regularizer_skipped']} of {steps}" if regularizer else None,
            }
        )
    print_table(pd.DataFrame(rows), table)


def _loaded(
    name: str, *, root: Path | None, size: int | None, seed: int, no_checksum: bool, download: bool = False
) -> Dataset:
    """Load a dataset under a progress bar and tell which files were skipped."""
    with progress_bar() as progress:
        data = load_dataset(
            name,
            root=root,
            size=size,
            seed=seed,
            checksum=False if no_checksum else None,
            download=download,
            progress=progress,
        )
    for skip in data.skipped[:10]:
        typer.echo(f"skipped {skip.file}: {skip.reason}", err=True)
    if len(data.skipped) > 10:
        typer.echo(f"... and {len(data.skipped) - 10} more", err=True)
    return data


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
    channels = [numbers(option, text) if text else None for option, text in (("--mean", mean), ("--std", std))]
    found = import_weights(loaded, model, file, run=run, mean=channels[0], std=channels[1], device=device)
    columns = ("run", "train_accuracy", "test_accuracy", "n_train", "n_test")
    print_table(pd.DataFrame([{name: found.facts[name] for name in columns}]), form)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Turn ``.485,.456,.406`` into numbers, or raise `MethodError` naming the option."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise MethodError(f"{option} {text} is not a list of numbers, as in .485,.456,.406.") from None
