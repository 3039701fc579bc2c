"""Load what a run left: its network after an epoch, and the dataset it was trained on."""

import os

from rbcore.datasets import Dataset, load_dataset
from rbcore.errors import DatasetError
from rbcore.models import MODELS, Model
from rbcore.runs.checkpoints import Run, find_run, list_runs, load_checkpoint
from rbcore.runtime import Progress, no_progress, resolve_device


def load_model(
    name: str,
    dataset: Dataset,
    *,
    epoch: str | int = "last",
    run: str | None = None,
    device: str = "auto",
) -> Model:
    """Load the network a run left after an epoch, in evaluation mode.

    Its normalization is inside.

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

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> model = rb.load_model("small_cnn", digits, epoch="middle")
    >>> model.facts.epoch, model.facts.n_epochs
    (6, 12)
    """
    MODELS[name]
    usable = (
        found for found in list_runs(dataset.name, name) if found.is_plain and found.is_complete
    )
    fitting = (
        next((found for found in usable if _fits(found, dataset)), None) if run is None else None
    )
    which = {"size": dataset.size, "seed": dataset.seed, "validation": dataset.validation or None}
    chosen = fitting or find_run(dataset.name, name, run, **which)
    _refuse_other_data(chosen, dataset)
    return load_checkpoint(chosen, epoch, resolve_device(device))


def _fits(run: Run, dataset: Dataset) -> bool:
    """Whether a run was trained on this very content."""
    return bool(run.facts.dataset_fingerprint == dataset.fingerprint)


def _refuse_other_data(run: Run, dataset: Dataset) -> None:
    if not _fits(run, dataset):
        raise DatasetError(
            f"The run {run.name!r} was trained on other content of {run.dataset!r} (size "
            f"{run.facts.size}, seed {run.facts.seed}, validation "
            f"{run.facts.validation:g}) than was loaded (size {dataset.size}, seed "
            f"{dataset.seed}, validation {dataset.validation:g}). Load that size, seed and "
            "validation split from the same files, or train again."
        )


def open_run(
    dataset: str,
    model: str,
    *,
    run: str | None = None,
    root: str | os.PathLike[str] | None = None,
    progress: Progress = no_progress,
) -> tuple[Dataset, Run]:
    """Find a run and load the dataset it was trained on.

    At the run's size, seed and validation split.

    Where no run is named, it is the newest complete plain one that was trained on the files at
    hand: those in ``root``, or in the folder used last.

    Raises
    ------
    DatasetError
        If the files at hand are not those the run was trained on.

    Examples
    --------
    >>> import rbcore as rb
    >>> dataset, run = rb.open_run("digits", "small_cnn")
    >>> dataset.size, run.name
    (8, 'modern-8px-12ep-seed0')
    """
    newest = find_run(dataset, model, run, root=None if root is None else os.fspath(root))
    candidates = (
        [found for found in list_runs(dataset, model) if found.is_usual]
        if run is None
        else [newest]
    )
    opened: dict[tuple[int, int, float], Dataset] = {}
    for found in candidates:
        size, seed, validation = which = (
            found.facts.size,
            found.facts.seed,
            found.facts.validation,
        )
        if which not in opened:
            opened[which] = load_dataset(
                dataset, root=root, size=size, seed=seed, validation=validation, progress=progress
            )
        if _fits(found, opened[which]):
            return opened[which], found
    loaded = next(iter(opened.values()))
    _refuse_other_data(newest, loaded)
    return loaded, newest
