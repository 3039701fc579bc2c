"""The calls everything is built from: they join datasets, models, distances and the store, and know no mathematics."""

import os
import platform
import re
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rbcore import store
from rbcore.datasets import Dataset, load_dataset
from rbcore.distances import Engine, Estimates, Method, Parameters, in_batches, resolve_method
from rbcore.distances.engine import refuse_unusable
from rbcore.errors import CheckpointError, DatasetError, MethodError
from rbcore.models import MODELS, Model, build_network
from rbcore.models.checkpoints import (
    Run,
    find_run,
    list_runs,
    load_checkpoint,
    now,
    refuse_another,
    run_folder,
    save_checkpoint,
)
from rbcore.models.foreign import fit_state_dict, read_state_dict
from rbcore.running import Cancel, Progress, never, no_progress, resolve_device
from rbcore.store import Facts
from rbcore.training import accuracy, run_facts

BATCH_SIZE = 128
SPLIT = "test"
LIBRARIES = ("torch", "foolbox", "numpy", "pandas")


def load_model(
    name: str, dataset: Dataset, *, epoch: str | int = "last", run: str | None = None, device: str = "auto"
) -> Model:
    """Load the network a run left after an epoch, in evaluation mode, with its normalisation inside.

    Parameters
    ----------
    name
        A registered architecture.
    dataset
        The data it was trained on; the run must have seen this very content, size and split.
    epoch
        ``first | middle | last`` or a number from 1.
    run
        Name of the run; the newest complete plain run on this very dataset where none is given.
    device
        ``auto | cpu | cuda[:N]``.

    Raises
    ------
    UnknownNameError
        If the model, run or epoch does not exist.
    DatasetError
        If the run was trained on other content.
    CheckpointError
        If the weights are damaged.
    """
    MODELS[name]
    if run is None:
        fitting = [
            found
            for found in list_runs(dataset.name, name)
            if found.facts["dataset_fingerprint"] == dataset.fingerprint
        ]
        chosen = next((found for found in fitting if found.is_plain and found.is_complete), None) or find_run(
            dataset.name, name
        )
    else:
        chosen = find_run(dataset.name, name, run)
    _refuse_other_data(chosen, dataset)
    return load_checkpoint(chosen, epoch, resolve_device(device))


def _refuse_other_data(run: Run, dataset: Dataset) -> None:
    if run.facts["dataset_fingerprint"] != dataset.fingerprint:
        raise DatasetError(
            f"The run {run.name!r} was trained on other content of {run.dataset!r} (size {run.facts['size']}, seed "
            f"{run.facts['seed']}) than was loaded (size {dataset.size}, seed {dataset.seed}). Load that size and seed from the "
            "same files, or train anew."
        )


def open_run(
    dataset: str,
    model: str,
    *,
    run: str | None = None,
    root: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> tuple[Dataset, Run]:
    """Find a run and load the dataset it was trained on, at the run's size and seed.

    Raises
    ------
    DatasetError
        If the files at hand are not those the run was trained on.
    """
    found = find_run(dataset, model, run)
    loaded = load_dataset(dataset, root=root, size=found.facts["size"], seed=found.facts["seed"], progress=progress)
    _refuse_other_data(found, loaded)
    return loaded, found


def _key_facts(weights_sha256: str, dataset_fingerprint: str, method: Method, parameters: Parameters) -> Facts:
    return {
        "weights": weights_sha256,
        "dataset": dataset_fingerprint,
        "split": SPLIT,
        "method": method.name,
        "version": method.version,
        "parameters": parameters,
    }


def stored_distances(run: Run, epoch: str | int, method: str, **parameters: Any) -> store.StoredTable | None:
    """Return what the store holds of a run's epoch and a method, or None; no image and no weight is read.

    The table's ``rows`` have the columns that `estimate_distances` returns, and may cover a part of the test split.
    """
    chosen, values = resolve_method(method, parameters)
    sidecar = run.sidecar(epoch)
    return store.read_table(_key_facts(sidecar["sha256"], sidecar["dataset_fingerprint"], chosen, values))


def estimate_distances(
    model: Model,
    dataset: Dataset,
    method: str,
    *,
    limit: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
    cancel: Cancel = never,
    **parameters: Any,
) -> pd.DataFrame:
    """Estimate each test image's L2 distance to the decision boundary; what the store holds is not computed again.

    Parameters
    ----------
    model, dataset
        As `load_model` and `load_dataset` return them.
    method
        ``method`` or ``method:preset``: ``exact``, ``deepfool``, ``deepfool:paper``.
    limit
        Only the first so many test images, in a random order fixed by the dataset's seed.
    batch_size
        Images a batch. Another size uses other kernels and moves a distance by about 1e-5 of itself.
    progress, cancel
        Called between batches with the images done; a cancelled call keeps its finished batches.
    **parameters
        The method's own parameters.

    Returns
    -------
    pandas.DataFrame
        One row a test image: ``sample_id``, ``label``, ``prediction``, ``is_correct``, ``distance`` (float64, L2 in
        [0, 1] pixel space at the model's input resolution; NaN where misclassified or failed), ``bound`` (upper |
        exact), ``status`` (exact | found | fallback | failed | misclassified), ``perturbed_prediction`` (-1 where there
        is none), ``class`` and the dataset's attributes.

    Raises
    ------
    MethodError
        If the method does not apply to this model, or a parameter is out of range.
    StoreError
        If the cache cannot be read or written.
    Cancelled
        If ``cancel`` said so.
    """
    chosen, values = resolve_method(method, parameters)
    if limit is not None and limit < 1:
        raise MethodError(f"limit={limit} leaves no image; give a number from 1.")
    if batch_size < 1:
        raise MethodError(f"batch_size={batch_size} leaves no image in a batch; give a number from 1.")
    key_facts = _key_facts(model.weights_sha256, dataset.fingerprint, chosen, values)
    order = dataset.rows(SPLIT)
    wanted = order[:limit]
    stored, finished = store.read_table(key_facts), store.read_parts(key_facts)
    tables = ([stored.rows] if stored else []) + [part.rows for part in finished]
    done = {sample for rows in tables for sample in rows["sample_id"]}
    missing = np.array([row for row in wanted if _sample_id(dataset, row) not in done], dtype=np.int64)
    what = f"{chosen.title} on {model.facts['model']}, epoch {model.facts['epoch']}"
    n_done = len(wanted) - len(missing)
    progress(n_done, len(wanted), what)
    engine = _engine(model, dataset, chosen, values, cancel)
    for batch in in_batches(missing, batch_size):
        started = time.perf_counter()
        rows = _as_rows(dataset, engine.estimate(batch), chosen)
        history = {
            **_environment(model, batch_size),
            "rows": len(batch),
            "seconds": time.perf_counter() - started,
            **engine.network.take_counts(),
        }
        store.write_part(key_facts, _sample_id(dataset, int(batch[0])), rows, history)
        n_done += len(batch)
        progress(n_done, len(wanted), what)
    is_new = len(missing) > 0 or len(finished) > 0
    table = _joined(model, dataset, key_facts, order) if is_new else _in_order(dataset, tables, order)
    return table[table["sample_id"].isin(dataset.samples["sample_id"].iloc[wanted])].reset_index(drop=True)


def _joined(model: Model, dataset: Dataset, key_facts: Facts, order: np.ndarray) -> pd.DataFrame:
    """Join what the store holds now, whoever computed it meanwhile, into one table; return its rows in the given order."""
    with store.locked(key_facts):
        stored, parts = store.read_table(key_facts), store.read_parts(key_facts)
        tables = ([stored.rows] if stored else []) + [part.rows for part in parts]
        table = _in_order(dataset, tables, order)
        if parts:  # another call may have joined them already
            names = {name: model.facts[name] for name in ("dataset", "size", "seed", "model", "run", "epoch")}
            histories = (stored.provenance["computed"] if stored else []) + [part.provenance for part in parts]
            store.write_table(table, key_facts, {**names, "computed": _summed(histories)})
            store.remove_parts(key_facts, parts)
    return table


def _sample_id(dataset: Dataset, row: int) -> str:
    return str(dataset.samples["sample_id"].iat[row])


def _engine(model: Model, dataset: Dataset, method: Method, parameters: Parameters, cancel: Cancel) -> Engine:
    labels = dataset.samples["label"].to_numpy(np.int64)
    anchors = np.sort(dataset.rows(SPLIT))
    return Engine(model.network, dataset.pixels, labels, method, parameters, anchors, model.device, cancel)


def _as_rows(dataset: Dataset, found: Estimates, method: Method) -> pd.DataFrame:
    samples = dataset.samples.iloc[found.rows].drop(columns="split").reset_index(drop=True)
    results = pd.DataFrame(
        {
            "sample_id": samples.pop("sample_id"),
            "label": samples.pop("label").astype("int64"),
            "prediction": found.prediction.astype("int64"),
            "is_correct": found.status != "misclassified",
            "distance": found.distance,
            "bound": method.bound,
            "status": found.status.astype(str),
            "perturbed_prediction": found.perturbed_prediction.astype("int64"),
        }
    )
    return pd.concat([results, samples], axis=1)


def _in_order(dataset: Dataset, tables: list[pd.DataFrame], order: np.ndarray) -> pd.DataFrame:
    joined = pd.concat(tables, ignore_index=True).drop_duplicates("sample_id").set_index("sample_id")
    wanted = dataset.samples["sample_id"].iloc[order]
    return joined.loc[wanted[wanted.isin(joined.index)]].reset_index()


def _environment(model: Model, batch_size: int) -> Facts:
    return {
        "device": str(model.device),
        "threads": torch.get_num_threads(),
        "dtype": "float32",
        "batch_size": batch_size,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def _summed(histories: list[Facts]) -> list[Facts]:
    """Add up rows, seconds and passes of the batches that were computed in the same environment."""
    sums: dict[str, Facts] = {}
    for history in histories:
        counts = {name: history[name] for name in ("rows", "seconds", "n_forward", "n_backward")}
        environment = {name: value for name, value in history.items() if name not in counts}
        total = sums.setdefault(store.sha256_of_facts(environment), {**environment, **dict.fromkeys(counts, 0)})
        for name, count in counts.items():
            total[name] += count
    return list(sums.values())


@dataclass(frozen=True)
class Perturbations:
    """Clean and perturbed images of some samples, and what the network says of both.

    Attributes
    ----------
    clean, perturbed
        Float32, shape (n, channels, height, width); NaN where a sample has no perturbed image.
    table
        One row a sample as `estimate_distances` returns them, with ``probability`` and ``perturbed_probability`` of the
        two predictions (softmax of the logits).
    """

    clean: np.ndarray
    perturbed: np.ndarray
    table: pd.DataFrame


def perturbed_images(
    model: Model, dataset: Dataset, method: str, sample_ids: list[str], *, cancel: Cancel = never, **parameters: Any
) -> Perturbations:
    """Compute the perturbed images of some samples anew, with the parameters of `estimate_distances`.

    Raises
    ------
    DatasetError
        If a sample does not exist.
    """
    chosen, values = resolve_method(method, parameters)
    if not sample_ids:
        raise DatasetError("No sample was named, so there is no image to perturb.")
    rows = dataset.rows_of(sample_ids)
    engine = _engine(model, dataset, chosen, values, cancel)
    parts = [engine.estimate(batch) for batch in in_batches(rows, BATCH_SIZE)]
    table = pd.concat([_as_rows(dataset, part, chosen) for part in parts], ignore_index=True)
    clean, perturbed = dataset.pixels(rows), np.concatenate([part.perturbed for part in parts])
    table["probability"] = _probabilities(model, clean, table["prediction"])
    table["perturbed_probability"] = _probabilities(model, perturbed, table["perturbed_prediction"])
    return Perturbations(clean, perturbed, table)


def _probabilities(model: Model, images: np.ndarray, classes: pd.Series) -> np.ndarray:
    with torch.no_grad():
        probabilities = model.network(torch.as_tensor(images, device=model.device)).softmax(1).cpu().numpy()
    chosen: np.ndarray = np.take_along_axis(probabilities, classes.to_numpy()[:, None].clip(0), axis=1)[:, 0]
    return chosen


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
        refuse_unusable(network(torch.as_tensor(dataset.pixels(rows[:BATCH_SIZE]), device=torch_device)))
    name = run or re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip(".-_")[:64] or "imported"
    folder = run_folder(dataset.name, model, name)
    facts = {
        **run_facts(dataset, model, name, mean, std),
        "recipe": {"name": "imported", "file_sha256": store.sha256_of_file(file)},
        "regularizer": None,
        "n_epochs": 1,
    }
    existing = next((found for found in list_runs(dataset.name, model) if found.name == name), None)
    if existing is not None:
        refuse_another(existing, facts)
        return existing
    found: Facts = {
        f"{split}_accuracy": accuracy(network, dataset, dataset.rows(split), torch_device)
        for split in ("train", "test")
    }
    counts: Facts = {"n_train": len(dataset.rows("train")), "n_test": len(rows), "train_loss": None, "history": []}
    save_checkpoint(folder, 1, network, {**facts, **found, **counts, "created": now()})
    return find_run(dataset.name, model, name)
