"""Datasets by name.

To add one: a file in this folder that registers a `DatasetSpec`, and its import below.
"""

import os
from dataclasses import replace
from pathlib import Path

# Their import registers them, in the order in which pickers and listings show them; the first is
# what a newcomer sees.
# isort: off
from rbcore.datasets import toyfaces, digits, utkface  # noqa: F401
from rbcore.datasets import adience, celeba, cifar, fashion_mnist  # noqa: F401
from rbcore.datasets import folder  # noqa: F401

# isort: on
from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile
from rbcore.datasets.reading.folders import (
    download_folder,
    is_checked,
    known_folder,
    remember_check,
    remember_folder,
)
from rbcore.datasets.reading.opening import is_folder, user_path
from rbcore.datasets.request import DatasetRequest
from rbcore.datasets.validation import refuse_share, with_validation
from rbcore.errors import DatasetError
from rbcore.runtime import Progress, no_progress

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetRequest",
    "DatasetSpec",
    "SkippedFile",
    "count_on_disk",
    "known_folder",
    "load_dataset",
    "open_dataset",
    "remember_check",
    "remember_folder",
]


def load_dataset(
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    size: int | None = None,
    seed: int = 0,
    validation: float = 0.0,
    checksum: bool | None = None,
    download: bool = False,
    progress: Progress = no_progress,
) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name
        A registered name; see ``python -m rbcore datasets``.
    root
        Folder of the original files. Where none is passed: the environment variable
        ``RBCORE_<NAME>_ROOT``, else the folder that was last used with success.
    size
        Height and width in pixels; the dataset's own default where none is given.
    seed
        Seed of the split into train and test where there is no published one, and of
        the order of rows.
    validation
        Share of the training images of every label to set aside as a third split, ``validation``,
        neither trained on nor tested on, for choosing settings without a look at the test split; 0
        for none. The seed draws them.
    checksum
        Whether files with published checksums must be those files. False accepts others, and is
        remembered with the folder; True checks again; None does what was last said of this folder,
        and checks where nothing was.
    download
        Fetch published files that are missing, into ``root`` or, where no folder is
        known, into the cache.
    progress
        Called while files are fetched and images decoded.

    Raises
    ------
    UnknownNameError
        If no dataset has that name.
    DatasetError
        If the folder, a file in it or the size is of no use, or a download fails;
        the text names it.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits", validation=0.2)
    >>> digits.images.shape, digits.partitions, digits.splits
    ((1797, 1, 8, 8), ('class',), ('train', 'test', 'validation'))
    """
    place = None if root is None else user_path(root)
    request = DatasetRequest(name, place, size, seed, validation, checksum, download)
    return open_dataset(request, progress)


def open_dataset(request: DatasetRequest, progress: Progress = no_progress) -> Dataset:
    """Load the dataset that is asked for; see `load_dataset`."""
    spec = DATASETS[request.name]
    seed, checksum, download = request.seed, request.checksum, request.download
    if not 0 <= seed < 2**31:
        raise DatasetError(
            f"seed={seed} is not a valid seed; give a whole number from 0 to {2**31 - 1}."
        )
    refuse_share(request.validation)
    is_new = request.root is not None
    place = user_path(request.root) if request.root is not None else known_folder(spec)
    if download:
        place = place or download_folder()
        _download(spec, place, progress)
    if place is None or spec.official is None or not is_folder(place):
        dataset = _load(spec, place, request.size, seed, progress, is_new=is_new)
        return with_validation(dataset, request.validation)
    if is_checked(spec, place) if checksum is None else checksum:
        spec.official.check(place)
    dataset = _load(spec, place, request.size, seed, progress, is_new=is_new or download)
    if checksum is not None:
        remember_check(spec, place, checksum)
    return with_validation(dataset, request.validation)


def _load(
    spec: DatasetSpec,
    place: Path | None,
    size: int | None,
    seed: int,
    progress: Progress,
    *,
    is_new: bool,
) -> Dataset:
    dataset = spec.load(place, spec.default_size if size is None else size, seed, progress)
    if spec.needs_folder and is_new and place is not None:
        remember_folder(spec, place)
    return replace(dataset, root=place if spec.needs_folder else None)


def _download(spec: DatasetSpec, place: Path, progress: Progress) -> None:
    if not spec.needs_folder:
        raise DatasetError(f"{spec.title} need no download: leave out download=True (--download).")
    if spec.official is None:
        raise DatasetError(
            f"{spec.title} cannot be fetched by a program; get it from its source: {spec.source}."
        )
    spec.official.download(place, spec.title, progress)


def count_on_disk(spec: DatasetSpec) -> str:
    """Say in a few words what lies in a dataset's folder, without reading images."""
    if not spec.needs_folder:
        return "no files needed"
    root = known_folder(spec)
    if root is None:
        return "folder not set"
    try:
        counts = [spec.official.count(root)] if spec.official else []
        counts += [spec.count_files(root)] if spec.count_files else []
    except (OSError, DatasetError):
        return "nothing found"
    return ", ".join(counts)
