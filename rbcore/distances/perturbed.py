"""The perturbed images behind stored distances: computed anew, since the store keeps none."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rbcore.datasets import Dataset, attributes
from rbcore.distances import resolve_method
from rbcore.distances.batching import in_batches
from rbcore.distances.best import BEST
from rbcore.distances.estimate import engine_for
from rbcore.distances.probabilities import probabilities
from rbcore.distances.result_tables import result_rows
from rbcore.distances.stored import best_of
from rbcore.errors import DatasetError
from rbcore.models import Model
from rbcore.norms import COLUMN
from rbcore.runtime import Cancel, never
from rbcore.sampling import SPLIT

BATCH_SIZE = 128


@dataclass(frozen=True)
class Perturbations:
    """Clean and perturbed images of some samples, and what the network says of both.

    Attributes
    ----------
    clean, perturbed
        Float32, shape (n, channels, height, width); NaN where a sample has no perturbed image.
    table
        One row a sample as `estimate_distances` returns them, with ``probability`` and
        ``perturbed_probability`` of the network's two predictions (softmax of the logits).
    """

    clean: np.ndarray
    perturbed: np.ndarray
    table: pd.DataFrame


def perturbed_images(
    model: Model,
    dataset: Dataset,
    method: str,
    sample_ids: list[str],
    *,
    split: str = SPLIT,
    cancel: Cancel = never,
    **parameters: Any,
) -> Perturbations:
    """Compute the perturbed images of some samples of a split anew.

    The parameters are those of `estimate_distances`.

    Raises
    ------
    DatasetError
        If a sample does not exist.

    Examples
    --------
    >>> import rbcore as rb
    >>> digits = rb.load_dataset("digits")
    >>> model = rb.load_model("small_cnn", digits)
    >>> found = rb.perturbed_images(model, digits, "minimal", ["digit-0000", "digit-0001"])
    >>> found.perturbed.shape
    (2, 1, 8, 8)
    >>> bool((found.table["perturbed_prediction"] != found.table["prediction"]).all())
    True
    """
    if not sample_ids:
        raise DatasetError("sample_ids is empty; name at least one sample.")
    rows = dataset.rows_of(sample_ids)
    if method == BEST:
        return _best_images(model, dataset, sample_ids, split, cancel)
    chosen, values = resolve_method(method, parameters)
    engine = engine_for(model, dataset, split, chosen, values, cancel, BATCH_SIZE)
    parts = [engine.estimate(batch) for batch in in_batches(rows, BATCH_SIZE)]
    rows_found = pd.concat(
        [result_rows(dataset, part, chosen) for part in parts], ignore_index=True
    )
    rows_found.attrs[COLUMN] = chosen.norm.value
    table = attributes.with_attributes(rows_found, dataset.samples)
    clean, perturbed = dataset.pixels(rows), np.concatenate([part.perturbed for part in parts])
    table["probability"] = _probabilities(
        model, clean, table.get("network_prediction", table["prediction"])
    )
    table["perturbed_probability"] = _probabilities(model, perturbed, table["perturbed_prediction"])
    return Perturbations(clean, perturbed, table)


def _best_images(
    model: Model, dataset: Dataset, sample_ids: list[str], split: str, cancel: Cancel
) -> Perturbations:
    """Compute each image anew with the method that gave its smallest distance."""
    best = best_of(model, dataset, split)
    names = best.rows.set_index("sample_id")["method"].reindex(sample_ids)
    of = best.key.of
    some = next(iter(of))
    names = names.where(
        names.notna() & (names != ""), some
    )  # misclassified by the network: any method says so
    parts: list[Perturbations] = []
    for name in names.unique():
        key, chosen = of[name], [sample for sample in sample_ids if names[sample] == name]
        part = perturbed_images(
            model,
            dataset,
            key.method,
            chosen,
            split=split,
            cancel=cancel,
            **key.parameters,
        )
        parts.append(replace(part, table=part.table.assign(method=name)))
    table = pd.concat([part.table for part in parts], ignore_index=True)
    order = pd.Index(table["sample_id"]).get_indexer(pd.Index(sample_ids))
    clean, perturbed = (
        np.concatenate([getattr(part, which) for part in parts]) for which in ("clean", "perturbed")
    )
    return Perturbations(clean[order], perturbed[order], table.iloc[order].reset_index(drop=True))


def _probabilities(model: Model, images: np.ndarray, classes: pd.Series) -> np.ndarray:
    """Return the probability of one class of each image."""
    which = classes.to_numpy()[:, None].clip(0)
    chosen: np.ndarray = np.take_along_axis(probabilities(model, images), which, axis=1)[:, 0]
    return chosen
