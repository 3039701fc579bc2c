"""Who is protected by a mitigation: groups as numbers, and short enough for a name."""

import re
from hashlib import sha256

import numpy as np
import pandas as pd

from rbcore.errors import TrainingError
from rbcore.partitions import group_labels, group_order
from rbcore.registry import unknown_name

LONGEST = 40
"""Characters of a run's name for partition and group; longer ones are cut and told
apart by a hash.
"""


def group_codes(by: str, group: str | None, samples: pd.DataFrame) -> np.ndarray:
    """Return the group of each sample of a dataset, int64, shape (n,).

    1 is the group and 0 the rest; for all groups, one number a group.

    Parameters
    ----------
    by, group
        A partition and one of its groups; None for all of them, numbered in the order in which they
        are shown. -1 is then a group that no training image belongs to.
    samples
        As `rbcore.datasets.Dataset` has them, with their split.

    Raises
    ------
    UnknownNameError
        If there is no such partition or group; the text lists those there are.
    TrainingError
        If the training images of the group, or of the rest, are missing.
    """
    labels = group_labels(samples.drop(columns="split"), by)
    in_training = group_order(labels[(samples["split"] == "train").to_numpy()])
    if group is not None and group not in set(labels):
        raise unknown_name(f"group of {by}", group, group_order(labels))
    if len(in_training) < 2 or group not in (None, *in_training):
        raise TrainingError(
            f"By {by} the training images hold {' and '.join(in_training)} only, so there is "
            "nobody to compare with. Choose another partition or group."
        )
    if group is not None:
        return (labels == group).to_numpy(np.int64)
    codes: np.ndarray = pd.Index(in_training).get_indexer(pd.Index(labels)).astype(np.int64)
    return codes


def split_spelling(text: str) -> tuple[str, str | None]:
    """Return partition and group of ``PARTITION=GROUP``.

    The group is None in ``PARTITION``, which means all groups.
    """
    by, equals, group = text.partition("=")
    if not by or (equals and not group):
        raise TrainingError(
            f"{text!r} does not name a group; write PARTITION=GROUP, as in lighting=dim, or "
            "PARTITION for all."
        )
    return by, group or None


def whom_in_a_name(whom: str) -> str:
    """Return partition and group in letters that a run's name may hold."""
    plain = re.sub(r"[^A-Za-z0-9._=-]", "_", whom)
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}-{sha256(whom.encode()).hexdigest()[:8]}"
