"""The commands that make runs: ``train``, ``grid`` and ``import``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rbcore.cli.options import (
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
from rbcore.runs.checkpoints import Run
from rbcore.runs.importing import import_weights
from rbcore.runs.sidecar import Sidecar
from rbcore.training.mitigations import AdversarialTraining, Mitigation, Regularizer, applied
from rbcore.training.mitigations.regularizer import FORMS, grid_of, regularizer_of
from rbcore.training.mitigations.reweighting import reweighting_of
from rbcore.training.recipes import recipe_for
from rbcore.training.train import announced_bytes
from rbcore.training.train import train as train_network

RecipeName = Annotated[str, typer.Option("--recipe", help="modern or paper.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="The recipe's own by default.")]
Size = Annotated[int | None, typer.Option("--size", help="Height and width in pixels.")]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch published files that are missing.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of the split, the weights and the batches.")]
Keep = Annotated[
    str,
    typer.Option("--keep", help="Checkpoints to keep: all, 3 (first, middle, last) or a number."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="Start from: none, imagenet, or a file; imagenet where the model has them.",
    ),
]
Validation = Annotated[
    float,
    typer.Option(
        "--validation",
        help="Share of the training images set aside to choose settings by, as in 0.2.",
    ),
]
PgdSteps = Annotated[
    int | None,
    typer.Option(
        "--pgd-steps", help="Gradient steps of adversarial training's attack; 3 by default."
    ),
]
Whom = typer.Option(
    "--regularize",
    metavar="PARTITION[=GROUP]",
    help=(
        "Train with the fairness term for a group, as in lighting=dim, or for all "
        "groups of a partition."
    ),
)
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", help="T of the relaxed indicator, L2 in pixels; 0.1 by default."),
]
Form = Annotated[
    str | None, typer.Option("--form", help=f"{', '.join(FORMS)}; runner_up by default.")
]
Over = Annotated[
    str | None, typer.Option("--over", help="Of all groups: worst (by default) or mean.")
]
Clip = Annotated[
    float | None,
    typer.Option(
        "--clip", help="Longest gradient of the term, before alpha; 1 by default, 0 for never."
    ),
]
TERM = ("regularizer_term", "regularizer_steps", "regularizer_skipped")
"""What a regularized run's facts say of the term."""


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
        needed = n_runs * announced_bytes(self.dataset, self.model, recipe, self.keep)
        typer.echo(f"The checkpoints will take about {needed / 1e6:,.1f} MB.", err=True)

    def train(self, mitigation: Mitigation | None, run: str | None = None) -> Run:
        """Train one run, or go on with it, under a progress bar."""
        with progress_bar() as progress:
            return train_network(
                self.model,
                self.dataset,
                recipe=self.recipe,
                epochs=self.epochs,
                run=run,
                keep=self.keep,
                weights=self.weights,
                mitigation=mitigation,
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
    validation: Validation = 0.0,
    run: RunName = None,
    builder: Builder = None,
    keep: Keep = "all",
    weights: Weights = None,
    regularize: Annotated[str | None, Whom] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="Weight of the term; 1 by default.")
    ] = None,
    tau: Annotated[
        float | None, typer.Option("--tau", help="Distance compared, L2 in pixels; 0.5 by default.")
    ] = None,
    temperature: Temperature = None,
    form: Form = None,
    over: Over = None,
    clip: Clip = None,
    adversarial: Annotated[
        float | None,
        typer.Option(
            "--adversarial",
            metavar="EPSILON",
            help="Adversarial training, moving images this far, L2 in pixels.",
        ),
    ] = None,
    pgd_steps: PgdSteps = None,
    reweight: Annotated[
        str | None,
        typer.Option(
            "--reweight",
            metavar="PARTITION[=GROUP]",
            help=(
                "Weigh a group's cross entropy up, as in lighting=dim, or all groups of "
                "a partition alike."
            ),
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option("--share", help="Of the total weight that the group carries; 0.5 by default."),
    ] = None,
    device: Device = "auto",
    table: FormatOption = Format.table,
) -> None:
    """Train a model and keep a checkpoint of its epochs; print loss and accuracy of each."""
    term = {
        "alpha": alpha,
        "tau": tau,
        "temperature": temperature,
        "form": form,
        "over": over,
        "clip": clip,
    }
    _refuse_stray("--regularize PARTITION=GROUP", regularize, term)
    _refuse_stray("--adversarial EPSILON", adversarial, {"pgd-steps": pgd_steps})
    _refuse_stray("--reweight PARTITION=GROUP", reweight, {"share": share})
    wanted: list[Mitigation] = []
    wanted += [regularizer_of(regularize, **term)] if regularize is not None else []
    wanted += [_adversarial(adversarial, pgd_steps)] if adversarial is not None else []
    wanted += [reweighting_of(reweight, share)] if reweight is not None else []
    if len(wanted) > 1:
        raise TrainingError(
            "A run has one mitigation; choose one of --regularize, --adversarial and --reweight."
        )
    use_builder(builder, model)
    data = _loaded(
        dataset,
        root=root,
        size=size,
        seed=seed,
        validation=validation,
        no_checksum=no_checksum,
        download=download,
    )
    plan = Plan(data, model, recipe, epochs, keep, weights, device)
    plan.announce(1)
    found = plan.train(wanted[0] if wanted else None, run)
    splits = ["train", *(["validation"] if data.validation else []), "test"]
    columns = [
        "run",
        "epoch",
        "train_loss",
        *(f"{split}_accuracy" for split in splits),
        *(f"n_{split}" for split in splits),
    ]
    columns += TERM if regularize is not None else []
    sidecars = [found.sidecar(epoch) for epoch in found.epochs]
    print_table(pd.DataFrame([_said(sidecar, columns) for sidecar in sidecars]), table)


def _refuse_stray(option: str, value: object, belonging: dict[str, float | str | None]) -> None:
    """Raise `TrainingError` for an option that is given without the one it belongs to."""
    given = [f"--{name}" for name, setting in belonging.items() if setting is not None]
    if value is None and given:
        raise TrainingError(
            f"{given[0]} belongs to {option.split()[0]}; add {option} or leave it out."
        )


def _adversarial(epsilon: float, pgd_steps: int | None) -> AdversarialTraining:
    settings = AdversarialTraining(epsilon)
    return settings if pgd_steps is None else replace(settings, steps=pgd_steps)


def grid(
    dataset: DatasetName,
    model: ModelName,
    regularize: Annotated[str, Whom],
    alphas: Annotated[
        str, typer.Option("--alphas", help="Weights of the term, as in 0.1,1,10.")
    ] = "0.1,1,10",
    taus: Annotated[
        str, typer.Option("--taus", help="Distances compared, L2 in pixels, as in 0.25,0.5.")
    ] = "0.5",
    epsilons: Annotated[
        str | None,
        typer.Option("--epsilons", help="Beside these, adversarial training, as in 0.25,0.5."),
    ] = None,
    pgd_steps: PgdSteps = None,
    shares: Annotated[
        str | None,
        typer.Option("--shares", help="And re-weighting of the same group, as in 0.5,0.67."),
    ] = None,
    recipe: RecipeName = "modern",
    epochs: Epochs = None,
    size: Size = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    download: Download = False,
    seed: Seed = 0,
    validation: Validation = 0.0,
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
    """Train the plain run and one for every setting; called again, it goes on where it stopped.

    Print how each ended.
    """
    _refuse_stray("--epsilons E,E", epsilons, {"pgd-steps": pgd_steps})
    base = regularizer_of(regularize, temperature=temperature, form=form, over=over, clip=clip)
    wanted: list[Mitigation] = [
        *grid_of(base, list(numbers("--alphas", alphas)), list(numbers("--taus", taus)))
    ]
    wanted += (
        [_adversarial(epsilon, pgd_steps) for epsilon in numbers("--epsilons", epsilons)]
        if epsilons is not None
        else []
    )
    wanted += (
        [reweighting_of(regularize, share) for share in numbers("--shares", shares)]
        if shares is not None
        else []
    )
    use_builder(builder, model)
    data = _loaded(
        dataset,
        root=root,
        size=size,
        seed=seed,
        validation=validation,
        no_checksum=no_checksum,
        download=download,
    )
    applied(
        base, data.samples
    )  # a group that does not exist is said before the plain run is trained
    plan = Plan(data, model, recipe, epochs, keep, weights, device)
    plan.announce(1 + len(wanted))
    accuracies = [
        "train_accuracy",
        *(["validation_accuracy"] if data.validation else []),
        "test_accuracy",
    ]
    rows = []
    for number, mitigation in enumerate([None, *wanted], start=1):
        found = plan.train(mitigation)
        typer.echo(f"run {number} of {1 + len(wanted)} is ready: {found.name}", err=True)
        settings, is_term = found.mitigation or {}, isinstance(mitigation, Regularizer)
        last = found.facts.history[-1].of_mitigation
        skipped, used = last.get("regularizer_skipped"), last.get("regularizer_steps")
        rows.append(
            {
                "run": found.name,
                **{
                    name: settings.get(name)
                    for name in ("kind", "alpha", "tau", "epsilon", "share")
                },
                **_said(found.facts, ["train_loss", *accuracies, "n_test"]),
                "regularizer_term": last.get("regularizer_term"),
                "skipped": f"{skipped} of {int(used or 0) + int(skipped or 0)}"
                if is_term
                else None,
                "seconds": sum(record.seconds for record in found.facts.history),
            }
        )
    print_table(pd.DataFrame(rows), table)


def _said(sidecar: Sidecar, columns: Sequence[str]) -> dict[str, object]:
    """Return what a sidecar says, and what the epoch's history says of the mitigation."""
    last = sidecar.history[-1].of_mitigation if sidecar.history else {}
    return {name: last[name] if name in last else getattr(sidecar, name) for name in columns}


def _loaded(
    name: str,
    *,
    root: Path | None,
    size: int | None,
    seed: int,
    validation: float,
    no_checksum: bool,
    download: bool,
) -> Dataset:
    """Load a dataset under a progress bar.

    Tell which files were skipped and what was decided about images and columns.
    """
    with progress_bar() as progress:
        data = load_dataset(
            name,
            root=root,
            size=size,
            seed=seed,
            validation=validation,
            checksum=False if no_checksum else None,
            download=download,
            progress=progress,
        )
    for skip in data.skipped[:10]:
        typer.echo(f"skipped {skip.file}: {skip.reason}", err=True)
    if len(data.skipped) > 10:
        typer.echo(f"... and {len(data.skipped) - 10} more", err=True)
    for note in data.notes:
        typer.echo(note, err=True)
    return data


def import_(
    dataset: DatasetName,
    model: ModelName,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Safetensors or a PyTorch state dict.")
    ],
    builder: Builder = None,
    mean: Annotated[
        str | None,
        typer.Option("--mean", help="Normalization they were trained with, as in .485,.456,.406"),
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", help="The same for the standard deviation.")
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            "--outputs", help="logits or probabilities, where the outputs leave that open."
        ),
    ] = None,
    weights_key: Annotated[
        str | None,
        typer.Option(
            "--weights-key", help="Which set, where the file holds several, as in model_ema."
        ),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", help="Height and width in pixels.")] = None,
    root: Root = None,
    no_checksum: NoChecksum = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the split.")] = 0,
    run: Annotated[
        str | None, typer.Option("--run", help="Name of the run; the file's own by default.")
    ] = None,
    device: Device = "auto",
    form: FormatOption = Format.table,
) -> None:
    """Make a run of weights that others trained, and print its accuracy.

    Everything else then treats it as any model.
    """
    use_builder(builder, model)
    with progress_bar() as progress:
        loaded = load_dataset(
            dataset,
            root=root,
            size=size,
            seed=seed,
            checksum=False if no_checksum else None,
            progress=progress,
        )
    channels = [
        None if text is None else numbers(option, text)
        for option, text in (("--mean", mean), ("--std", std))
    ]
    found = import_weights(
        loaded,
        model,
        file,
        run=run,
        mean=channels[0],
        std=channels[1],
        weights_key=weights_key,
        outputs=outputs,
        device=device,
    )
    for note in found.facts.notes:
        typer.echo(note, err=True)
    if found.facts.warning:
        typer.echo(f"warning: {found.facts.warning}", err=True)
    columns = ("run", "train_accuracy", "test_accuracy", "n_train", "n_test")
    print_table(pd.DataFrame([_said(found.facts, list(columns))]), form)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Turn ``.485,.456,.406`` into numbers, or raise `MethodError` naming the option."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise MethodError(
            f"{option} {text} is not a list of numbers, as in .485,.456,.406."
        ) from None
