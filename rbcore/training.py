"""Train a network and keep a checkpoint of its epochs: stochastic gradient descent as in the paper (section 5).

One seed fixes the split of the data, the initial weights, the order of the batches and the dropout.
"""

import datetime
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rbcore.datasets import Dataset
from rbcore.errors import CheckpointError, TrainingError
from rbcore.models import build_network
from rbcore.models.checkpoints import (
    Run,
    find_run,
    list_runs,
    refuse_if_disk_is_short,
    run_folder,
    save_checkpoint,
    weights_bytes,
)
from rbcore.running import Cancel, Progress, never, no_progress, resolve_device, stop_if
from rbcore.store import Facts, make_folder

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: plain SGD on the cross entropy.

    Attributes
    ----------
    name
        What the recipe is called.
    epochs
        Passes over the training split.
    batch_size
        Images a step.
    learning_rate, momentum
        Of SGD; constant.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float


PAPER = Recipe("paper", epochs=50, batch_size=28, learning_rate=5e-4, momentum=0.9)
"""The paper's recipe: no weight decay, no schedule, no augmentation."""

RECIPES: dict[tuple[str, str], Recipe] = {
    ("digits", "logistic_regression"): Recipe("quick", epochs=12, batch_size=32, learning_rate=0.02, momentum=0.9),
    ("digits", "small_cnn"): Recipe("quick", epochs=12, batch_size=32, learning_rate=0.02, momentum=0.9),
    ("utkface", "logistic_regression"): Recipe("quick", epochs=12, batch_size=64, learning_rate=1e-3, momentum=0.9),
    ("utkface", "small_cnn"): Recipe("quick", epochs=12, batch_size=64, learning_rate=0.02, momentum=0.9),
    ("utkface", "utk_classifier"): Recipe("quick", epochs=12, batch_size=64, learning_rate=0.01, momentum=0.9),
}
"""What is used where no recipe is named; the paper's for every pair that is not listed."""


def recipe_for(dataset: str, model: str, epochs: int | None = None) -> Recipe:
    """Return the recipe of a dataset and a model, with another number of epochs where one is given."""
    recipe = RECIPES.get((dataset, model), PAPER)
    if epochs is None:
        return recipe
    if not 1 <= epochs <= 10_000:
        raise TrainingError(f"{epochs} epochs cannot be trained; give a number from 1 to 10000.")
    return Recipe(**{**asdict(recipe), "epochs": epochs})


def kept_epochs(keep: str, n_epochs: int) -> tuple[int, ...]:
    """Return the epochs whose checkpoints are kept.

    Parameters
    ----------
    keep
        ``all``, or a number: 3 keeps first, middle and last; N keeps N, evenly spaced, the last always.
    """
    if keep == "all":
        return tuple(range(1, n_epochs + 1))
    if not keep.isdecimal() or int(keep) < 1:
        raise TrainingError(f"keep={keep!r} is neither 'all' nor a number from 1.")
    if int(keep) == 1:
        return (n_epochs,)
    if int(keep) == 3:
        return tuple(sorted({1, -(-n_epochs // 2), n_epochs}))
    return tuple(sorted({int(epoch) for epoch in np.linspace(1, n_epochs, int(keep)).round()}))


def default_run_name(recipe: Recipe, size: int, seed: int) -> str:
    """Return the name of a plain run: what sets it apart from its siblings."""
    return f"{recipe.name}-{size}px-{recipe.epochs}ep-seed{seed}"


def announced_bytes(dataset: Dataset, model: str, recipe: Recipe, keep: str) -> int:
    """Return about how many bytes the checkpoints of a training run will take."""
    with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
        network = build_network(model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std)
    return weights_bytes(network) * len(kept_epochs(keep, recipe.epochs))


def train(
    model: str,
    dataset: Dataset,
    *,
    epochs: int | None = None,
    run: str | None = None,
    keep: str = "all",
    device: str = "auto",
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Run:
    """Train a registered model on a dataset's training split and return the run.

    Parameters
    ----------
    model, dataset
        Name of the architecture, and the data; the dataset's seed is the run's seed.
    epochs
        Passes over the training split; the recipe's own where none is given.
    run
        Name of the run; made of recipe, size, epochs and seed where none is given.
    keep
        ``all``, 3 (first, middle, last) or N checkpoints.
    device
        ``auto | cpu | cuda[:N]``.
    progress, cancel
        Called after every step: steps done and in all; a cancelled run keeps its finished epochs.

    Returns
    -------
    Run
        A complete run of the same name and recipe is returned as it is, since training it again would give the same.

    Raises
    ------
    CheckpointError
        If the name is taken by a different run.
    StoreError
        If the disk is too short for the checkpoints, before anything is trained.
    TrainingError
        If the loss is no longer finite.
    """
    recipe = recipe_for(dataset.name, model, epochs)
    name = run or default_run_name(recipe, dataset.size, dataset.seed)
    folder = run_folder(dataset.name, model, name)
    facts: Facts = {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "size": dataset.size,
        "seed": dataset.seed,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "model": model,
        "run": name,
        "recipe": asdict(recipe),
        "regularizer": None,
        "n_epochs": recipe.epochs,
    }
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        for what, value in facts.items():
            if existing.facts.get(what) != value:
                raise CheckpointError(
                    f"The run {name!r} exists with another {what.replace('_', ' ')} "
                    f"({existing.facts.get(what)} instead of {value}). Choose another name with run= or --run."
                )
        if existing.is_complete and set(kept_epochs(keep, recipe.epochs)) <= set(existing.epochs):
            return existing
    kept = kept_epochs(keep, recipe.epochs)
    make_folder(folder)
    refuse_if_disk_is_short(folder, announced_bytes(dataset, model, recipe, keep))
    torch_device = resolve_device(device)
    facts |= {
        "created": _now(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(torch_device),
    }
    devices = [torch_device] if torch_device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(dataset.seed)
        network = build_network(model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std).to(
            torch_device
        )
        for epoch, loss in _epochs(network, dataset, recipe, torch_device, progress, cancel):
            if epoch in kept:
                found: Facts = {"train_loss": loss}
                for split in ("train", "test"):
                    rows = dataset.rows(split)
                    found |= {
                        f"{split}_accuracy": accuracy(network, dataset, rows, torch_device),
                        f"n_{split}": len(rows),
                    }
                save_checkpoint(folder, epoch, network, {**facts, **found})
    return find_run(dataset.name, model, name)


def _epochs(
    network: nn.Module, dataset: Dataset, recipe: Recipe, device: torch.device, progress: Progress, cancel: Cancel
) -> Iterator[tuple[int, float]]:
    """Train epoch by epoch; yield each one's number and its mean loss."""
    rows = np.sort(dataset.rows("train"))
    optimizer = torch.optim.SGD(network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)
    shuffle = np.random.default_rng(dataset.seed)
    n_steps = -(-len(rows) // recipe.batch_size)
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        order = shuffle.permutation(rows)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for step in range(n_steps):
            stop_if(cancel)
            batch = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            images, labels = _batch(dataset, batch, device)
            loss = nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach().double() * len(batch)
            progress(
                (epoch - 1) * n_steps + step + 1, recipe.epochs * n_steps, f"training epoch {epoch} of {recipe.epochs}"
            )
        mean_loss = float(total) / len(rows)
        if not np.isfinite(mean_loss):
            raise TrainingError(
                f"The loss is no longer finite in epoch {epoch}; lower the learning rate ({recipe.learning_rate:g})."
            )
        network.eval()
        yield epoch, mean_loss


def accuracy(network: nn.Module, dataset: Dataset, rows: np.ndarray, device: torch.device) -> float:
    """Return the share of rows that the network, in evaluation mode, classifies correctly."""
    n_correct = 0
    with torch.no_grad():
        for start in range(0, len(rows), EVALUATION_BATCH):
            images, labels = _batch(dataset, rows[start : start + EVALUATION_BATCH], device)
            n_correct += int((network(images).argmax(1) == labels).sum())
    return n_correct / len(rows)


def _batch(dataset: Dataset, rows: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(dataset.pixels(rows), device=device), torch.as_tensor(dataset.labels(rows), device=device)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
