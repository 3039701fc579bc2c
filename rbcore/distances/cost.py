"""What an estimate will take, where its method knows that beforehand."""

from dataclasses import dataclass
from typing import Any

import torch

from rbcore import store
from rbcore.datasets import Dataset
from rbcore.distances import resolve_method
from rbcore.distances.batching import images_a_second
from rbcore.distances.best import BEST
from rbcore.distances.result_tables import sample_ids
from rbcore.distances.stored import table_key
from rbcore.measures.tables import Bound
from rbcore.models import Model
from rbcore.sampling import SPLIT, Rows


@dataclass(frozen=True)
class Cost:
    """What an estimate will take, where its method knows that beforehand.

    Attributes
    ----------
    n_images
        Images that are not in the store yet.
    passes
        Passes an image: forward for certificates, forward and backward for attacks.
    seconds
        Expected, from a measured rate of such passes.
    """

    n_images: int
    passes: int
    seconds: float


def estimate_cost(
    model: Model, dataset: Dataset, method: str, rows: Rows | None = None, **parameters: Any
) -> Cost | None:
    """Say what `estimate_distances` would take with these arguments.

    None where the method cannot know. The rate is measured in about a second; misclassified images
    cost less than is said.
    """
    wanted, parameters = Rows.among(rows, parameters)
    passes = passes_of(method, **parameters)
    if passes is None:
        return None
    chosen, values = resolve_method(method, parameters)
    order = dataset.rows(wanted.split)
    ids = sample_ids(dataset, wanted.chosen(order, dataset.samples))
    stored = store.read_table(
        table_key(model.weights_sha256, dataset.fingerprint, wanted.split, chosen, values)
    )
    missing = ids if stored is None else ids[~ids.isin(stored.rows["sample_id"])]
    seconds = len(missing) * passes / pass_rate(model, dataset, method) if len(missing) else 0.0
    return Cost(len(missing), passes, seconds)


def passes_of(method: str, **parameters: Any) -> int | None:
    """Return the passes an image that a method takes, or None where that depends on the image."""
    if method == BEST:
        return None
    chosen, values = resolve_method(method, parameters)
    return None if chosen.passes is None else chosen.passes(values)


def pass_rate(model: Model, dataset: Dataset, method: str) -> float:
    """Return how many passes of one image a method does in a second, by measuring.

    Attacks go back as well as forward.
    """
    image = torch.as_tensor(dataset.pixels(dataset.rows(SPLIT)[:1]), device=model.device)
    return images_a_second(
        model.network, image, backward=resolve_method(method)[0].bound == Bound.UPPER
    )
