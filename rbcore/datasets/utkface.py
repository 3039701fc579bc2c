"""UTKFace: faces named ``[age]_[gender]_[race]_[date&time].jpg`` in a folder.

Labels are five bins of age; attributes are ``gender``, ``race`` and ``age`` as its makers assigned
them. A name that does not hold valid facts, and a file that is not a readable image, are skipped
and listed: no image ever gets another's labels. A gender or race that is corrected to NA, None or
the like is ``unknown``.

Published split (PAPER, section 4): 18,966 train and 4,742 test images. Here: a seeded random 80:20
split of what is found.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile, make_dataset
from rbcore.datasets.reading.decoded import check_size, decode_files
from rbcore.datasets.reading.names import is_missing
from rbcore.datasets.reading.official import existing_folder
from rbcore.errors import DatasetError
from rbcore.partitions import UNKNOWN
from rbcore.runtime import Progress

CLASSES = ("0-15", "15-25", "25-40", "40-60", "60+")
AGE_STARTS = (0, 15, 25, 40, 60)
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
OLDEST = 120
SUFFIXES = (".jpg", ".jpeg")
NAME = re.compile(
    r"(?P<age>\d{1,3})_(?P<gender>\d|[^\d_]+)_(?P<race>\d|[^\d_]+)_\d+(\.jpg)?(\.chip)?\.jpe?g",
    re.IGNORECASE,
)


def parse_name(name: str) -> dict[str, object] | str:
    """Return age, gender and race from a file's name, or in words why it holds none."""
    match = NAME.fullmatch(name)
    if match is None:
        return "the name is not [age]_[gender]_[race]_[date&time].jpg"
    age, gender, race = (
        int(match["age"]),
        _named(match["gender"], GENDERS),
        _named(match["race"], RACES),
    )
    if age > OLDEST:
        return f"age {age} is above {OLDEST}"
    if gender is None:
        return f"gender {match['gender']} is not 0 or 1"
    if race is None:
        return f"race {match['race']} is not 0 to {len(RACES) - 1}"
    return {"gender": gender, "race": race, "age": age}


def _named(code: str, names: tuple[str, ...]) -> str | None:
    """Return what a code means, `UNKNOWN` for a word for missing, and None for any other."""
    if is_missing(code):
        return UNKNOWN
    return (
        names[int(code)] if code.isascii() and code.isdigit() and int(code) < len(names) else None
    )


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the faces below ``root`` and its subfolders at ``size`` x ``size`` pixels."""
    check_size("UTKFace", size)
    root = existing_folder(root, "UTKFace", "RBCORE_UTKFACE_ROOT")
    files: dict[str, Path] = {}
    skipped: list[SkippedFile] = []
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            if path.name in files:
                skipped.append(
                    SkippedFile(
                        str(path.relative_to(root)), "another file of the same name is used"
                    )
                )
            else:
                files[path.name] = path
    if not files:
        raise DatasetError(
            f"The UTKFace folder {root} holds no .jpg file; name the folder of the unpacked images."
        )
    facts = {}
    for name in sorted(files):
        parsed = parse_name(name)
        if isinstance(parsed, str):
            skipped.append(SkippedFile(name, parsed))
        else:
            facts[name] = parsed
    decoded = decode_files(
        "utkface", {name: files[name] for name in facts}, size, progress, root=root
    )
    skipped += decoded.broken
    names = decoded.names
    if not names:
        raise DatasetError(
            f"Of the {len(files)} .jpg files in {root} none could be used; the first, "
            f"{skipped[0].file}: {skipped[0].reason}."
        )
    samples = pd.DataFrame([facts[name] for name in names])
    samples.insert(0, "label", np.searchsorted(AGE_STARTS, samples["age"], side="right") - 1)
    order = np.random.default_rng(seed).permutation(len(names))
    split = np.full(len(names), "train")
    split[order[: round(0.2 * len(names))]] = "test"
    samples.insert(0, "split", split)
    samples.insert(0, "sample_id", names)
    return make_dataset(
        Dataset(
            name="utkface",
            images=decoded.images,
            samples=samples,
            classes=CLASSES,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            seed=seed,
            skipped=tuple(skipped),
            notes=decoded.notes,
        ),
        decoded.sha256,
    )


def count_files(root: Path) -> str:
    """Say how many images lie below a folder."""
    n = sum(path.suffix.lower() in SUFFIXES for path in root.rglob("*"))
    return f"{n:,} .jpg files"


LAYOUT = """\
UTKFace/
    25_0_1_20170116174525125.jpg
    ...

[age]_[gender]_[race]_[date&time].jpg
"""

DATASETS.add(
    "utkface",
    DatasetSpec(
        name="utkface",
        title="UTKFace",
        load=load,
        classes=CLASSES,
        class_title="age group",
        partitions=("class", "gender", "race"),
        channels=3,
        default_size=64,
        needs_folder=True,
        source="UTKFace (Zhang, Song and Qi, CVPR 2017), the aligned and cropped files",
        license="Non-commercial research only",
        caution=(
            "Gender and race here are coarse, contested categories that others assigned, partly "
            "by a model; ages are estimates. Predicting age from a face is a flawed task, used "
            "because the paper uses it. A difference between groups is not an explanation of it."
        ),
        n_train=18_966,
        n_test=4_742,
        count_files=count_files,
        layout=LAYOUT,
    ),
)
