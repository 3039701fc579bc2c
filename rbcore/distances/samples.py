"""The data whose distances are wanted, by row number: what the engine knows of a dataset."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Samples:
    """The data whose distances are wanted, by row number.

    Attributes
    ----------
    pixels
        Returns the images of row numbers: float32 in [0, 1], shape (n, channels, height, width).
    labels
        True class of every row, int64.
    fallback_targets
        Row numbers among which the fallback looks for the nearest image of another predicted
        class. They are part of the result's definition, so they are the same whichever rows are
        estimated.
    seeds
        One number a row, int64, from which methods draw what they draw at random.
    """

    pixels: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray
    fallback_targets: np.ndarray
    seeds: np.ndarray

    @classmethod
    def of_arrays(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        fallback_targets: np.ndarray | None = None,
        seeds: np.ndarray | None = None,
    ) -> "Samples":
        """Return images in memory as samples.

        Where nothing is said, all are fallback targets, and a row's number is its seed.
        """
        rows = np.arange(len(labels))
        return cls(
            lambda which: images[which],
            labels,
            rows if fallback_targets is None else fallback_targets,
            rows if seeds is None else seeds,
        )

    def images(self, rows: np.ndarray, device: torch.device) -> Tensor:
        """Return the images of some rows on a device."""
        return torch.as_tensor(self.pixels(rows), device=device)
