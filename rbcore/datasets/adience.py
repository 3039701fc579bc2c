"""Adience: faces of 8 age groups from photo albums.

The published fold files decide which image is used and for what.

| split | images | by class |
|---|---|---|
| train (folds 0-3) | 14,007 | |
| test (fold 4) | 3,445 | 199, 570, 340, 225, 1072, 513, 252, 274; 1,848 female, 1,597 male |

Rows without an age, or whose gender is not f or m, are not used. Some rows hold another age label
than the eight; `AGES` says where those go (as in the paper's released code). No person is in two
folds; the seed only orders rows.

The folder holds ``fold_0_data.txt`` to ``fold_4_data.txt`` and the images, in ``aligned/`` where
there is one, else in ``faces/``:
``aligned/<user_id>/landmark_aligned_face.<face_id>.<original_image>``,
``faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile, make_dataset
from rbcore.datasets.reading.decoded import check_size, decode_files
from rbcore.datasets.reading.names import is_missing
from rbcore.datasets.reading.official import existing_folder
from rbcore.datasets.reading.opening import decode_text, is_file, read_below
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

CLASSES = ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+")
AGES = {
    **{"(0, 2)": "0-2", "2": "0-2"},
    **{"(4, 6)": "4-6", "3": "4-6"},
    **{"(8, 12)": "8-13", "(8, 23)": "8-13", "13": "8-13"},
    **{"(15, 20)": "15-20", "22": "15-20"},
    **{
        "(25, 32)": "25-32",
        "(27, 32)": "25-32",
        "23": "25-32",
        "29": "25-32",
        "34": "25-32",
        "35": "25-32",
    },
    **{
        "(38, 43)": "38-43",
        "(38, 42)": "38-43",
        "(38, 48)": "38-43",
        "36": "38-43",
        "42": "38-43",
        "45": "38-43",
    },
    **{"(48, 53)": "48-53", "46": "48-53", "55": "48-53"},
    **{"(60, 100)": "60+", "57": "60+", "58": "60+"},
}
"""Class of each age label in the fold files."""
GENDERS = {"f": "female", "m": "male"}
COLUMNS = ["user_id", "original_image", "face_id", "age", "gender"]
FOLDS = {f"fold_{k}_data.txt": "test" if k == 4 else "train" for k in range(5)}
KINDS = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
"""Folders of images, the better aligned first, and how their files' names begin."""
PLAIN_NAME = re.compile(r"(?!\.+$)[\w@.\- ]+")
"""What a user, face or image may be called: no separator, so no path leads out of the folder."""


@dataclass(frozen=True)
class Face:
    """One usable row of a fold file."""

    user: str
    face: str
    image: str
    split: str
    label: int
    gender: str

    @property
    def sample_id(self) -> str:
        """Its name: unique, and the same for both kinds of images."""
        return f"{self.user}/{self.face}.{self.image}"

    def path(self, kind: str) -> str:
        """Return where its image lies below the folder; ``kind`` is ``aligned`` or ``faces``."""
        return f"{kind}/{self.user}/{KINDS[kind]}.{self.face}.{self.image}"


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the images that the fold files name and that are on disk.

    The others are listed in ``skipped``.
    """
    check_size("Adience", size)
    folder = existing_folder(root, "Adience", "RBCORE_ADIENCE_ROOT")
    faces, skipped = read_folds(folder)
    kind = next((kind for kind in KINDS if (folder / kind).is_dir()), None)
    if kind is None:
        raise DatasetError(
            f"The Adience folder {folder} holds no images; unpack aligned.tar.gz or "
            "faces.tar.gz there."
        )
    files = {face.sample_id: folder / face.path(kind) for face in faces.values()}
    decoded = decode_files("adience", files, size, progress, root=folder)
    skipped += [SkippedFile(faces[skip.file].path(kind), skip.reason) for skip in decoded.broken]
    if not decoded.names:
        reason = (
            f" The first, {decoded.broken[0].file}: {decoded.broken[0].reason}."
            if decoded.broken
            else ""
        )
        raise DatasetError(
            f"None of the {len(faces):,} images that the fold files name could be read in "
            f"{folder / kind}.{reason}"
        )
    used = [faces[name] for name in decoded.names]
    samples = pd.DataFrame(
        {
            "sample_id": decoded.names,
            "split": [face.split for face in used],
            "label": [face.label for face in used],
            "gender": [face.gender for face in used],
        }
    )
    return make_dataset(
        Dataset(
            name="adience",
            images=decoded.images,
            samples=samples,
            classes=CLASSES,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            seed=seed,
            skipped=tuple(skipped),
            attribute_files=tuple(folder / fold for fold in FOLDS),
            notes=decoded.notes,
        ),
        decoded.sha256,
    )


def read_folds(folder: Path) -> tuple[dict[str, Face], list[SkippedFile]]:
    """Return the usable rows of the five fold files by sample, and what else they hold."""
    faces: dict[str, Face] = {}
    skipped: list[SkippedFile] = []
    for name, split in FOLDS.items():
        n_unlabeled = 0
        for number, row in _rows(folder / name, folder):
            face = parse_row(row, split)
            if face is None:
                n_unlabeled += 1
            elif isinstance(face, str):
                skipped.append(SkippedFile(name, f"line {number}: {face}"))
            elif face.sample_id in faces:
                skipped.append(
                    SkippedFile(name, f"line {number}: another row has the image {face.sample_id}")
                )
            else:
                faces[face.sample_id] = face
        if n_unlabeled:
            skipped.append(
                SkippedFile(
                    name, f"{n_unlabeled:,} rows have no age, or a gender that is not f or m"
                )
            )
    return faces, skipped


def parse_row(row: list[str], split: str) -> Face | str | None:
    """Return a row's face; None without age or gender, or in words why it makes no sense."""
    if len(row) < len(COLUMNS):
        return f"{len(row)} fields instead of at least {len(COLUMNS)}"
    user, image, face, age, gender = (field.strip() for field in row[: len(COLUMNS)])
    if is_missing(age) or gender.lower() not in GENDERS:
        return None
    if age not in AGES:
        return f"the age {age!r} belongs to no class"
    for field in (user, image, face):
        if not PLAIN_NAME.fullmatch(field):
            return f"{field!r} is not the name of a user, face or image"
    return Face(user, face, image, split, CLASSES.index(AGES[age]), GENDERS[gender.lower()])


def _rows(path: Path, root: Path) -> list[tuple[int, list[str]]]:
    """Return the fields of each line below the heading, with the line's number."""
    if not is_file(path):
        raise DatasetError(
            f"The Adience folder {path.parent} lacks the file {path.name}; all "
            "five folds are needed."
        )
    try:
        lines = decode_text(read_below(path, root)).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path} cannot be read ({reason}); download it again.") from error
    if not lines or lines[0].split("\t")[: len(COLUMNS)] != COLUMNS:
        raise DatasetError(
            f"{path} does not begin with the columns {', '.join(COLUMNS)}; download it again."
        )
    return [(number, line.split("\t")) for number, line in enumerate(lines[1:], 2) if line.strip()]


def count_files(root: Path) -> str:
    """Say how many fold files and images lie in a folder."""
    n_folds = sum(is_file(root / name) for name in FOLDS)
    counts = [
        f"{sum(1 for _ in (root / kind).glob('*/*.jpg')):,} in {kind}/"
        for kind in KINDS
        if (root / kind).is_dir()
    ]
    return f"{n_folds} of {len(FOLDS)} fold files; images: {', '.join(counts) or 'none'}"


LAYOUT = """\
Adience/
    fold_0_data.txt
    ...
    fold_4_data.txt
    aligned/  (or faces/)
        <user_id>/
            landmark_aligned_face...jpg
"""

DATASETS.add(
    "adience",
    DatasetSpec(
        name="adience",
        title="Adience",
        load=load,
        classes=CLASSES,
        class_title="age group",
        partitions=("class", "gender"),
        channels=3,
        default_size=224,
        needs_folder=True,
        source=(
            "Adience (Eidinger, Enbar and Hassner, 2014), "
            "https://talhassner.github.io/home/projects/Adience/Adience-data.html"
        ),
        license="Research only; the photographs are under Creative Commons licenses of their own",
        caution=(
            "Age and gender were assigned by others from the photographs and their albums; the "
            "age groups have gaps between them. Predicting age from a face is a flawed task, used "
            "because the paper uses it."
        ),
        n_train=14_007,
        n_test=3_445,
        count_files=count_files,
        layout=LAYOUT,
    ),
)
