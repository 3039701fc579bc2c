"""Handwritten digits that ship with scikit-learn: 1,797 real images of 8x8 gray pixels, 10 classes.

| split | images |
|---|---|
| train | 1,437 |
| test | 360 |
"""

from pathlib import Path

import numpy as np
import pandas as pd

from rbcore.datasets.base import DATASETS, Dataset, DatasetSpec, make_dataset
from rbcore.errors import DatasetError
from rbcore.runtime import Progress

CLASSES = tuple(str(digit) for digit in range(10))
SIZE = 8


def load(root: Path | None, size: int, seed: int, progress: Progress) -> Dataset:
    """Load the digits with a seeded 80:20 split, stratified by class.

    Pixels are 0 to 16, divided by 16.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if size != SIZE:
        raise DatasetError(f"The digits are {SIZE}x{SIZE} pixels; size {size} is not available.")
    source = load_digits()
    labels = source.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=seed
    )
    rows = np.concatenate([train, test])
    samples = pd.DataFrame(
        {
            "sample_id": [f"digit-{row:04d}" for row in rows],
            "split": ["train"] * len(train) + ["test"] * len(test),
            "label": labels[rows],
        }
    )
    return make_dataset(
        Dataset(
            name="digits",
            images=source.images.astype(np.uint8)[rows][:, None],
            white=16,
            samples=samples,
            classes=CLASSES,
            mean=(0.3,),
            std=(0.375,),
            seed=seed,
        ),
    )


DATASETS.add(
    "digits",
    DatasetSpec(
        name="digits",
        title="Handwritten digits (8x8)",
        load=load,
        classes=CLASSES,
        class_title="digit",
        partitions=("class",),
        channels=1,
        default_size=SIZE,
        needs_folder=False,
        source=(
            "UCI optical recognition of handwritten digits (test part), as "
            "bundled with scikit-learn"
        ),
        license="CC BY 4.0",
        caution="Small gray images by 13 writers; a lesson, not evidence about people.",
        n_train=1437,
        n_test=360,
    ),
)
