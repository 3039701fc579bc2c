"""Datasets by name. To add one: a file in this folder that registers a `DatasetSpec`, and its import below."""

import os
from pathlib import Path

from rbcore.datasets import digits, utkface  # noqa: F401  (their import registers them)
from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile
from rbcore.running import Progress, no_progress
from rbcore.store import cache_root, read_json, write_json

__all__ = ["DATASETS", "Dataset", "DatasetSpec", "SkippedFile", "known_folder", "load_dataset", "remember_folder"]


def load_dataset(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name
        A registered name: ``digits``, ``utkface``.
    root
        Folder of the original files. Where none is passed: the environment variable ``RBCORE_<NAME>_ROOT``, else the
        folder that was last used with success.
    size
        Height and width in pixels; the dataset's own default where none is given.
    seed
        Seed of the split into train and test.
    progress
        Called while images are decoded.

    Raises
    ------
    UnknownNameError
        If no dataset has that name.
    DatasetError
        If the folder or the size is of no use; the text names it.
    """
    spec = DATASETS[name]
    folder = Path(root).expanduser() if root is not None else known_folder(spec)
    dataset = spec.load(folder, size or spec.default_size, seed, progress)
    if spec.needs_folder and root is not None and folder is not None:
        remember_folder(spec, folder)
    return dataset


def known_folder(spec: DatasetSpec) -> Path | None:
    """Return the folder of a dataset's files from the environment, else the one last used, else None."""
    if not spec.needs_folder:
        return None
    variable = os.environ.get(spec.folder_variable)
    if variable:
        return Path(variable).expanduser()
    path = _folders_path()
    remembered = read_json(path).get(spec.name) if path.is_file() else None
    return Path(remembered) if isinstance(remembered, str) else None


def remember_folder(spec: DatasetSpec, folder: Path) -> None:
    """Keep the folder of a dataset's files for the next call that names none."""
    path = _folders_path()
    remembered = read_json(path) if path.is_file() else {}
    if remembered.get(spec.name) != str(folder.resolve()):
        write_json(path, {**remembered, spec.name: str(folder.resolve())})


def _folders_path() -> Path:
    return cache_root() / "datasets" / "folders.json"
