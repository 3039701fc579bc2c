"""CIFAR-10 and CIFAR-100: 60,000 photographs of 32x32 pixels, in the published batches.

| dataset | classes | train | test | further partition |
|---|---|---|---|---|
| cifar10 | 10 | 50,000 | 10,000 | |
| cifar100 | 100 | 50,000 | 10,000 | ``coarse``: the superclass |
| cifar100super | 20 superclasses | 50,000 | 10,000 | ``fine``: the class |

A sample is called after its row in the published order: ``cifar10-test-00017``. The published split
is kept; the seed only orders rows. The batches are pickles, which are read without being trusted:
see `rbcore.datasets.reading.safe_pickle`.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, make_dataset
from rbcore.datasets.reading.decoded import check_size, resize_images
from rbcore.datasets.reading.official import Archive, Official, OfficialFile, existing_folder
from rbcore.datasets.reading.opening import is_file
from rbcore.datasets.reading.safe_pickle import read_batch
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

SIZE = 32
SHAPE = (3, SIZE, SIZE)
PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
CLASSES_10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
# fmt: off
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
)
# fmt: on
# fmt: off
COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables",
    "household_electrical_devices", "household_furniture", "insects", "large_carnivores",
    "large_man-made_outdoor_things", "large_natural_outdoor_scenes",
    "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates", "people",
    "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)
# fmt: on


@dataclass(frozen=True)
class Kind:
    """One way to label a family's batches.

    Attributes
    ----------
    title
        Name for people.
    official
        The published files; the last one names the classes.
    batches
        Split, and row in the published order at which it starts, of each batch file.
    key
        What the labels are called in a batch; ``<key>s`` holds them, ``<key>_names`` of the
        last file their names.
    classes
        The names, in the order of the labels.
    """

    title: str
    official: Official
    batches: dict[str, tuple[str, int]]
    key: str
    classes: tuple[str, ...]


OFFICIAL_10 = Official(
    folder="cifar-10-batches-py",
    files=(
        OfficialFile("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        OfficialFile("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        OfficialFile("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        OfficialFile("data_batch_4", "634d18415352ddfa80567beed471001a"),
        OfficialFile("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
        OfficialFile("test_batch", "40351d587109b95175f43aff81a1287e"),
        OfficialFile("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
    ),
    archives=(
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
        ),
    ),
    page=PAGE,
)
OFFICIAL_100 = Official(
    folder="cifar-100-python",
    files=(
        OfficialFile("train", "16019d7e3df5f24257cddd939b257f8d"),
        OfficialFile("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
        OfficialFile("meta", "7973b15100ade9c7d40fb424638fde48"),
    ),
    archives=(
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85",
        ),
    ),
    page=PAGE,
)
BATCHES_10 = {
    **{f"data_batch_{k}": ("train", 10_000 * (k - 1)) for k in range(1, 6)},
    "test_batch": ("test", 0),
}
BATCHES_100 = {"train": ("train", 0), "test": ("test", 0)}
KINDS = {
    "cifar10": Kind("CIFAR-10", OFFICIAL_10, BATCHES_10, "label", CLASSES_10),
    "cifar100": Kind("CIFAR-100", OFFICIAL_100, BATCHES_100, "fine_label", FINE),
    "cifar100super": Kind(
        "CIFAR-100 superclasses", OFFICIAL_100, BATCHES_100, "coarse_label", COARSE
    ),
}
OTHER = {"cifar100": ("coarse", "cifar100super"), "cifar100super": ("fine", "cifar100")}
"""The partition by the other labels of the same batches: its name, and whose labels they are."""


def load(name: str, root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load one of the three datasets; a size other than 32 resizes the images."""
    kind = KINDS[name]
    check_size(kind.title, size)
    named = existing_folder(root, kind.title, f"RBCORE_{name.upper()}_ROOT")
    folder = kind.official.locate(named)
    labeled = {"label": kind} | ({OTHER[name][0]: KINDS[OTHER[name][1]]} if name in OTHER else {})
    meta = folder / kind.official.files[-1].name
    names = read_batch(_present(meta), named)
    for other in labeled.values():
        if names.get(f"{other.key}_names") != list(other.classes):
            raise DatasetError(
                f"{meta} does not name the {len(other.classes)} classes of "
                f"{other.title}; download it again."
            )
    images, tables = [], []
    for done, (file, (split, start)) in enumerate(kind.batches.items()):
        batch = read_batch(_present(folder / file), named)
        images.append(_pixels(folder / file, batch))
        rows = range(start, start + len(images[-1]))
        table = pd.DataFrame(
            {"sample_id": [f"{name}-{split}-{row:05d}" for row in rows], "split": split}
        )
        for column, other in labeled.items():
            labels = _labels(folder / file, batch, f"{other.key}s", len(other.classes), len(rows))
            table[column] = (
                labels if column == "label" else [other.classes[label] for label in labels]
            )
        tables.append(table)
        progress(done + 1, len(kind.batches), f"reading {kind.title}")
    resized, digest = resize_images(name, np.concatenate(images), size, progress)
    return make_dataset(
        Dataset(
            name=name,
            images=resized,
            samples=pd.concat(tables, ignore_index=True),
            classes=kind.classes,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            seed=seed,
        ),
        digest,
    )


def _present(path: Path) -> Path:
    if not is_file(path):
        raise DatasetError(
            f"{path.parent} lacks the file {path.name}; download the dataset again from {PAGE}."
        )
    return path


def _pixels(path: Path, batch: dict[str, object]) -> np.ndarray:
    data = batch.get("data")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != np.prod(SHAPE):
        raise DatasetError(
            f"{path} holds no rows of 3 x 32 x 32 pixels; replace it by the published file."
        )
    return data.reshape(-1, *SHAPE)


def _labels(path: Path, batch: dict[str, object], key: str, n_classes: int, n: int) -> list[int]:
    labels = batch.get(key)
    if not isinstance(labels, list) or len(labels) != n:
        raise DatasetError(
            f"{path} does not hold {n} {key}, one for each image; replace it by the published file."
        )
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < n_classes:
            raise DatasetError(
                f"{path} holds the label {label!r} in row {row}, where 0 to {n_classes - 1} are "
                "known; replace it by the published file."
            )
    return labels


CAUTION = (
    "Labels are those of one dataset of tiny web photographs; a difference between classes is "
    "about these images."
)


def _register(name: str, class_title: str) -> None:
    kind = KINDS[name]
    DATASETS.add(
        name,
        DatasetSpec(
            name=name,
            title=kind.title,
            load=partial(load, name),
            classes=kind.classes,
            class_title=class_title,
            partitions=("class", OTHER[name][0]) if name in OTHER else ("class",),
            channels=3,
            default_size=SIZE,
            needs_folder=True,
            source=f"{kind.title} (Krizhevsky, 2009), python version, {PAGE}",
            license="No license stated; cite the technical report",
            caution=CAUTION,
            n_train=50_000,
            n_test=10_000,
            official=kind.official,
            layout="\n".join(
                [f"{kind.official.folder}/", *(f"    {file.name}" for file in kind.official.files)]
            ),
        ),
    )


_register("cifar10", "kind of thing")
_register("cifar100", "kind of thing")
_register("cifar100super", "superclass of things")
