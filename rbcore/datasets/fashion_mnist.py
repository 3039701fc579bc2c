"""Fashion-MNIST: photographs of clothes, 28x28 gray pixels, 10 classes, in the published IDX files.

| split | images |
|---|---|
| train | 60,000 |
| test | 10,000 |

The files lie in ``FashionMNIST/raw/`` (where torchvision puts them) or in the folder itself, as
published (``.gz``) or unpacked. The published split is kept; the seed only orders rows.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, make_dataset
from rbcore.datasets.reading.decoded import check_size, resize_images
from rbcore.datasets.reading.official import (
    Archive,
    Official,
    OfficialFile,
    existing_folder,
    published_path,
)
from rbcore.datasets.reading.opening import open_below
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIZE = 28
SERVER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
PAGE = "https://github.com/zalandoresearch/fashion-mnist"
FILES = (
    OfficialFile("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    OfficialFile("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
    OfficialFile("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
    OfficialFile("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
)
OFFICIAL = Official(
    folder="FashionMNIST/raw",
    files=FILES,
    archives=tuple(Archive(SERVER + file.name, file.md5) for file in FILES),
    page=PAGE,
)
SPLITS = (("train", "train", 60_000), ("test", "t10k", 10_000))


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the published split; a size other than 28 resizes the images."""
    check_size("Fashion-MNIST", size)
    named = existing_folder(root, "Fashion-MNIST", "RBCORE_FASHION_MNIST_ROOT")
    folder = OFFICIAL.locate(named)
    images, tables = [], []
    for done, (split, prefix, most) in enumerate(SPLITS):
        path = published_path(folder, f"{prefix}-images-idx3-ubyte.gz")
        images.append(read_idx(path, named, (SIZE, SIZE), most)[:, None])
        path = published_path(folder, f"{prefix}-labels-idx1-ubyte.gz")
        labels = read_idx(path, named, (), most)
        if len(labels) != len(images[-1]) or (labels >= len(CLASSES)).any():
            raise DatasetError(
                f"{path} does not hold a label from 0 to 9 for each image; download it "
                f"again from {PAGE}."
            )
        names = [f"fashion_mnist-{split}-{row:05d}" for row in range(len(labels))]
        tables.append(
            pd.DataFrame({"sample_id": names, "split": split, "label": labels.astype(np.int64)})
        )
        progress(done + 1, len(SPLITS), "reading Fashion-MNIST")
    resized, digest = resize_images("fashion_mnist", np.concatenate(images), size, progress)
    return make_dataset(
        Dataset(
            name="fashion_mnist",
            images=resized,
            samples=pd.concat(tables, ignore_index=True),
            classes=CLASSES,
            mean=(0.286,),
            std=(0.353,),
            seed=seed,
        ),
        digest,
    )


def read_idx(path: Path, root: Path, item: tuple[int, ...], most: int) -> np.ndarray:
    """Return the bytes of an IDX file below ``root``, shape (n, *item).

    More than ``most`` items are refused, not unpacked.
    """
    header = 4 * (2 + len(item))
    length = int(np.prod(item, dtype=np.int64))
    try:
        with open_below(path, root) as packed:
            file = gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed
            content = file.read(header + most * length + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); download it again from {PAGE}."
        ) from error
    numbers = np.frombuffer(content[:header], ">u4") if len(content) >= header else np.zeros(2)
    n = int(numbers[1])
    if (
        numbers[0] != 0x801 + len(item)
        or tuple(numbers[2:]) != item
        or n > most
        or len(content) != header + n * length
    ):
        raise DatasetError(
            f"{path} is not an IDX file of at most {most:,} items of shape {item}; get it "
            f"anew from {PAGE}."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(n, *item)


LAYOUT = """\
FashionMNIST/
    raw/
        train-images-idx3-ubyte.gz
        train-labels-idx1-ubyte.gz
        t10k-images-idx3-ubyte.gz
        t10k-labels-idx1-ubyte.gz
"""

DATASETS.add(
    "fashion_mnist",
    DatasetSpec(
        name="fashion_mnist",
        title="Fashion-MNIST",
        load=load,
        classes=CLASSES,
        class_title="kind of garment",
        partitions=("class",),
        channels=1,
        default_size=SIZE,
        needs_folder=True,
        source=f"Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017), {PAGE}",
        license="MIT",
        caution="Small gray pictures of one shop's articles; some classes overlap by design.",
        n_train=60_000,
        n_test=10_000,
        official=OFFICIAL,
        layout=LAYOUT,
    ),
)
