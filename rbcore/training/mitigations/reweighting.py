"""Group re-weighting: the cross entropy with more weight on a group that has few training images.

``loss = mean of w(x) * CE(f(x), y)`` with one weight a group, and a mean of 1 over the training
split, so that the learning rate means what it means in the plain run. The simplest thing one can do
for a group, and the baseline for whatever does more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from rbcore.errors import TrainingError
from rbcore.parameters import setting
from rbcore.training.mitigations.base import MITIGATIONS, GroupMitigation
from rbcore.training.mitigations.groups import group_codes, whom_in_a_name

if TYPE_CHECKING:
    from torch import Tensor

    from rbcore.training.hooks import Hooks

HALF = 0.5
"""Share of the total weight at which a group and its rest count the same."""


@dataclass(frozen=True)
class Reweighting(GroupMitigation):
    """The settings of the weights.

    Attributes
    ----------
    by, group
        The protected group P of a partition; no group for all of them alike.
    share
        Share of the total weight that the group carries, between 0 and 1; with 0.5 group and rest
        count the same. None where no group is protected: every group then carries the same share.

    Examples
    --------
    >>> import rbcore as rb
    >>> rb.Reweighting("lighting", "dim", share=0.75).suffix
    '+weight-lighting=dim-s0.75'
    """

    kind: ClassVar = "reweighting"
    title: ClassVar = "group re-weighting"
    meaning: ClassVar = "The images of a group count more in the loss."
    option: ClassVar = "reweight"
    strength: ClassVar = "share"
    grid: ClassVar = {"share": ()}

    share: float | None = setting(
        None, "share of the total weight that the group carries; 0.5 by default", 1e-6, 1 - 1e-6
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group is None and self.share is not None:
            raise TrainingError(
                f"share={self.share:g} is for one group, but all groups of {self.by} are to count "
                "the same. Name a group or leave the share out."
            )
        if self.group is not None and self.share is None:
            raise TrainingError(
                f"share=None is not a valid share of the weight for {self.by}={self.group}; give a "
                "number between 0 and 1, such as 0.5."
            )

    @classmethod
    def protecting(cls, by: str, group: str | None, given: Mapping[str, Any]) -> Self:
        """Return the re-weighting for a group: half of the weight where nothing else is said."""
        return super().protecting(by, group, {**({"share": HALF} if group else {}), **given})

    @property
    def label(self) -> str:
        """The share in a word or two."""
        return "equal shares" if self.share is None else super().label

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+weight-lighting=dim-s0.5``."""
        share = "" if self.share is None else f"-s{self.share:g}"
        return f"+weight-{whom_in_a_name(self.spelled)}{share}"

    def hooks(self, samples: pd.DataFrame) -> Hooks:
        """Return the weighted loss."""
        import torch

        from rbcore.training.hooks import Hooks

        weights = weights_of(self, samples)

        def weighted(logits: Tensor, labels: Tensor, drawn: Tensor) -> Tensor:
            each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
            loss: Tensor = (each * drawn).mean()
            return loss

        return Hooks(
            draw=lambda rows, images, random: torch.as_tensor(weights[rows]),
            loss=weighted,
            history=lambda terms, n_steps: {"largest_weight": float(weights.max())},
        )


MITIGATIONS.add(Reweighting.kind, Reweighting)


def weights_of(settings: Reweighting, samples: pd.DataFrame) -> np.ndarray:
    """Return the weight of each sample's cross entropy, float32, shape (n,).

    Its mean is 1 over the training split, and it is 0 outside.

    Raises
    ------
    UnknownNameError, TrainingError
        As `rbcore.training.mitigations.groups.group_codes`.
    """
    codes = group_codes(settings.by, settings.group, samples)
    is_training = (samples["split"] == "train").to_numpy()
    counts = np.bincount(codes[is_training])
    share = settings.share
    shares = (
        np.full(len(counts), 1 / len(counts)) if share is None else np.array([1 - share, share])
    )
    weights = (shares * is_training.sum() / counts)[codes]
    return np.where(is_training, weights, 0.0).astype(np.float32)
