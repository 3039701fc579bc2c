"""What a network says between a clean image and its perturbed one, and of images of 8 bits."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.charts.rendering import rounded
from rbcore.datasets import Dataset
from rbcore.distances.probabilities import BATCH, probabilities
from rbcore.models import Model
from rbcore.sampling import SPLIT

STEPS = np.linspace(0.0, 1.2, 13)
"""Where a walk stops: 0 is the clean image, 1 the perturbed one."""
BETWEEN = 32
"""Images between two stops among which the crossing is looked for."""


@dataclass(frozen=True)
class Walk:
    """The straight line from a clean image through its perturbed one.

    Attributes
    ----------
    steps
        `STEPS`, shape (n,).
    images
        Float32, shape (n, channels, height, width).
    probabilities
        Softmax of the logits, shape (n, n_classes).
    crossing
        Share of the way at which the prediction is first another than the clean image's, to within
        a step of 0.1 / `BETWEEN`; NaN where no stop has another.
    rounded_probabilities
        The same for the perturbed image rounded to 8 bits, shape (n_classes,).
    """

    steps: np.ndarray
    images: np.ndarray
    probabilities: np.ndarray
    crossing: float
    rounded_probabilities: np.ndarray

    @property
    def predictions(self) -> np.ndarray:
        """The class at every stop, shape (n,)."""
        predictions: np.ndarray = self.probabilities.argmax(axis=1)
        return predictions


def walk(model: Model, clean: np.ndarray, perturbed: np.ndarray) -> Walk:
    """Walk from a clean image to its perturbed one and beyond.

    Each of shape (channels, height, width).

    Pixels beyond the perturbed image stop at black and white; where the perturbed image leaves [0,
    1] itself, as that of the exact method can, they stop where it does.
    """
    images = _between(clean, perturbed, STEPS)
    found = probabilities(model, np.concatenate([images, rounded(perturbed)[None]]))
    along, of_rounded = found[:-1], found[-1]
    predictions = along.argmax(axis=1)
    others = np.flatnonzero(predictions != predictions[0])
    crossing = np.nan
    if len(others):
        finer = np.linspace(STEPS[others[0] - 1], STEPS[others[0]], BETWEEN + 1)[1:]
        is_other = (
            probabilities(model, _between(clean, perturbed, finer)).argmax(axis=1) != predictions[0]
        )
        crossing = float(finer[np.argmax(is_other)]) if is_other.any() else float(finer[-1])
    return Walk(STEPS, images, along, crossing, of_rounded)


def _between(clean: np.ndarray, perturbed: np.ndarray, steps: np.ndarray) -> np.ndarray:
    straight = clean + steps[:, None, None, None].astype(np.float32) * (perturbed - clean)
    images: np.ndarray = np.clip(
        straight, np.minimum(perturbed, 0), np.maximum(perturbed, 1)
    ).astype(np.float32)
    return images


def rounded_predictions(model: Model, perturbed: np.ndarray) -> np.ndarray:
    """Return the class of perturbed images rounded to 8 bits, int64, shape (n,).

    -1 where there is no perturbed image.
    """
    is_image = np.isfinite(perturbed).all(axis=(1, 2, 3))
    predictions = np.full(len(perturbed), -1, dtype=np.int64)
    if is_image.any():
        predictions[is_image] = probabilities(model, rounded(perturbed[is_image])).argmax(axis=1)
    return predictions


def clean_probabilities(model: Model, dataset: Dataset) -> pd.Series:
    """Return the probability of the predicted class of every test image, by sample id."""
    rows = dataset.rows(SPLIT)
    highest = np.concatenate(
        [
            probabilities(model, dataset.pixels(rows[start : start + BATCH])).max(axis=1)
            for start in range(0, len(rows), BATCH)
        ]
    )
    return pd.Series(
        highest, index=pd.Index(dataset.samples["sample_id"].iloc[rows], name="sample_id")
    )
