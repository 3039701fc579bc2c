"""The norm of a perturbation: the only place that computes one, or says its name.

A distance is a norm of the change of an image, in [0, 1] pixel space at the model's input
resolution. Which one is a property of the method, and goes from there into the key of its table,
the table and the titles of axes. Slopes of the logits along a unit of distance are measured in the
dual norm.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbcore.errors import MeasureError

if TYPE_CHECKING:
    from torch import Tensor

COLUMN = "norm"
"""Column, or entry in ``attrs``, in which a table of distances says its norm."""


class Norm(StrEnum):
    """A norm of perturbations."""

    L2 = "l2"
    LINF = "linf"

    @property
    def symbol(self) -> str:
        """Its name in sentences and titles."""
        return _SYMBOLS[self]


_SYMBOLS = {Norm.L2: "L2", Norm.LINF: "L∞"}
_ORDERS = {Norm.L2: 2.0, Norm.LINF: np.inf}
_DUAL_ORDERS = {Norm.L2: 2.0, Norm.LINF: 1.0}


def lengths(perturbations: "Tensor", norm: Norm = Norm.L2) -> "Tensor":
    """Return the norm of each perturbation (n, channels, height, width), shape (n,)."""
    import torch

    found: Tensor = torch.linalg.vector_norm(perturbations.flatten(1), _ORDERS[norm], dim=1)
    return found


def slopes(gradients: "Tensor", norm: Norm = Norm.L2) -> "Tensor":
    """Return how much a logit changes at most in a unit of distance, shape (n,).

    That is the dual norm of each gradient (n, channels, height, width).
    """
    import torch

    found: Tensor = torch.linalg.vector_norm(gradients.flatten(1), _DUAL_ORDERS[norm], dim=1)
    return found


def smooth_slopes(gradients: "Tensor", floor: float) -> "Tensor":
    """Return the L2 norm of each gradient, at least ``floor``, shape (n,).

    It can be differentiated everywhere: below the floor its own gradient is 0.
    """
    found: Tensor = gradients.flatten(1).square().sum(dim=1).clamp_min(floor**2).sqrt()
    return found


def gaps(images: "Tensor", others: "Tensor", norm: Norm = Norm.L2) -> "Tensor":
    """Return the distance of every image to every other one, shape (n_images, n_others)."""
    import torch

    return torch.cdist(images.flatten(1), others.flatten(1), p=_ORDERS[norm])


def gaps_of_slopes(weights: "Tensor", norm: Norm = Norm.L2) -> "Tensor":
    """Return the dual norm of the difference of every two rows of weights, shape (n, n).

    Of a linear model these are the slopes of the differences of its logits.
    """
    import torch

    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(weights, weights, p=_DUAL_ORDERS[norm], compute_mode=mode)


def norm_of(distances: pd.DataFrame) -> Norm:
    """Return the norm of a table of distances: its column, else its ``attrs``, else L2.

    Raises
    ------
    MeasureError
        If the table joins several norms, or names one that is not known.
    """
    if COLUMN not in distances.columns or distances.empty:
        named = [distances.attrs.get(COLUMN, Norm.L2)]
    else:
        named = list(pd.unique(distances[COLUMN]))
    if len(named) > 1:
        raise MeasureError(
            f"The table joins distances in several norms ({', '.join(map(str, named))}), which "
            "cannot be compared. Measure each by itself."
        )
    try:
        return Norm(named[0])
    except ValueError:
        known = ", ".join(Norm)
        raise MeasureError(
            f"The column {COLUMN!r} holds {named[0]!r}, which is none of {known}; write one of "
            "these."
        ) from None


def distance_title(norm: Norm) -> str:
    """Return the title of an axis of distances."""
    return f"{norm.symbol} distance in [0, 1] pixel space"
