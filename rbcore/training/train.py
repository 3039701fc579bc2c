"""Train a network and keep a checkpoint of its epochs.

One seed fixes the split of the data, the initial weights, and, epoch by epoch, the order of
the batches, the augmentation and the dropout. Since every epoch has its own random streams, a
run that was killed goes on from its last finished epoch and ends, on a CPU, with the same bits
as one that was not.
"""

import json
import os
import platform
from contextlib import suppress
from pathlib import Path

import safetensors
import torch

from rbcore.datasets import Dataset
from rbcore.datasets.attributes import keep_samples
from rbcore.datasets.reading.opening import is_file
from rbcore.errors import CheckpointError
from rbcore.models import MODELS, build_network
from rbcore.parameters import record_of
from rbcore.runs.checkpoints import (
    Run,
    find_run,
    list_runs,
    now,
    refuse_another,
    refuse_if_disk_is_short,
    run_folder,
    save_checkpoint,
    weights_bytes,
)
from rbcore.runs.imagenet import IMAGENET, load_imagenet
from rbcore.runtime import Cancel, Progress, never, no_progress, resolve_device
from rbcore.store import Numbers, cache_root, make_folder, sha256_of_file
from rbcore.training.hooks import PLAIN
from rbcore.training.loop import Trainer, accuracy
from rbcore.training.mitigations import groups_sha256
from rbcore.training.recipes import kept_epochs
from rbcore.training.request import TrainingRequest

RESUME = "resume.safetensors"
NO_WEIGHTS = "none"
MEASURED = ("train_loss", "seconds", "validation_accuracy", "test_accuracy")


def run_facts(
    dataset: Dataset, model: str, name: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> dict[str, object]:
    """Return what a run's sidecar says of its data and its network."""
    return {
        "dataset": dataset.name,
        "dataset_fingerprint": dataset.fingerprint,
        "size": dataset.size,
        "seed": dataset.seed,
        "validation": dataset.validation,
        "input_shape": list(dataset.input_shape),
        "classes": list(dataset.classes),
        "mean": list(mean),
        "std": list(std),
        "model": model,
        "builder_sha256": MODELS[model].source_sha256,
        "run": name,
    }


def announced_bytes(request: TrainingRequest, dataset: Dataset) -> int:
    """Return about how many bytes a run's checkpoints and what resumes it will take."""
    with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
        network = build_network(
            request.model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std
        )
    # To resume, weights and momentum are kept too, and for a moment their successors beside them.
    kept = kept_epochs(request.keep, request.chosen_recipe(dataset.name).epochs)
    return weights_bytes(network) * (len(kept) + 4)


def train(
    model: str,
    dataset: Dataset,
    *,
    device: str = "auto",
    progress: Progress = no_progress,
    cancel: Cancel = never,
    **settings: object,
) -> Run:
    """Train a registered model on a dataset's training split and return the run.

    Parameters
    ----------
    model, dataset, device, progress, cancel
        As `train_request`.
    **settings
        Fields of `rbcore.training.request.TrainingRequest`: recipe, epochs, run, keep, weights
        and mitigation.

    Raises
    ------
    RobustnessBiasError
        As `train_request`, and for a setting that does not exist.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> rb.train("small_cnn", digits).name  # a bundled run, so nothing is trained
    'modern-8px-12ep-seed0'
    >>> run = rb.train("logistic_regression", digits, epochs=1)
    >>> run.name, run.epochs
    ('modern-8px-1ep-seed0', (1,))
    """
    request: TrainingRequest = record_of(TrainingRequest, "a training", {"model": model} | settings)
    return train_request(request, dataset, device=device, progress=progress, cancel=cancel)


def train_request(
    request: TrainingRequest,
    dataset: Dataset,
    *,
    device: str = "auto",
    progress: Progress = no_progress,
    cancel: Cancel = never,
) -> Run:
    """Train what is asked for on a dataset's training split and return the run.

    Parameters
    ----------
    request, dataset
        The model and how to train it, and the data; the dataset's seed is the run's seed.
    device
        ``auto | cpu | cuda[:N]``. On a GPU: bfloat16 autocast and channels-last; on a CPU: float32.
    progress, cancel
        Called after every step: steps done and in all. A run that was cancelled or killed goes on
        from its last finished epoch when it is called again.

    Returns
    -------
    Run
        A complete run of the same name and recipe is returned as it is, since training it again
        would give the same.

    Raises
    ------
    CheckpointError
        If the name is taken by a different run, or ImageNet weights cannot be had.
    StoreError
        If the cache cannot be written or the disk is too short, before anything is trained.
    TrainingError
        If the loss is no longer finite, not even one image fits into memory, or the mitigation has
        nobody to compare.
    UnknownNameError
        If the mitigation's partition or group does not exist.
    """
    model, keep, mitigation = request.model, request.keep, request.mitigation
    chosen = request.chosen_recipe(dataset.name)
    usual = IMAGENET if MODELS[model].imagenet else NO_WEIGHTS
    start = usual if request.weights is None else request.weights
    hooks = PLAIN if mitigation is None else mitigation.hooks(dataset.samples)
    name = request.run_name(dataset)
    folder = run_folder(dataset.name, model, name)
    facts = {
        **run_facts(dataset, model, name, dataset.mean, dataset.std),
        "recipe": chosen.as_facts(),
        "weights": _named_weights(start),
        "mitigation": mitigation.as_facts() if mitigation else None,
        "mitigated_groups": groups_sha256(mitigation, dataset.samples),
        "n_epochs": chosen.epochs,
    }
    kept = kept_epochs(keep, chosen.epochs)
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        refuse_another(existing, facts)
        if existing.is_complete and set(kept) <= set(existing.epochs):
            (folder / RESUME).unlink(missing_ok=True)  # killed after its last checkpoint
            return existing
    keep_samples(dataset)
    make_folder(folder)
    refuse_if_disk_is_short(folder, announced_bytes(request, dataset))
    torch_device = resolve_device(device)
    environment = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(torch_device),
    }
    with torch.random.fork_rng([torch_device] if torch_device.type == "cuda" else []):
        torch.manual_seed(dataset.seed)
        network = build_network(
            model, dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std
        )
        if start != NO_WEIGHTS:
            environment |= {
                f"start_{what}": value
                for what, value in load_imagenet(model, network, str(start)).items()
            }
        trainer = Trainer(network, dataset, chosen, torch_device, hooks)
        kept_before = set(existing.epochs) if existing else set()
        history = trainer.resume(
            folder / RESUME, facts, lambda done: {e for e in kept if e <= done} <= kept_before
        )
        for epoch in range(len(history) + 1, chosen.epochs + 1):
            so_far = f", test accuracy {history[-1]['test_accuracy']:.1%}" if history else ""
            measured = trainer.train_epoch(epoch, so_far, progress, cancel)
            held_out = [split for split in ("validation", "test") if split in dataset.splits]
            measured |= {
                f"{split}_accuracy": accuracy(network, dataset, dataset.rows(split), torch_device)
                for split in held_out
            }
            history.append({"epoch": epoch, **measured})
            if epoch in kept:
                found: dict[str, object] = {
                    "created": now(),
                    **{name: measured[name] for name in MEASURED if name in measured},
                    "train_accuracy": accuracy(
                        network, dataset, dataset.rows("train"), torch_device
                    ),
                    **{f"n_{split}": len(dataset.rows(split)) for split in dataset.splits},
                    "history": history,
                }
                save_checkpoint(folder, epoch, network, {**facts, **environment, **found})
            if epoch < chosen.epochs:
                trainer.keep_for_resuming(folder / RESUME, facts, history)
        (folder / RESUME).unlink(missing_ok=True)
    return find_run(dataset.name, model, name)


def _named_weights(start: str | os.PathLike[str]) -> str:
    """Return what a run's facts say of its start: a file of weights by its content."""
    if start in (NO_WEIGHTS, IMAGENET):
        return str(start)
    if not is_file(Path(start)):
        raise CheckpointError(
            f"The weights {str(start)!r} do not exist; name a file, {IMAGENET!r} or {NO_WEIGHTS!r}."
        )
    return f"{Path(start).name} sha256:{sha256_of_file(Path(start))}"


def newest_history(dataset: str, model: str) -> tuple[str, list[Numbers]]:
    """Return the name of the newest run, in training or ended, and its history so far.

    The history is empty where nothing was trained, or its first epoch has not ended.
    """
    in_training = sorted(
        (cache_root() / "runs" / dataset / model).glob(f"*/{RESUME}"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in in_training:
        with (
            suppress(OSError, safetensors.SafetensorError, KeyError, ValueError),
            safetensors.safe_open(path, "pt") as file,
        ):
            history: list[Numbers] = json.loads(file.metadata()["history"])
            return path.parent.name, history
    runs = list_runs(dataset, model)
    return (
        (runs[0].name, [record.model_dump(exclude_none=True) for record in runs[0].facts.history])
        if runs
        else ("", [])
    )
