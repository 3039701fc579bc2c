"""Set aside a share of the training images, to choose settings without the test split."""

from dataclasses import replace

import numpy as np

from rbcore.datasets.base import VALIDATION, Dataset
from rbcore.errors import DatasetError
from rbcore.store import sha256_of_facts, sha256_of_rows

STREAM = 2**31
"""Beside the dataset's seed, which is smaller: no other random stream has these two numbers."""


def refuse_share(share: float) -> None:
    """Raise `DatasetError` if a share cannot be set aside."""
    if not 0 <= share < 1:
        raise DatasetError(
            f"validation={share:g} is not a valid share of the training images; give a number "
            "from 0 to below 1, such as 0.2."
        )


def with_validation(dataset: Dataset, share: float) -> Dataset:
    """Return the dataset with a share of its training images as the split ``validation``.

    With share 0 the dataset itself.

    Of every label the share is taken, to the nearest image, drawn by the dataset's seed; but never
    the last image of a label. The fingerprint is another one, since the split is content.

    Raises
    ------
    DatasetError
        If that leaves no image for validation.
    """
    if share == 0:
        return dataset
    rows = np.flatnonzero(dataset.samples["split"] == "train")
    labels = dataset.labels(rows)
    random = np.random.default_rng([dataset.seed, STREAM])
    drawn = []
    for label in np.unique(labels):
        own = random.permutation(rows[labels == label])
        drawn.append(own[: min(round(share * len(own)), len(own) - 1)])
    chosen = np.concatenate(drawn)
    if len(chosen) == 0:
        raise DatasetError(
            f"validation={share:g} of the {len(rows)} training images of {dataset.name!r} sets "
            "none aside; give a larger share."
        )
    samples = dataset.samples.copy()
    samples.loc[samples.index[chosen], "split"] = VALIDATION
    fingerprint = sha256_of_facts(
        {"dataset": dataset.fingerprint, "splits": sha256_of_rows(samples[["sample_id", "split"]])}
    )
    return replace(dataset, samples=samples, fingerprint=fingerprint, validation=share)
