"""What a dataset is: images in [0, 1] and a row of facts a sample; and the registry of all.

To add one: a file in this folder that registers a `DatasetSpec`, as `utkface` does, and its import
in `rbcore.datasets`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from rbcore.datasets.reading.official import Official
from rbcore.errors import DatasetError
from rbcore.partitions import CLASS, partition_names
from rbcore.registry import Registry, unknown_name
from rbcore.runtime import Progress
from rbcore.store import sha256_of_facts, sha256_of_rows

SPLITS = ("train", "test")
VALIDATION = "validation"
"""A third split, of training images, that only some datasets are loaded with; see
`rbcore.datasets.validation`.
"""


@dataclass(frozen=True)
class SkippedFile:
    """A file, or a line or column of one, that was left out, and why."""

    file: str
    reason: str


class Images(Protocol):
    """What is used of an array of images, so that a dataset may make them when they are needed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...

    def __array__(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Dataset:
    """Images and what is known about them.

    Attributes
    ----------
    name
        Registered name.
    images
        Stored pixels, shape (n, channels, height, width), unsigned integers in [0, `white`]; may be
        memory-mapped, or drawn when they are asked for. Use `pixels` for images in [0, 1].
    samples
        One row an image: ``sample_id`` (unique text), ``split`` (train, test or validation),
        ``label`` (int), ``class`` (the label's name) and the attributes.
    classes
        Names of the labels; label ``k`` is called ``classes[k]``.
    mean, std
        Normalization for a model's first layer, one value a channel, in units of [0, 1].
    seed
        Seed of the split, where the dataset has no published one, and of the order of `rows`.
    white
        The stored value that stands for 1.0.
    skipped
        What was left out.
    fingerprint
        SHA-256 of what distances depend on: pixels, labels, split, names of the samples
        and classes. It depends neither on the attributes, which may be corrected, nor on
        where the files lie.
    validation
        Share of the training images of every label that was set aside as the split ``validation``;
        0 for no such split.
    attribute_files
        Files that attributes were read from; one that is not there may come.
    root
        Folder of the files; None for data that come with a package.
    notes
        What was decided in reading it, one sentence or column each: names that were joined, images
        that were turned, what a column of attributes holds and lacks.
    """

    name: str
    images: Images
    samples: pd.DataFrame
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    white: int = 255
    skipped: tuple[SkippedFile, ...] = ()
    fingerprint: str = ""
    validation: float = 0.0
    attribute_files: tuple[Path, ...] = ()
    root: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return int(self.images.shape[-1])

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits it has."""
        return (*SPLITS, VALIDATION) if self.validation else SPLITS

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def partitions(self) -> tuple[str, ...]:
        """What the samples can be grouped by, the class first."""
        return tuple(partition_names(self.samples.drop(columns="split")))

    def rows(self, split: str) -> np.ndarray:
        """Return the row numbers of a split in a random order fixed by the seed, shape (m,).

        The first k are a fair draw.
        """
        if split == VALIDATION and not self.validation:
            raise DatasetError(
                f"The dataset {self.name!r} was loaded without a validation split; load it with "
                "validation=0.2 (--validation 0.2)."
            )
        if split not in self.splits:
            raise unknown_name("split", split, list(self.splits))
        rows: np.ndarray = np.flatnonzero(self.samples["split"] == split)
        shuffled: np.ndarray = np.random.default_rng(self.seed).permutation(rows)
        return shuffled

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Return images as float32 in [0, 1], shape (len(rows), channels, height, width)."""
        pixels: np.ndarray = self.images[rows].astype(np.float32) / np.float32(self.white)
        return pixels

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return labels as int64, shape (len(rows),)."""
        labels: np.ndarray = self.samples["label"].to_numpy(np.int64)[rows]
        return labels

    def rows_of(self, sample_ids: list[str]) -> np.ndarray:
        """Return the row numbers of the named samples, or raise `DatasetError`."""
        rows: np.ndarray = pd.Index(self.samples["sample_id"]).get_indexer(pd.Index(sample_ids))
        if (rows < 0).any():
            raise DatasetError(
                f"The dataset {self.name!r} has no sample {sample_ids[int(np.argmin(rows))]!r}."
            )
        return rows


def make_dataset(parts: Dataset, images_sha256: str | None = None) -> Dataset:
    """Check the parts of a dataset against each other; add the classes' names and the fingerprint.

    Parameters
    ----------
    parts
        Its samples need ``sample_id``, ``split`` and ``label``.
    images_sha256
        SHA-256 of the stored pixels, from loaders that know it already.

    Raises
    ------
    DatasetError
        If images and samples do not fit, a split is empty, or a sample stands twice.
    """
    name, samples = parts.name, parts.samples
    if len(parts.images) != len(samples):
        raise DatasetError(
            f"The dataset {name!r} has {len(parts.images)} images but {len(samples)} rows in "
            "its table of samples."
        )
    if len(samples) == 0 or set(samples["split"]) != set(SPLITS):
        raise DatasetError(
            f"The dataset {name!r} has {len(samples)} usable images; train and test need "
            "at least one each."
        )
    if samples["sample_id"].duplicated().any():
        first = samples.loc[samples["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise DatasetError(f"The dataset {name!r} holds the sample {first!r} twice.")
    samples = samples.reset_index(drop=True)
    names = samples["label"].map(dict(enumerate(parts.classes)))
    samples.insert(list(samples.columns).index("label") + 1, CLASS, names)
    pixels = images_sha256 or hashlib.sha256(np.ascontiguousarray(parts.images).data).hexdigest()
    fingerprint = sha256_of_facts(
        {
            "images": pixels,
            "shape": list(parts.images.shape),
            "white": parts.white,
            "samples": sha256_of_rows(samples[["sample_id", "split", "label"]]),
            "classes": parts.classes,
        }
    )
    return replace(parts, samples=samples, fingerprint=fingerprint)


Loader = Callable[[Path | None, int, int, Progress], Dataset]
"""``load(root, size, seed, progress)``; ``root`` is None for data that come with a package."""


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset that can be loaded by name.

    Attributes
    ----------
    name, title
        Registered name, and the name for people.
    load
        The function that reads it.
    classes, class_title
        Names of the labels and what they mean. No names where the files decide (`is_open`).
    partitions
        What its samples can be grouped by, the class first; where the files decide,
        only what is sure.
    channels, default_size
        Color channels, and height and width in pixels where none is asked for.
    needs_folder
        Whether the images lie in a folder that the user has to name.
    source, license, caution
        Where it comes from, what may be done with it, and what a reader must know before
        trusting its labels.
    shown_by
        The partition a newcomer sees first.
    n_train, n_test
        Published numbers of images (in the paper, or by the dataset's makers); None
        where the files decide.
    official
        The published files with their checksums; None where none are published.
    count_files
        Says in a few words what lies in a folder, without reading images.
    layout
        What the folder has to hold, drawn as a small tree; empty where none is needed.
    """

    name: str
    title: str
    load: Loader
    classes: tuple[str, ...]
    class_title: str
    partitions: tuple[str, ...]
    channels: int
    default_size: int
    needs_folder: bool
    source: str
    license: str
    caution: str
    shown_by: str = "class"
    n_train: int | None = None
    n_test: int | None = None
    official: Official | None = None
    count_files: Callable[[Path], str] | None = None
    layout: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the files decide on classes and partitions.

        A loaded `Dataset` knows both, a run's sidecar holds ``classes``, and
        `rbcore.datasets.attributes.partitions_of` gives the partitions.
        """
        return not self.classes

    @property
    def folder_variable(self) -> str:
        """Name of the environment variable that may hold the folder."""
        return f"RBCORE_{self.name.upper()}_ROOT"


DATASETS: Registry[DatasetSpec] = Registry("dataset")
