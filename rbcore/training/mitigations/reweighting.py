"""Group re-weighting: the cross entropy with more weight on a group that the training data hold few of.

``loss = mean of w(x) * CE(f(x), y)`` with one weight a group, and a mean of 1 over the training
split, so that the learning rate means what it means in the plain run. The simplest thing one can do
for a group, and the baseline for whatever does more.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from rbcore.errors import TrainingError
from rbcore.store import Settings
from rbcore.training.mitigations.groups import group_codes, split_spelling, whom_in_a_name

HALF = 0.5
"""Share of the total weight at which a group and its rest count the same."""


@dataclass(frozen=True)
class Reweighting:
    """The settings of the weights.

    Attributes
    ----------
    by
        A partition, as it is spelled everywhere: ``lighting``, ``class``,
        ``age:15,25``, ``gender*race``.
    group
        The protected group P; None for all groups alike.
    share
        Share of the total weight that the group carries, between 0 and 1; with 0.5 group and rest
        count the same. None where no group is protected: every group then carries the same share.
    """

    by: str
    group: str | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if self.group is None and self.share is not None:
            raise TrainingError(
                f"share={self.share:g} is one group's, but all groups of {self.by} are to count "
                "the same. Name a group or leave the share out."
            )
        if self.group is not None and not (self.share is not None and 0 < self.share < 1):
            raise TrainingError(
                f"share={self.share} is no share of the weight for {self.by}={self.group}; give a "
                "number between 0 and 1, such as 0.5."
            )

    def as_facts(self) -> Settings:
        """Return the settings as JSON-able facts."""
        return {"kind": "reweighting", **asdict(self)}

    @property
    def suffix(self) -> str:
        """What it adds to the name of the plain run: ``+weight-lighting=dim-s0.5``."""
        if self.group is None:
            return f"+weight-{whom_in_a_name(self.by)}"
        return f"+weight-{whom_in_a_name(f'{self.by}={self.group}')}-s{self.share:g}"


def reweighting_of(text: str, share: float | None = None) -> Reweighting:
    """Return the re-weighting of ``PARTITION=GROUP``, half of the weight where nothing else is said, or of ``PARTITION`` for all."""
    by, group = split_spelling(text)
    return Reweighting(by, group, HALF if group is not None and share is None else share)


def weights_of(settings: Reweighting, samples: pd.DataFrame) -> np.ndarray:
    """Return the weight of each sample's cross entropy, float32, shape (n,): mean 1 over the training split, 0 outside it.

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
