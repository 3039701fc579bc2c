"""Rows of a table of distances: made of what the engine found, ordered, joined with attributes."""

import numpy as np
import pandas as pd

from rbcore import sampling
from rbcore.datasets import Dataset, attributes
from rbcore.distances import Method
from rbcore.distances.engine import Estimates


def result_rows(dataset: Dataset, found: Estimates, method: Method) -> pd.DataFrame:
    """Return what the store keeps of a batch: results alone, without class and attributes."""
    samples = dataset.samples.iloc[found.rows].reset_index(drop=True)
    labels = samples["label"].astype("int64")
    return pd.DataFrame(
        {
            "sample_id": samples["sample_id"],
            "label": labels,
            "prediction": found.prediction.astype("int64"),
            "is_correct": found.prediction == labels,
            "distance": found.distance,
            "bound": method.bound.value,
            "status": found.status.astype(str),
            "perturbed_prediction": found.perturbed_prediction.astype("int64"),
            **found.columns,
        }
    )


def in_order(dataset: Dataset, tables: list[pd.DataFrame], order: np.ndarray) -> pd.DataFrame:
    """Join tables into one, each sample once, in the order of the given row numbers."""
    joined = (
        pd.concat(tables, ignore_index=True).drop_duplicates("sample_id").set_index("sample_id")
    )
    wanted = dataset.samples["sample_id"].iloc[order]
    return joined.loc[wanted[wanted.isin(joined.index)]].reset_index()


def with_attributes(
    rows: pd.DataFrame, dataset: Dataset, split: str, by: str | None
) -> pd.DataFrame:
    """Add class and attributes, and the sampling weights of images drawn by a partition."""
    samples = dataset.samples
    joined = attributes.with_attributes(rows, samples)
    return sampling.weigh_by(joined, samples[samples["split"] == split], by or "")


def sample_ids(dataset: Dataset, rows: np.ndarray) -> pd.Series:
    """Return the ids of the samples with these row numbers."""
    return dataset.samples["sample_id"].iloc[rows]
