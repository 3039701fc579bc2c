"""What it takes to fool the model on a typical toy face of each group, quick enough for a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from rbcore.datasets import Dataset
from rbcore.datasets.toyfaces import STRENGTHS, draw_dataset
from rbcore.partitions import group_labels, group_order
from rbcore.runs.checkpoints import Run, load_checkpoint
from rbcore.runtime import resolve_device

if TYPE_CHECKING:
    from rbcore.distances.perturbed import Perturbations

N_DRAWN = 1000


def first_faces(dataset: str) -> Dataset:
    """Draw the first `N_DRAWN` of the toy faces of that name, the same as in the whole dataset.

    Its own split is not theirs.
    """
    return draw_dataset(strength=STRENGTHS[dataset], n=N_DRAWN, name=dataset)


def typical_faces(
    run: Run, distances: pd.DataFrame, by: str, method: str, *, n: int = 3
) -> dict[str, Perturbations]:
    """Return for each group the faces nearest to its median distance, clean and perturbed.

    Parameters
    ----------
    run
        A run on toy faces; its last epoch is looked at.
    distances
        What `rbcore.distances.stored.stored_distances` holds of that epoch and ``method``.
    by
        A partition.
    n
        Faces a group, taken from the first `N_DRAWN`; the median is that of all.
    """
    from rbcore.distances.perturbed import perturbed_images

    faces = first_faces(run.dataset)
    model = load_checkpoint(run, "last", resolve_device("cpu"))
    labels = group_labels(distances, by)
    is_usable = distances["distance"].notna() & distances["sample_id"].isin(
        faces.samples["sample_id"]
    )
    found = {}
    for group in group_order(labels):
        own = distances.loc[labels == group, "distance"]
        off = (own - own.median()).abs()[is_usable].sort_values(kind="stable")
        found[group] = perturbed_images(
            model, faces, method, list(distances.loc[off.index[:n], "sample_id"])
        )
    return found
