"""UTKFace: faces named ``[age]_[gender]_[race]_[date&time].jpg``, read from the folder of the original files.

Labels are five bins of age; attributes are ``gender``, ``race`` and ``age`` as its makers assigned them. A name that does
not hold valid facts, and a file that is no readable image, are skipped and listed: no image ever gets another's labels.

Published split (PAPER, section 4): 18,966 train and 4,742 test images. Here: a seeded random 80:20 split of what is found.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile, make_dataset
from rbcore.errors import DatasetError
from rbcore.running import Progress
from rbcore.store import cache_root, read_json, sha256_of_facts, write_atomically, write_json

CLASSES = ("0-15", "15-25", "25-40", "40-60", "60+")
AGE_STARTS = (0, 15, 25, 40, 60)
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
OLDEST = 120
SIZES = (8, 400)
NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>\d)_(?P<race>\d)_\d+(\.jpg)?(\.chip)?\.jpe?g", re.IGNORECASE)
DECODE_VERSION = 1


def parse_name(name: str) -> dict[str, object] | str:
    """Return age, gender and race from a file's name, or in words why it holds none."""
    match = NAME.fullmatch(name)
    if match is None:
        return "the name is not [age]_[gender]_[race]_[date&time].jpg"
    age, gender, race = int(match["age"]), int(match["gender"]), int(match["race"])
    if age > OLDEST:
        return f"age {age} is above {OLDEST}"
    if gender >= len(GENDERS):
        return f"gender {gender} is not 0 or 1"
    if race >= len(RACES):
        return f"race {race} is not 0 to {len(RACES) - 1}"
    return {"gender": GENDERS[gender], "race": RACES[race], "age": age}


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the faces below ``root`` (searched with its subfolders) at ``size`` x ``size`` pixels."""
    if not SIZES[0] <= size <= SIZES[1]:
        raise DatasetError(f"UTKFace can be loaded at {SIZES[0]} to {SIZES[1]} pixels, not {size}.")
    if root is None:
        raise DatasetError(
            "UTKFace needs the folder of its images: pass root=, --root, set RBCORE_UTKFACE_ROOT, or name it on the Compute page."
        )
    if not root.is_dir():
        raise DatasetError(f"The UTKFace folder {root} does not exist or is no folder; check the path.")
    files: dict[str, Path] = {}
    skipped: list[SkippedFile] = []
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            if path.name in files:
                skipped.append(SkippedFile(str(path.relative_to(root)), "another file of the same name is used"))
            else:
                files[path.name] = path
    if not files:
        raise DatasetError(f"The UTKFace folder {root} holds no .jpg file; name the folder of the unpacked images.")
    facts = {}
    for name in sorted(files):
        parsed = parse_name(name)
        if isinstance(parsed, str):
            skipped.append(SkippedFile(name, parsed))
        else:
            facts[name] = parsed
    images, names, broken, digest = _decoded({name: files[name] for name in facts}, size, progress)
    skipped += broken
    if not names:
        raise DatasetError(
            f"Of the {len(files)} .jpg files in {root} none could be used; the first, {skipped[0].file}: {skipped[0].reason}."
        )
    samples = pd.DataFrame([facts[name] for name in names])
    samples.insert(0, "label", np.searchsorted(AGE_STARTS, samples["age"], side="right") - 1)
    order = np.random.default_rng(seed).permutation(len(names))
    split = np.full(len(names), "train")
    split[order[: round(0.2 * len(names))]] = "test"
    samples.insert(0, "split", split)
    samples.insert(0, "sample_id", names)
    return make_dataset(
        name="utkface",
        images=images,
        images_sha256=digest,
        white=255,
        samples=samples,
        classes=CLASSES,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        seed=seed,
        skipped=tuple(skipped),
    )


def _decoded(
    files: dict[str, Path], size: int, progress: Progress
) -> tuple[np.ndarray, list[str], list[SkippedFile], str]:
    """Return pixels (n, 3, size, size) uint8, their files' names, the broken files, and the hash of the pixels.

    Decoded once: the array is kept under a key of the files' names, lengths and times, the size and the decoder's version.
    """
    listing = [[name, path.stat().st_size, path.stat().st_mtime_ns] for name, path in files.items()]
    key = sha256_of_facts({"files": listing, "size": size, "version": DECODE_VERSION})[:32]
    array_path = cache_root() / "datasets" / f"utkface-{size}px-{key}.npy"
    facts_path = array_path.with_suffix(".json")
    if not facts_path.exists():
        _decode(files, size, progress, array_path, facts_path)
    facts = read_json(facts_path)
    broken = [SkippedFile(file, reason) for file, reason in facts["broken"]]
    try:
        images = (
            np.load(array_path, mmap_mode="r", allow_pickle=False) if facts["names"] else np.empty((0, 3, size, size))
        )
        if len(images) != len(facts["names"]):
            raise ValueError("it holds another number of images than its list")
    except (OSError, ValueError) as error:
        facts_path.unlink(missing_ok=True)
        raise DatasetError(
            f"The decoded images in {array_path} are damaged ({error}); load again to decode them anew."
        ) from error
    return images, facts["names"], broken, facts["sha256"]


def _decode(files: dict[str, Path], size: int, progress: Progress, array_path: Path, facts_path: Path) -> None:
    images = np.empty((len(files), 3, size, size), np.uint8)
    names: list[str] = []
    broken: list[tuple[str, str]] = []
    for done, (name, path) in enumerate(files.items()):
        try:
            with Image.open(path, formats=("JPEG",)) as image:
                resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            images[len(names)] = np.asarray(resized).transpose(2, 0, 1)
            names.append(name)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
            broken.append((name, f"no readable JPEG ({type(error).__name__})"))
        progress(done + 1, len(files), f"decoding faces at {size} px")
    images = images[: len(names)]
    digest = hashlib.sha256(images.data).hexdigest()

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, images, allow_pickle=False)

    write_atomically(array_path, write)
    write_json(facts_path, {"names": names, "broken": broken, "sha256": digest})


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
        licence="Non-commercial research only",
        caution=(
            "Gender and race here are coarse, contested categories that others assigned, partly by a model; ages are "
            "estimates. Predicting age from a face is a flawed task, used because the paper uses it. A difference between "
            "groups is not an explanation of it."
        ),
    ),
)
