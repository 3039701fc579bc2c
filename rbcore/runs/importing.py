"""Import weights trained elsewhere as a run, which is then used like any other."""

import dataclasses
import math
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.stats
import torch

from rbcore import store
from rbcore.datasets import Dataset
from rbcore.datasets.attributes import keep_samples
from rbcore.errors import CheckpointError, MethodError
from rbcore.models import MODELS, build_network
from rbcore.outputs import LOGITS, N_CHECKED, Reading, adapted, read_outputs
from rbcore.parameters import record_of
from rbcore.runs.checkpoints import (
    Run,
    find_run,
    list_runs,
    now,
    refuse_another,
    run_folder,
    save_checkpoint,
)
from rbcore.runs.foreign_weights import read_weights, shortened
from rbcore.runs.import_request import ImportRequest
from rbcore.runs.weight_matching import choose_weights, fit_state_dict, has_one_logit
from rbcore.runtime import resolve_device
from rbcore.training.loop import accuracy, predicted_classes
from rbcore.training.train import run_facts

SPLIT = "test"
CHANCE_LEVEL = 0.05
"""An accuracy is better than chance where chance alone would reach it with a
smaller probability.
"""
AS_GIVEN, DATASETS_OWN = "as given", "the dataset's own"
"""Where the normalization comes from, in words."""
UNITS = (
    "in units of [0, 1]; divide values in units of 255 by 255, as in 0.485,0.456,0.406 "
    "and 0.229,0.224,0.225"
)


def run_name_of(file_name: str) -> str:
    """Return the name of a run of weights whose file has this name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(file_name).stem).strip(".-_")[:64] or "imported"


def import_weights(
    dataset: Dataset,
    model: str,
    path: str | os.PathLike[str],
    *,
    device: str = "auto",
    **settings: object,
) -> Run:
    """Import weights trained elsewhere as a run, which is then used like any other.

    Parameters
    ----------
    dataset, device
        As `import_request`.
    model, path
        The architecture, and the file of weights.
    **settings
        Fields of `ImportRequest`: run, mean, std, weights_key and outputs.

    Raises
    ------
    RobustnessBiasError
        As `import_request`, and for a setting that does not exist.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> (run,) = rb.list_runs("digits", "logistic_regression")
    >>> weights = run.folder / "epoch-0012.safetensors"
    >>> mine = rb.import_weights(digits, "logistic_regression", weights, run="mine")
    >>> mine.name, mine.epochs
    ('mine', (1,))
    """
    given = {"model": model, "file": path} | settings
    request: ImportRequest = record_of(ImportRequest, "an import", given)
    return import_request(request, dataset, device=device)


def import_request(request: ImportRequest, dataset: Dataset, *, device: str = "auto") -> Run:
    """Import weights trained elsewhere as a run, which is then used like any other.

    Parameters
    ----------
    request
        The weights and what they are.
    dataset
        The data they are to be measured on; its number of classes must be theirs, or 2 where the
        network has one logit.
    device
        ``auto | cpu | cuda[:N]``.

    Returns
    -------
    Run
        One epoch, with its accuracy on the dataset. Its facts hold ``notes``, what was taken and
        how, and ``warning``, which is empty unless the accuracy is no better than chance.

    Raises
    ------
    CheckpointError
        If the file does not hold plain weights, does not fit, or the name is
        taken by other weights.
    MethodError
        If the network's output breaks the contract of `rbcore.outputs`.
    """
    file, model = request.file, request.model
    notes = [_said_normalization(request.mean, request.std, dataset)]
    mean, std = request.mean or dataset.mean, request.std or dataset.std
    _refuse_normalization(mean, std, dataset.input_shape[0])
    name = run_name_of(file.name) if request.run is None else request.run
    folder = run_folder(dataset.name, model, name)
    network = build_network(model, dataset.input_shape, len(dataset.classes), mean, std)
    weights = choose_weights(
        read_weights(file), network.get_submodule("network"), file, model, request.weights_key
    )
    n_outputs = 0
    if len(dataset.classes) == 2 and has_one_logit(
        network.get_submodule("network"), weights.tensors
    ):
        n_outputs = 1
        network = build_network(model, dataset.input_shape, n_outputs, mean, std)
    fit_state_dict(network.get_submodule("network"), weights.tensors, file, model)
    torch_device = resolve_device(device)
    network.to(torch_device).eval()
    images = torch.as_tensor(dataset.pixels(dataset.rows(SPLIT)[:N_CHECKED]), device=torch_device)
    known = None if MODELS[model].source_sha256 else LOGITS
    try:
        reading = read_outputs(network, images, len(dataset.classes), known or request.outputs)
    except MethodError as error:
        raise MethodError(f"{shortened(file)} cannot be used: {error}") from error
    reading = replace(reading, n_outputs=n_outputs)
    network = adapted(network, reading)
    recipe = {"name": "imported", "file_sha256": store.sha256_of_file(file)}
    choices = {"weights_key": request.weights_key, "outputs": request.outputs}
    facts = {
        **run_facts(dataset, model, name, mean, std),
        "recipe": recipe
        | {choice: value for choice, value in choices.items() if value is not None},
        "mitigation": None,
        "n_epochs": 1,
    }
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        refuse_another(existing, facts)
        return existing
    keep_samples(dataset)
    rows = dataset.rows(SPLIT)
    labels, predictions = (
        dataset.labels(rows),
        predicted_classes(network, dataset, rows, torch_device),
    )
    found: dict[str, object] = {
        f"{split}_accuracy": accuracy(network, dataset, dataset.rows(split), torch_device)
        for split in dataset.splits
        if split != SPLIT
    }
    found[f"{SPLIT}_accuracy"] = int((labels == predictions).sum()) / len(rows)
    counts: dict[str, object] = {f"n_{split}": len(dataset.rows(split)) for split in dataset.splits}
    said: dict[str, object] = {
        "outputs": dataclasses.asdict(reading),
        "notes": [*notes, *weights.notes, *_said_outputs(reading, dataset.classes)],
        "warning": _chance_warning(labels, predictions, dataset.classes),
    }
    nothing: dict[str, object] = {"train_loss": None, "history": []}
    save_checkpoint(
        folder, 1, network, {**facts, **found, **counts, **said, **nothing, "created": now()}
    )
    return find_run(dataset.name, model, name)


def _said_normalization(
    mean: Sequence[float] | None, std: Sequence[float] | None, dataset: Dataset
) -> str:
    used = [
        (
            f"{what} {', '.join(f'{value:g}' for value in given or own)} "
            f"({AS_GIVEN if given else DATASETS_OWN})"
        )
        for what, given, own in (("mean", mean, dataset.mean), ("std", std, dataset.std))
    ]
    return f"Images are normalized with {' and '.join(used)}, in units of [0, 1]."


def _refuse_normalization(mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    if len(mean) != channels or len(std) != channels:
        raise CheckpointError(
            f"mean {mean} and std {std} do not fit {channels} channels; give one value per channel."
        )
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise CheckpointError(f"mean {mean} and std {std} have to be numbers, and std above 0.")
    if max(mean) > 1 or max(std) > 1:
        raise CheckpointError(f"mean {mean} and std {std} are not {UNITS}.")


def _said_outputs(reading: Reading, classes: tuple[str, ...]) -> list[str]:
    notes = list(reading.notes)
    if "two_classes" in reading.steps:
        notes.append(f"Below 0 the logit stands for {classes[0]!r}, above 0 for {classes[1]!r}.")
    return notes


def _chance_warning(labels: np.ndarray, predictions: np.ndarray, classes: tuple[str, ...]) -> str:
    """Return a warning if the test accuracy could be chance's, by a one-sided binomial test.

    Else nothing.

    Chance is what independent predictions of the same frequencies would agree with the labels.
    """
    n_correct, n = int((labels == predictions).sum()), len(labels)
    of_each = np.arange(len(classes))[:, None]
    chance = float(((labels == of_each).mean(1) * (predictions == of_each).mean(1)).sum())
    if scipy.stats.binom.sf(n_correct - 1, n, chance) < CHANCE_LEVEL:
        return ""
    shown = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
    return (
        f"The test accuracy, {n_correct / n:.1%} (n = {n:,}), is no better than chance "
        f"({chance:.1%}). The usual causes are the order of the classes (here: {shown}), another "
        "mean and std than in training, and the order of the channels (here: RGB)."
    )
