"""What training can do about a bias: one file a mitigation, all beside the plain run.

To add one: a file in this folder that adds a subclass of `Mitigation` to `MITIGATIONS`, and its
import below.
"""

import pandas as pd

from rbcore.partitions import group_labels
from rbcore.store import sha256_of_rows

# Their import registers them, in the order in which pickers, listings and charts show them.
# isort: off
from rbcore.training.mitigations.base import MITIGATIONS, GroupMitigation, Mitigation, mitigation_of
from rbcore.training.mitigations.regularizer import Regularizer
from rbcore.training.mitigations.adversarial import AdversarialTraining
from rbcore.training.mitigations.reweighting import Reweighting

# isort: on

__all__ = [
    "MITIGATIONS",
    "AdversarialTraining",
    "GroupMitigation",
    "Mitigation",
    "Regularizer",
    "Reweighting",
    "groups_sha256",
    "mitigation_of",
]


def groups_sha256(mitigation: Mitigation | None, samples: pd.DataFrame) -> str | None:
    """Return the SHA-256 of the groups a mitigation acts on, which its weights depend on.

    None where it knows no groups.
    """
    by = None if mitigation is None else mitigation.protects[0]
    if by is None:
        return None
    groups = group_labels(samples.drop(columns="split"), by)
    return sha256_of_rows(pd.DataFrame({"sample_id": samples["sample_id"], "group": groups}))
