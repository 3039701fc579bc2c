"""What training can do about a bias: one file a mitigation, each with its settings and how they act; all beside the plain run."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rbcore.partitions import group_labels
from rbcore.store import sha256_of_rows
from rbcore.training.mitigations.adversarial import AdversarialTraining
from rbcore.training.mitigations.regularizer import GroupAssignment, Regularizer, group_assignment
from rbcore.training.mitigations.reweighting import Reweighting, reweighting_of, weights_of

__all__ = [
    "AdversarialTraining",
    "Applied",
    "Mitigation",
    "Regularizer",
    "Reweighting",
    "applied",
    "groups_sha256",
    "reweighting_of",
]

Mitigation = Regularizer | AdversarialTraining | Reweighting


@dataclass(frozen=True)
class Applied:
    """A mitigation on the samples of a dataset; all None in a plain run, and one of them else.

    Attributes
    ----------
    sides
        Under a regularizer: who stands on which side.
    attack
        In adversarial training: its settings.
    weights
        Under re-weighting: the weight of each sample's cross entropy, float32, shape (n,).
    """

    sides: GroupAssignment | None = None
    attack: AdversarialTraining | None = None
    weights: np.ndarray | None = None


def applied(mitigation: Mitigation | None, samples: pd.DataFrame) -> Applied:
    """Return what a mitigation does to the samples of a dataset.

    One that has nobody to protect raises, as `group_codes` says.
    """
    if isinstance(mitigation, Regularizer):
        return Applied(sides=group_assignment(mitigation, samples))
    if isinstance(mitigation, Reweighting):
        return Applied(weights=weights_of(mitigation, samples))
    return Applied(attack=mitigation)


def groups_sha256(mitigation: Mitigation | None, samples: pd.DataFrame) -> str | None:
    """Return the SHA-256 of the groups a mitigation acts on, which its weights depend on.

    None where it knows no groups.
    """
    if mitigation is None or isinstance(mitigation, AdversarialTraining):
        return None
    groups = group_labels(samples.drop(columns="split"), mitigation.by)
    return sha256_of_rows(pd.DataFrame({"sample_id": samples["sample_id"], "group": groups}))
