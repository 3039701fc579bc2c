"""CelebA: aligned photographs of celebrities with 40 yes-or-no attributes, in the published layout.

| split | images |
|---|---|
| train | 162,770 |
| test | 19,962 |
| (validation, left out) | 19,867 |

The label is ``Smiling``: of the 40 attributes it is the one that can be seen in the picture
and is no judgment of the person (unlike "Attractive") and no category of people (unlike
"Male"), and its classes are of about the same size. All 40 attributes are partitions; one that
is corrected to ``?``, ``NA`` or the like is ``unknown``, and an image without a label is left
out. Images are 178x218; the central 178x178 pixels are used. The published split is kept; the
seed only orders rows.

The folder (or ``celeba/`` in it) holds ``list_attr_celeba.txt``, ``list_eval_partition.txt`` and
``img_align_celeba/``.
"""

import os
import re
from pathlib import Path

import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, SkippedFile, make_dataset
from rbcore.datasets.reading.decoded import check_size, decode_files
from rbcore.datasets.reading.names import is_missing
from rbcore.datasets.reading.official import Official, OfficialFile, existing_folder
from rbcore.datasets.reading.opening import decode_text, is_folder, read_below
from rbcore.errors import DatasetError
from rbcore.partitions import UNKNOWN
from rbcore.runtime import Progress

# fmt: off
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones",
    "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin",
    "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair",
    "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)
# fmt: on
LABEL = "Smiling"
CLASSES = ("not smiling", "smiling")
ANSWERS = {"-1": "no", "1": "yes"}
SPLITS = {"0": "train", "1": "validation", "2": "test"}
IMAGES = "img_align_celeba"
NAME = re.compile(r"\d{6}\.jpg")
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
OFFICIAL = Official(
    folder="celeba",
    files=(
        OfficialFile("list_attr_celeba.txt", "75e246fa4810816ffd6ee81facbd244c"),
        OfficialFile("list_eval_partition.txt", "d32c9cbf5e040fd4025c592c306e6668"),
    ),
    archives=(),
    page=PAGE,
)


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the train and test images that are on disk; the others are listed in ``skipped``."""
    check_size("CelebA", size)
    named = existing_folder(root, "CelebA", "RBCORE_CELEBA_ROOT")
    folder = OFFICIAL.locate(named)
    samples, skipped = read_lists(folder, named)
    is_used = samples["split"].isin(("train", "test"))
    if n_left_out := int((~is_used).sum()):
        skipped.append(
            SkippedFile("list_eval_partition.txt", f"{n_left_out:,} validation images are not used")
        )
    samples = samples[is_used]
    files = {name: folder / IMAGES / name for name in samples.index}
    decoded = decode_files("celeba", files, size, progress, root=named, is_cropped=True)
    skipped += decoded.broken
    if not decoded.names:
        reason = (
            f" The first, {decoded.broken[0].file}: {decoded.broken[0].reason}."
            if decoded.broken
            else ""
        )
        raise DatasetError(
            f"None of the {len(samples):,} images that the lists name is in {folder / IMAGES}; "
            f"unpack {IMAGES}.zip there.{reason}"
        )
    samples = samples.loc[decoded.names].reset_index(names="sample_id")
    return make_dataset(
        Dataset(
            name="celeba",
            images=decoded.images,
            samples=samples,
            classes=CLASSES,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            seed=seed,
            skipped=tuple(skipped),
            attribute_files=(folder / "list_attr_celeba.txt", folder / "list_eval_partition.txt"),
            notes=decoded.notes,
        ),
        decoded.sha256,
    )


def read_lists(folder: Path, root: Path) -> tuple[pd.DataFrame, list[SkippedFile]]:
    """Return ``split``, ``label`` and 40 attributes by image, and the lines that cannot be used.

    The lists lie in ``folder``, which is ``root`` or lies below it.
    """
    skipped: list[SkippedFile] = []
    splits: dict[str, str] = {}
    for number, fields in _lines(folder / "list_eval_partition.txt", root, 0):
        if (
            len(fields) == 2
            and NAME.fullmatch(fields[0])
            and fields[1] in SPLITS
            and fields[0] not in splits
        ):
            splits[fields[0]] = SPLITS[fields[1]]
        else:
            skipped.append(
                SkippedFile(
                    "list_eval_partition.txt",
                    f"line {number} does not name a new image with a split 0, 1 or 2",
                )
            )
    path = folder / "list_attr_celeba.txt"
    lines = _lines(path, root, 1)
    if not lines or tuple(lines[0][1]) != ATTRIBUTES:
        raise DatasetError(
            f"{path} does not name the 40 attributes of CelebA in its second line; get it "
            f"anew from {PAGE}."
        )
    rows: dict[str, list[str]] = {}
    for number, fields in lines[1:]:
        name = fields[0]
        values = [UNKNOWN if is_missing(value) else ANSWERS.get(value, "") for value in fields[1:]]
        if name not in splits or name in rows or len(values) != len(ATTRIBUTES) or "" in values:
            skipped.append(
                SkippedFile(
                    path.name,
                    f"line {number} does not name a new image with a split and "
                    "40 values of 1 or -1",
                )
            )
        else:
            rows[name] = values
    if absent := [name for name in splits if name not in rows]:
        skipped += [SkippedFile(name, "it has no attributes") for name in absent]
    unlabeled = [
        name for name, values in rows.items() if values[ATTRIBUTES.index(LABEL)] == UNKNOWN
    ]
    skipped += [
        SkippedFile(name, f"it has no label, since its value of {LABEL} is missing")
        for name in unlabeled
    ]
    for name in unlabeled:
        del rows[name]
    samples = pd.DataFrame.from_dict(rows, orient="index", columns=list(ATTRIBUTES))
    samples.insert(0, "label", (samples[LABEL] == "yes").astype("int64"))
    samples.insert(0, "split", [splits[name] for name in samples.index])
    return samples, skipped


def _lines(path: Path, root: Path, n_skipped: int) -> list[tuple[int, list[str]]]:
    """Return the fields of each line that is not empty, with the line's number."""
    try:
        text = decode_text(read_below(path, root))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"{path} cannot be read ({reason}); download it again from {PAGE}."
        ) from error
    lines = enumerate(text.splitlines()[n_skipped:], n_skipped + 1)
    return [(number, line.split()) for number, line in lines if line.strip()]


def count_files(root: Path) -> str:
    """Say how many images lie beside the lists."""
    folder = OFFICIAL.locate(root) / IMAGES
    n = sum(1 for _ in os.scandir(folder)) if is_folder(folder) else 0
    return f"{n:,} images"


LAYOUT = """\
celeba/
    list_attr_celeba.txt
    list_eval_partition.txt
    img_align_celeba/
        000001.jpg
        ...
"""

DATASETS.add(
    "celeba",
    DatasetSpec(
        name="celeba",
        title="CelebA",
        load=load,
        classes=CLASSES,
        class_title="smile",
        partitions=("class", *ATTRIBUTES),
        channels=3,
        default_size=64,
        needs_folder=True,
        source=(
            "CelebFaces Attributes (Liu, Luo, Wang and Tang, ICCV 2015), aligned "
            f"and cropped, {PAGE}"
        ),
        license="Non-commercial research only",
        caution=(
            "The attributes are one company's yes-or-no judgments of strangers' faces: many are "
            'subjective, some demeaning, and "Male" stands for a look, not an identity. The '
            "people are celebrities, not a sample of anyone else."
        ),
        n_train=162_770,
        n_test=19_962,
        official=OFFICIAL,
        count_files=count_files,
        layout=LAYOUT,
    ),
)
