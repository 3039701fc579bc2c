"""Tables of distances, and the parts of unfinished ones: rows with their key and provenance."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from rbcore.errors import StoreError
from rbcore.norms import COLUMN
from rbcore.store.files import cache_root, make_folder, roots, sha256_of_facts
from rbcore.store.key import BestKey, TableKey
from rbcore.store.parquet import read_rows, rows_record, write_rows
from rbcore.store.provenance import BestProvenance, Computed, Provenance
from rbcore.store.records import Record, old_file


class TableFacts(Record):
    """What stands beside the rows of a table of distances."""

    key: TableKey
    provenance: Provenance


class PartFacts(Record):
    """What stands beside the rows of a finished batch."""

    key: TableKey
    provenance: Computed


@dataclass(frozen=True)
class StoredTable:
    """A table of distances as it lies in the store.

    Attributes
    ----------
    path
        The Parquet file.
    rows
        One row a sample; ``attrs`` hold the norm of the distances.
    key
        Everything that determines the numbers: hash of the weights, fingerprint of the dataset,
        method, parameters, norm.
    provenance
        How they came about: names, library versions, device, batch size, seconds, forward
        and backward passes.
    checksum
        SHA-256 of the rows as they were written; where attributes were joined, of those too.
    notice
        A sentence on what changed in the attributes since the distances were computed; empty
        where nothing did.
    """

    path: Path
    rows: pd.DataFrame
    key: TableKey | BestKey
    provenance: Provenance | BestProvenance
    checksum: str
    notice: str = ""


@dataclass(frozen=True)
class MethodTable(StoredTable):
    """A stored table of one method."""

    key: TableKey
    provenance: Provenance


@dataclass(frozen=True)
class BestTable(StoredTable):
    """The best of several stored tables."""

    key: BestKey
    provenance: BestProvenance


def _table_path(root: Path, digest: str) -> Path:
    return root / "distances" / f"{digest}.parquet"


def _parts_folder(key: TableKey) -> Path:
    return cache_root() / "parts" / key.digest


def write_table(rows: pd.DataFrame, key: TableKey, provenance: Provenance) -> Path:
    """Write a table of distances under its key."""
    path = _table_path(cache_root(), key.digest)
    write_rows(path, rows, TableFacts(key=key, provenance=provenance))
    return path


@contextmanager
def locked(key: TableKey) -> Iterator[None]:
    """Let one process at a time read, join and write the table with this key."""
    path = cache_root() / "locks" / f"{key.digest}.lock"
    make_folder(path.parent)
    with FileLock(path):
        yield


def read_table(key: TableKey) -> MethodTable | None:
    """Return the stored table with this key, or None if there is none.

    The user's hides the shipped one.

    Raises
    ------
    OldCacheError
        If there is none but one that an older version wrote.
    StoreError
        If it is damaged, altered, foreign or renamed.
    """
    for root in roots():
        if _table_path(root, key.digest).exists():
            return read_table_file(_table_path(root, key.digest))
    if key.old_digest is not None:
        for root in roots():
            if _table_path(root, key.old_digest).exists():
                raise old_file(_table_path(root, key.old_digest))
    return None


def read_table_file(path: Path) -> MethodTable:
    """Read one table of distances.

    One that is damaged, altered, foreign or renamed raises `StoreError`.
    """
    rows, facts, checksum = read_rows(path, TableFacts)
    _refuse_renamed(path, facts)
    rows.attrs[COLUMN] = facts.key.norm.value
    return MethodTable(path, rows, facts.key, facts.provenance, checksum)


def _refuse_renamed(path: Path, facts: TableFacts) -> None:
    if facts.key.digest != path.stem:
        raise StoreError(f"{path} holds the distances of another key: it was renamed. Delete it.")


def table_files() -> Iterator[Path]:
    """Yield every table of distances there is, the user's first."""
    for root in roots():
        yield from sorted((root / "distances").glob("*.parquet"))


def files_with(
    *, split: str, weights: str | None = None, dataset: str | None = None
) -> dict[Path, TableKey]:
    """Return the files and keys of all tables of a split, of a network and dataset where named.

    Where two hold one key, the user's. A damaged table is left out: `damaged_tables` names it.
    """
    found: dict[str, tuple[Path, TableKey]] = {}
    for path in table_files():
        with suppress(StoreError):
            key = table_facts(path).key
            is_meant = (
                key.split == split
                and weights in (None, key.weights)
                and dataset in (None, key.dataset)
            )
            if is_meant:
                found.setdefault(path.stem, (path, key))
    return dict(found.values())


def damaged_tables() -> list[str]:
    """Return a sentence on every table of distances that cannot be read.

    It names the file, what is wrong, and the remedy.
    """
    sentences = []
    for path in table_files():
        try:
            table_facts(path)
        except StoreError as error:
            sentences.append(str(error))
    return sentences


def table_facts(path: Path) -> TableFacts:
    """Return key and provenance of a table without its rows.

    A damaged file raises `StoreError`.
    """
    facts = rows_record(path, TableFacts)
    _refuse_renamed(path, facts)
    return facts


@dataclass(frozen=True)
class Part:
    """A finished batch of a run that has not ended: its file, its rows, and how they came about."""

    path: Path
    rows: pd.DataFrame
    provenance: Computed


def write_part(key: TableKey, rows: pd.DataFrame, provenance: Computed) -> None:
    """Keep the rows of a finished batch, so that a killed run loses at most the batch in hand.

    The file is named after the samples, so that another batch never overwrites it.
    """
    name = sha256_of_facts({"samples": sorted(rows["sample_id"])})[:24]
    path = _parts_folder(key) / f"{name}.parquet"
    write_rows(path, rows, PartFacts(key=key, provenance=provenance))


def read_parts(key: TableKey) -> list[Part]:
    """Return the finished batches of runs that did not end.

    A damaged one is removed: its rows are computed again. Those of an older version raise
    `OldCacheError`.
    """
    if key.old_digest is not None:
        for path in (cache_root() / "parts" / key.old_digest).glob("*.parquet"):
            raise old_file(path)
    parts = []
    for path in sorted(_parts_folder(key).glob("*.parquet")):
        with suppress(StoreError):
            rows, facts, _ = read_rows(path, PartFacts)
            if facts.key == key:
                parts.append(Part(path, rows, facts.provenance))
                continue
        path.unlink(missing_ok=True)
    return parts


def remove_parts(key: TableKey, parts: list[Part]) -> None:
    """Remove batches that a table holds now, and their folder if nothing else is in it."""
    for part in parts:
        part.path.unlink(missing_ok=True)
    with suppress(OSError):
        _parts_folder(key).rmdir()
