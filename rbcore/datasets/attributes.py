"""Attributes of samples, kept apart from distances and joined when a table is read.

A distance depends on pixels, labels, weights and parameters; a group is what somebody wrote into a
file, and may be corrected. So tables of distances hold no attribute. What is known of a dataset's
samples lies in ``samples/`` of the cache, under the fingerprint of its pixels and labels, with the
files that the attributes came from: when one of these has changed, it is read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import pandas as pd

from rbcore import sampling, store
from rbcore.datasets import DATASETS, Dataset
from rbcore.errors import DatasetError, OldCacheError, StoreError
from rbcore.partitions import CLASS, N_TRAIN, group_labels, partition_names
from rbcore.runtime import no_progress
from rbcore.store import Record, StoredTable

OWN = ("split", "label")
"""Columns of samples that a table of distances has already, or does not need."""
MOST_KEPT = 4
"""Datasets whose samples are kept in memory."""
MOST_CROSSED = 4
"""Attributes of which all pairs are offered as intersections; more would be too many."""


def crossed(names: list[str]) -> list[str]:
    """Return the intersections of two attributes that are offered, as they are spelled."""
    attributes = [name for name in names if name != CLASS]
    return (
        [f"{one}*{other}" for one, other in combinations(attributes, 2)]
        if len(attributes) <= MOST_CROSSED
        else []
    )


class SamplesFacts(Record):
    """What stands beside the samples of a dataset: what it was loaded as, and from which files.

    Attributes
    ----------
    fingerprint, size, seed, validation, dataset
        Which dataset it is.
    root
        Folder of its files; None where it has none.
    files
        Length and time of every file that the attributes came from; None for one that is gone.
    attributes
        SHA-256 of each attribute's values, by its name.
    """

    fingerprint: str
    size: int
    seed: int
    validation: float
    dataset: str
    root: str | None
    files: dict[str, tuple[int, int] | None]
    attributes: dict[str, str]


def attribute_hashes(samples: pd.DataFrame) -> dict[str, str]:
    """Return the SHA-256 of each attribute's values, by its name.

    Class and label are not attributes.
    """
    names = [name for name in samples.columns if name not in ("sample_id", CLASS, *OWN)]
    return {name: store.sha256_of_rows(samples[["sample_id", name]]) for name in names}


Counts = dict[str, dict[str, int]]
"""By partition and group, how many images the training split holds."""


def with_attributes(
    rows: pd.DataFrame, samples: pd.DataFrame, n_train: Counts | None = None
) -> pd.DataFrame:
    """Return distances with the class and the attributes of each sample.

    ``attrs`` say how many images each group was trained on.

    Parameters
    ----------
    rows
        A table with ``sample_id``. A class or attribute that it brings itself is kept as it is.
    samples
        As `rbcore.datasets.Dataset` has them, of all splits.
    n_train
        `training_counts_of` these samples, from those who have them already.
    """
    own = {
        name for name in samples.columns if name in rows.columns and name not in ("sample_id", *OWN)
    }
    known = samples.drop(columns=[*OWN, *own]).set_index("sample_id")
    found = known.loc[rows["sample_id"]].reset_index(drop=True)
    joined = pd.concat([rows.reset_index(drop=True), found], axis=1)
    counts = training_counts_of(samples) if n_train is None else n_train
    of_groups = {by: groups for by, groups in counts.items() if not own & set(by.split("*"))}
    joined.attrs = {**rows.attrs, N_TRAIN: of_groups}
    return joined


def training_counts_of(samples: pd.DataFrame) -> Counts:
    """Return how many training images each group holds, of all partitions that are offered."""
    names = partition_names(samples.drop(columns="split"))
    trained = samples[samples["split"] == "train"].drop(columns="split")
    counts = {}
    for by in [*names, *crossed(names)]:
        counts[by] = {
            str(group): int(n) for group, n in group_labels(trained, by).value_counts().items()
        }
    return counts


def keep_samples(dataset: Dataset) -> None:
    """Keep what is known of a dataset's samples: tables are then read with groups and no image.

    Raises
    ------
    StoreError
        If the cache cannot be written.
    """
    facts = _facts(dataset)
    path = _path(store.cache_root(), dataset.fingerprint)
    for existing in _existing(dataset.fingerprint):
        if existing == path or not facts.files:
            try:
                if store.rows_record(existing, SamplesFacts) == facts:
                    return
            except OldCacheError:
                raise
            except StoreError:  # damaged: written anew
                break
    store.write_rows(path, dataset.samples, facts)


def _facts(dataset: Dataset) -> SamplesFacts:
    return SamplesFacts(
        fingerprint=dataset.fingerprint,
        size=dataset.size,
        seed=dataset.seed,
        validation=dataset.validation,
        dataset=dataset.name,
        root=str(dataset.root.resolve()) if dataset.root else None,
        files={str(file.resolve()): _state(file) for file in dataset.attribute_files},
        attributes=attribute_hashes(dataset.samples),
    )


def _state(file: Path) -> tuple[int, int] | None:
    """Return length and time of a file, or None where there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _path(root: Path, fingerprint: str) -> Path:
    return root / "samples" / f"{fingerprint[:32]}.parquet"


def _existing(fingerprint: str) -> list[Path]:
    return [path for root in store.roots() if (path := _path(root, fingerprint)).exists()]


@dataclass(frozen=True)
class KnownSamples:
    """What is kept of a dataset's samples: rows, facts beside them, `training_counts_of` them.

    Nobody may change it.
    """

    samples: pd.DataFrame
    facts: SamplesFacts
    n_train: Counts


def samples_of(fingerprint: str) -> KnownSamples | None:
    """Return what is known of the samples of a dataset, as its files say it today.

    None where nothing is.

    Raises
    ------
    StoreError
        If what was kept is damaged.
    DatasetError
        If a file of attributes has changed so that it no longer fits the images.
    """
    path = next(iter(_existing(fingerprint)), None)
    if path is None:
        return None
    facts = store.rows_record(path, SamplesFacts)
    changed = [
        Path(file) for file, state in facts.files.items() if _state(Path(file)) not in (None, state)
    ]
    if changed:
        _read_again(path, facts, changed[0])
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(MOST_KEPT)
def _read(path: Path, changed: int) -> KnownSamples:
    """Read what is kept, once as long as the file does not change."""
    samples, facts, _ = store.read_rows(path, SamplesFacts)
    return KnownSamples(samples, facts, training_counts_of(samples))


def _read_again(path: Path, facts: SamplesFacts, changed: Path) -> None:
    """Load a dataset whose attributes were changed, and keep those of known samples."""
    known, _, _ = store.read_rows(path, SamplesFacts)
    root = Path(facts.root) if facts.root else None
    try:
        loaded = DATASETS[facts.dataset].load(root, facts.size, facts.seed, no_progress)
    except DatasetError as error:
        raise DatasetError(
            f"{changed} was changed after distances were computed, and cannot be used now: {error}"
        ) from error
    today = loaded.samples.set_index("sample_id", drop=False)
    is_known = known["sample_id"].isin(today.index)
    if (
        not is_known.all()
        or (today.loc[known["sample_id"], CLASS].to_numpy() != known[CLASS].to_numpy()).any()
    ):
        raise DatasetError(
            f"{changed} was changed after distances were computed, and with it which images there "
            "are or their labels; restore it, or train and estimate on today's files."
        )
    samples = (
        today.loc[known["sample_id"]]
        .reset_index(drop=True)
        .assign(split=known["split"], label=known["label"])
    )
    files = {file: _state(Path(file)) for file in facts.files}
    today_facts = {"files": files, "attributes": attribute_hashes(samples)}
    store.write_rows(path, samples, facts.model_copy(update=today_facts))


def stamp_of(fingerprint: str) -> str:
    """Return a text that changes when the attributes of a dataset's samples do; no row is read."""
    found = next(iter(_existing(fingerprint)), None)
    if found is None:
        return ""
    facts = store.rows_record(found, SamplesFacts)
    return store.sha256_of_facts(
        {"attributes": facts.attributes, "files": [_state(Path(f)) for f in facts.files]}
    )


def partitions_of(fingerprint: str) -> list[str]:
    """Return the simple partitions of a dataset that was trained or measured on, the class first.

    Only the class where nothing is known.
    """
    found = samples_of(fingerprint)
    return [CLASS] if found is None else partition_names(found.samples.drop(columns="split"))


def joined(stored: StoredTable, fingerprint: str, classes: list[str]) -> StoredTable:
    """Return a stored table with class and attributes as they are known today.

    Its notice says what changed in them.

    Parameters
    ----------
    stored
        As the store holds it, without attributes.
    fingerprint
        Of the dataset.
    classes
        Names of the labels, for a table whose samples are not known here.
    """
    found = samples_of(fingerprint)
    if found is None:
        names = stored.rows["label"].map(dict(enumerate(classes)))
        notice = (
            "The attributes of these images are not in this cache, so only the class is known. "
            "Load the dataset to have them."
        )
        return replace(stored, rows=stored.rows.assign(**{CLASS: names}), notice=notice)
    samples, facts = found.samples, found.facts
    checksum = store.sha256_of_facts({"rows": stored.checksum, "attributes": facts.attributes})
    notice = change_of_attributes(stored.provenance.attributes, facts.attributes)
    rows = with_attributes(stored.rows, samples, found.n_train)
    split = samples[samples["split"] == stored.key.split]
    rows = sampling.weigh_by(rows, split, stored.provenance.strata)
    return replace(stored, rows=rows, checksum=checksum, notice=notice)


def change_of_attributes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say which attributes were changed or removed since distances were computed.

    Empty where none was.
    """
    changed = sorted(name for name, value in then.items() if name in now and now[name] != value)
    removed = sorted(name for name in then if name not in now)
    parts = [f"{', '.join(changed)} changed"] if changed else []
    parts += [f"{', '.join(removed)} no longer exists"] if removed else []
    if not parts:
        return ""
    return (
        f"Attributes since these distances were computed: {'; '.join(parts)}. The groups shown "
        "are those of today's files."
    )
