"""The key of a table of distances: everything that determines its numbers, and no path.

`rbcore.distances.stored` fills it in.
"""

from rbcore.norms import Norm
from rbcore.store.files import sha256_of_facts
from rbcore.store.records import Record


class TableKey(Record):
    """What determines the distances of one method.

    Attributes
    ----------
    weights
        SHA-256 of the checkpoint file.
    dataset
        Fingerprint of the dataset's pixels and labels.
    split
        Split of the dataset, which the fallback of attacks depends on.
    method, version, parameters
        Name of the method, the version of its numbers, and every parameter.
    norm
        Norm of the distances.
    """

    weights: str
    dataset: str
    split: str
    method: str
    version: int
    parameters: dict[str, int | float | str]
    norm: Norm

    @property
    def digest(self) -> str:
        """The name under which the distances are kept: 32 hex digits."""
        return _digest(self.model_dump(mode="json"))

    @property
    def old_digest(self) -> str | None:
        """The name before norms were in the key; None in another norm than L2."""
        return None if self.norm != Norm.L2 else _digest(self.model_dump(exclude={"norm"}))


class BestKey(Record):
    """What determines the best of several tables.

    Attributes
    ----------
    weights, dataset, split
        As in the tables.
    of
        Keys of the tables that are joined, by the method as it is spelled.
    """

    weights: str
    dataset: str
    split: str
    of: dict[str, TableKey]

    @property
    def digest(self) -> str:
        """A name that changes with the tables that are joined: 32 hex digits."""
        return _digest(self.model_dump(mode="json"))

    @property
    def norm(self) -> Norm:
        """The norm that all the tables are in."""
        return next(iter(self.of.values())).norm


def _digest(facts: dict[str, object]) -> str:
    return sha256_of_facts(facts)[:32]
