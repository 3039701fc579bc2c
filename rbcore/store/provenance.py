"""How a table of distances came about: on what, with which libraries, in how many passes."""

from collections.abc import Iterable, Mapping

from rbcore.store.records import Record


class Computed(Record):
    """Batches that were computed in one environment.

    Attributes
    ----------
    device, threads, dtype, batch_size
        Where, and how many images a pass.
    python, torch, foolbox, numpy, pandas
        Versions.
    strata
        The partition by which the images were drawn; None for images that were not.
    rows, seconds, n_forward, n_backward
        Images, time, and passes forward and backward of one image.
    """

    device: str
    threads: int
    dtype: str
    batch_size: int
    python: str
    torch: str
    foolbox: str
    numpy: str
    pandas: str
    strata: str | None = None
    rows: int
    seconds: float
    n_forward: int
    n_backward: int


_COUNTS = ("rows", "seconds", "n_forward", "n_backward")


def summed(histories: Iterable[Computed]) -> tuple[Computed, ...]:
    """Add up rows, seconds and passes of batches that were computed in the same environment."""
    sums: dict[str, Computed] = {}
    for one in histories:
        environment = one.model_dump_json(exclude={*_COUNTS})
        so_far = sums.get(environment)
        if so_far is not None:
            counts = {name: getattr(so_far, name) + getattr(one, name) for name in _COUNTS}
            one = one.model_copy(update=counts)
        sums[environment] = one
    return tuple(sums.values())


class Provenance(Record):
    """How one table came about.

    Attributes
    ----------
    dataset, size, seed, model, run, epoch
        Names of what was measured.
    attributes
        SHA-256 of each attribute's values at that time, by its name.
    computed
        The batches, summed by environment.
    """

    dataset: str
    size: int
    seed: int
    model: str
    run: str
    epoch: int
    attributes: dict[str, str]
    computed: tuple[Computed, ...]

    @property
    def strata(self) -> str:
        """The partition by which images were drawn, as it is spelled; empty where none was.

        Of images drawn by several partitions it is their intersection: within it they are the first
        ones in the split's order still.
        """
        return _intersection(one.strata for one in self.computed)


class BestProvenance(Record):
    """How the tables came about of which the best was taken, by the method as it is spelled."""

    of: dict[str, Provenance]

    @property
    def attributes(self) -> Mapping[str, str]:
        """Those of the first table."""
        return next(iter(self.of.values())).attributes

    @property
    def strata(self) -> str:
        """The intersection of the partitions by which images were drawn."""
        return _intersection(one.strata for one in self.of.values())

    @property
    def computed(self) -> tuple[Computed, ...]:
        """The batches of all the tables."""
        return tuple(part for one in self.of.values() for part in one.computed)


def _intersection(partitions: Iterable[str | None]) -> str:
    parts: dict[str, None] = {}
    for by in partitions:
        parts |= dict.fromkeys(part.strip() for part in (by or "").split("*") if part.strip())
    return "*".join(parts)
