"""Make a run of weights that others trained, so that everything else treats them as any model."""

import os
import re
from pathlib import Path

import torch

from rbcore import store
from rbcore.attributes import keep_samples
from rbcore.datasets import Dataset
from rbcore.distances.networks import refuse_unusable
from rbcore.epochs import accuracy
from rbcore.errors import CheckpointError
from rbcore.models import build_network
from rbcore.models.checkpoints import Run, find_run, list_runs, now, refuse_another, run_folder, save_checkpoint
from rbcore.models.foreign import fit_state_dict, read_state_dict
from rbcore.running import resolve_device
from rbcore.store import Facts
from rbcore.training import run_facts

SPLIT = "test"
CHECKED = 128
"""Images on which the outputs are looked at before the weights are accepted."""


def run_name_of(file_name: str) -> str:
    """Return the name of a run of weights whose file has this name, in letters that can name a run."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(file_name).stem).strip(".-_")[:64] or "imported"


def import_weights(
    dataset: Dataset,
    model: str,
    path: str | os.PathLike[str],
    *,
    run: str | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    device: str = "auto",
) -> Run:
    """Make a run of weights that others trained, so that everything else treats them as any model.

    Parameters
    ----------
    dataset
        The data they are to be measured on; its number of classes must be theirs.
    model
        A registered builder.
    path
        Safetensors or a PyTorch state dict; see `rbcore.models.foreign`.
    run
        Name of the run; the file's own name where none is given.
    mean, std
        The normalisation they were trained with, one value a channel in units of [0, 1]; the dataset's where none is given.

    Returns
    -------
    Run
        One epoch, with its accuracy on the dataset.

    Raises
    ------
    CheckpointError
        If the file is no plain weights, does not fit, or the name is taken by other weights.
    MethodError
        If the network gives probabilities, NaN or infinity.
    """
    file = Path(path).expanduser()
    mean, std = mean or dataset.mean, std or dataset.std
    if len(mean) != dataset.input_shape[0] or len(std) != len(mean) or min(std) <= 0:
        raise CheckpointError(
            f"mean {mean} and std {std} do not fit {dataset.input_shape[0]} channels; std must be above 0."
        )
    network = build_network(model, dataset.input_shape, len(dataset.classes), mean, std)
    fit_state_dict(network.get_submodule("network"), read_state_dict(file), file, model)
    torch_device = resolve_device(device)
    network.to(torch_device).eval()
    rows = dataset.rows(SPLIT)
    with torch.no_grad():
        refuse_unusable(network(torch.as_tensor(dataset.pixels(rows[:CHECKED]), device=torch_device)))
    name = run or run_name_of(file.name)
    folder = run_folder(dataset.name, model, name)
    facts = {
        **run_facts(dataset, model, name, mean, std),
        "recipe": {"name": "imported", "file_sha256": store.sha256_of_file(file)},
        "mitigation": None,
        "n_epochs": 1,
    }
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        refuse_another(existing, facts)
        return existing
    keep_samples(dataset)
    found: Facts = {
        f"{split}_accuracy": accuracy(network, dataset, dataset.rows(split), torch_device) for split in dataset.splits
    }
    counts: Facts = {f"n_{split}": len(dataset.rows(split)) for split in dataset.splits}
    nothing: Facts = {"train_loss": None, "history": []}
    save_checkpoint(folder, 1, network, {**facts, **found, **counts, **nothing, "created": now()})
    return find_run(dataset.name, model, name)
