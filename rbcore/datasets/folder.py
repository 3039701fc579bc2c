"""Your own images: class folders of JPEG and PNG files, and optional attributes in a table.

Either ``train/<class>/`` and ``test/<class>/``, or ``<class>/``, which is split 80:20 by the seed
within each class. Classes are called after their folders, in alphabetical order; folders whose
names a person cannot tell apart are one class. Images are squeezed to a square, as a person sees
them: see `rbcore.datasets.reading.image_files`. Every column of ``metadata.csv`` becomes a
partition or a number: see `rbcore.datasets.reading.metadata`. What cannot be used is listed, and
never fatal while enough is left.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, SPLITS, Dataset, DatasetSpec, SkippedFile, make_dataset
from rbcore.datasets.reading.decoded import check_size, decode_files
from rbcore.datasets.reading.metadata import FILE_NAME, read_metadata
from rbcore.datasets.reading.names import (
    cleaned,
    differing_in_case,
    is_nameable,
    joined_names,
    respelled,
)
from rbcore.datasets.reading.official import existing_folder
from rbcore.datasets.reading.opening import OUTSIDE, is_folder
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

SUFFIXES = (".jpg", ".jpeg", ".png")
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Found:
    """An image file: its class, its path, and its split where the folders decide."""

    path: Path
    name: str
    split: str | None


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the images of a folder at ``size`` x ``size`` pixels."""
    check_size("A folder", size)
    folder = existing_folder(root, "A folder of your own", "RBCORE_FOLDER_ROOT")
    found, skipped = find_images(folder)
    found, notes = join_classes(found)
    files = {file: facts.path for file, facts in found.items()}
    decoded = decode_files("folder", files, size, progress, root=folder, formats=("JPEG", "PNG"))
    notes += decoded.notes
    skipped += decoded.broken
    used = [found[name] for name in decoded.names]
    names = [facts.name for facts in used]
    classes = tuple(sorted(set(names)))
    if len(classes) < 2:
        reason = (
            f" The first that could not be used, {skipped[0].file}: {skipped[0].reason}."
            if skipped
            else ""
        )
        raise DatasetError(
            f"The folder {folder} holds usable images of {len(classes)} classes, but two are "
            "needed: put JPEG or PNG files into train/<class>/ and test/<class>/, or into "
            f"<class>/.{reason}"
        )
    for name in sorted({facts.name for facts in found.values()} - set(classes)):
        skipped.append(
            SkippedFile(name, "none of this class's images can be used, so the class is left out")
        )
    labels = np.array([classes.index(name) for name in names])
    samples = pd.DataFrame(
        {"sample_id": decoded.names, "split": _splits(used, labels, seed), "label": labels}
    )
    if (table := _metadata_path(folder)) is not None:
        attributes, wrong, decided = read_metadata(
            table, decoded.names, {skip.file: skip.reason for skip in skipped}
        )
        samples = pd.concat([samples, attributes.reset_index(drop=True)], axis=1)
        skipped += wrong
        notes += decided
    return make_dataset(
        Dataset(
            name="folder",
            images=decoded.images,
            samples=samples,
            classes=classes,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            seed=seed,
            skipped=tuple(skipped),
            attribute_files=(table or folder / FILE_NAME,),
            notes=tuple(notes),
        ),
        decoded.sha256,
    )


def _metadata_path(folder: Path) -> Path | None:
    """Return the table of attributes, whatever it is and however its name is capitalized.

    None where there is none.
    """
    tables = [path for path in folder.iterdir() if path.name.lower() == FILE_NAME]
    return max(tables, key=lambda path: (path.name == FILE_NAME, path.name), default=None)


def join_classes(found: dict[str, Found]) -> tuple[dict[str, Found], list[str]]:
    """Give class folders whose names a person cannot tell apart one name, and say so."""
    shown = joined_names((facts.name for facts in found.values()), is_case_joined=False)
    notes = [
        f"The class folders {name!r} and {', '.join(others)} look alike and are one class."
        for name, others in sorted(respelled(shown).items())
    ]
    for family in differing_in_case(shown.values()):
        names = " and ".join(repr(name) for name in family)
        notes.append(
            f"The class folders {names} differ in case only and are {len(family)} classes; rename "
            "them if they are one."
        )
    return {file: replace(facts, name=shown[facts.name]) for file, facts in found.items()}, notes


def _splits(used: list[Found], labels: np.ndarray, seed: int) -> list[str]:
    """Return each image's split: its folder's, or a seeded draw within its class."""
    if used[0].split is not None:
        return [str(facts.split) for facts in used]
    split = np.full(len(used), "train", dtype=object)
    random = np.random.default_rng(seed)
    for label in range(int(labels.max()) + 1):
        rows = random.permutation(np.flatnonzero(labels == label))
        split[rows[: max(round(TEST_SHARE * len(rows)), min(1, len(rows) - 1))]] = "test"
    return list(split)


def find_images(root: Path) -> tuple[dict[str, Found], list[SkippedFile]]:
    """Return the image files by their path below ``root`` (with ``/``), and what is not used."""
    found: dict[str, Found] = {}
    skipped: list[SkippedFile] = []
    is_split = all(is_folder(root / split) for split in SPLITS)
    for entry in _entries(root, root, skipped):
        if not entry.is_dir():
            if entry.name.lower().endswith(SUFFIXES):
                skipped.append(
                    SkippedFile(_shown(entry, root), "it lies outside of the class folders")
                )
        elif not is_split:
            _find_in_class(entry, root, None, found, skipped)
        elif entry.name not in SPLITS:
            skipped.append(
                SkippedFile(_shown(entry, root), "beside train/ and test/ no other folder is used")
            )
        else:
            for inner in _entries(Path(entry.path), root, skipped):
                if inner.is_dir():
                    _find_in_class(inner, root, entry.name, found, skipped)
                else:
                    skipped.append(
                        SkippedFile(_shown(inner, root), "it lies outside of the class folders")
                    )
    return found, skipped


def _find_in_class(
    folder: os.DirEntry[str],
    root: Path,
    split: str | None,
    found: dict[str, Found],
    skipped: list[SkippedFile],
) -> None:
    for entry in _entries(Path(folder.path), root, skipped):
        if entry.is_dir():
            skipped.append(SkippedFile(_shown(entry, root), "it is a folder within a class folder"))
        elif not entry.name.lower().endswith(SUFFIXES):
            skipped.append(
                SkippedFile(_shown(entry, root), f"its name does not end in {', '.join(SUFFIXES)}")
            )
        else:
            found[_shown(entry, root)] = Found(Path(entry.path), folder.name, split)


def _entries(folder: Path, root: Path, skipped: list[SkippedFile]) -> Iterator[os.DirEntry[str]]:
    """Yield what lies in a folder, by name, but for what is hidden or must not be followed."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(
            SkippedFile(
                folder.relative_to(root).as_posix(), f"it cannot be opened ({error.strerror})"
            )
        )
        return
    for entry in ordered:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_symlink() and not _is_inside(Path(entry.path), root):
            skipped.append(SkippedFile(_shown(entry, root), OUTSIDE))
        elif not is_nameable(entry.name) or not cleaned(entry.name):
            skipped.append(
                SkippedFile(
                    _shown(entry, root),
                    "its name is too long or holds control characters; rename it",
                )
            )
        else:
            yield entry


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link to nothing, or in a circle
        return False


def _shown(entry: os.DirEntry[str], root: Path) -> str:
    """Return a path below ``root`` as text that can be written, whatever its bytes on disk."""
    return (
        Path(entry.path)
        .relative_to(root)
        .as_posix()
        .encode("utf-8", "backslashreplace")
        .decode("utf-8")
    )


def count_files(root: Path) -> str:
    """Say how many classes and images a folder seems to hold."""
    found, _ = join_classes(find_images(root)[0])
    return f"{len({facts.name for facts in found.values()})} classes, {len(found):,} images"


LAYOUT = """\
my-images/
    train/
        cat/  (a folder for each class)
            1.jpg
            ...
        dog/
    test/
        cat/
        dog/
    metadata.csv  (for attributes)
        file,camera,age
        train/cat/1.jpg,A,3

or cat/ and dog/ without train/ and
test/: they are then split 80:20
"""

DATASETS.add(
    "folder",
    DatasetSpec(
        name="folder",
        title="A folder of your own",
        load=load,
        classes=(),
        class_title="class folder",
        partitions=("class",),
        channels=3,
        default_size=64,
        needs_folder=True,
        source=(
            "Your own files: train/<class>/ and test/<class>/, or <class>/, and "
            "metadata.csv with attributes"
        ),
        license="Yours to know",
        caution="These are your own images and labels; nobody but you has checked them.",
        count_files=count_files,
        layout=LAYOUT,
    ),
)
