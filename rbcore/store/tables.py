"""Tables of distances and the parts of unfinished ones: rows as Parquet, with key, provenance, checksum and seal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from rbcore.errors import StoreError
from rbcore.store.files import (
    Facts,
    cache_root,
    make_folder,
    roots,
    sha256_of_facts,
)
from rbcore.store.key import distances_key
from rbcore.store.rows import read_rows, rows_facts, write_rows


@dataclass(frozen=True)
class StoredTable:
    """A table of distances as it lies in the store.

    Attributes
    ----------
    path
        The Parquet file.
    rows
        One row a sample.
    key_facts
        Everything that determines the numbers: hash of the weights, fingerprint of the dataset,
        method, parameters.
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
    key_facts: Facts
    provenance: Facts
    checksum: str
    notice: str = ""


def _table_path(root: Path, key: str) -> Path:
    return root / "distances" / f"{key}.parquet"


def _parts_folder(key: str) -> Path:
    return cache_root() / "parts" / key


def write_table(rows: pd.DataFrame, key_facts: Facts, provenance: Facts) -> Path:
    """Write a table of distances under the key of its facts."""
    path = _table_path(cache_root(), distances_key(key_facts))
    write_rows(path, rows, {"key_facts": key_facts, "provenance": provenance})
    return path


@contextmanager
def locked(key_facts: Facts) -> Iterator[None]:
    """Let one process at a time read, join and write the table with these facts."""
    path = cache_root() / "locks" / f"{distances_key(key_facts)}.lock"
    make_folder(path.parent)
    with FileLock(path):
        yield


def read_table(key_facts: Facts) -> StoredTable | None:
    """Return the stored table with these facts, the user's before the shipped one, or None if there is none."""
    key = distances_key(key_facts)
    for root in roots():
        if _table_path(root, key).exists():
            return read_table_file(_table_path(root, key))
    return None


def read_table_file(path: Path) -> StoredTable:
    """Read one table of distances.

    One that is damaged, altered, foreign or renamed raises `StoreError`.
    """
    rows, facts = read_rows(path)
    _refuse_renamed(path, facts)
    return StoredTable(path, rows, facts["key_facts"], facts["provenance"], facts["checksum"])


def _refuse_renamed(path: Path, facts: Facts) -> None:
    """Raise `StoreError` for a file that is no table of distances, or whose name is not the key of its facts."""
    lacking = [
        name for name in ("key_facts", "provenance") if not isinstance(facts.get(name), dict)
    ]
    if lacking:
        raise StoreError(
            f"{path} is not a table of distances: {lacking[0]!r} is missing. Delete it."
        )
    if distances_key(facts["key_facts"]) != path.stem:
        raise StoreError(f"{path} holds the distances of another key: it was renamed. Delete it.")


def table_files() -> Iterator[Path]:
    """Yield every table of distances there is, the user's first."""
    for root in roots():
        yield from sorted((root / "distances").glob("*.parquet"))


def files_with(facts: Facts) -> dict[Path, Facts]:
    """Return the files and key facts of every table whose key facts include these.

    Where two hold one key, the user's.

    A damaged table is left out: `damaged_tables` names it.
    """
    found: dict[str, tuple[Path, Facts]] = {}
    for path in table_files():
        with suppress(StoreError):
            key_facts = table_facts(path)["key_facts"]
            if path.stem not in found and all(
                key_facts.get(name) == value for name, value in facts.items()
            ):
                found[path.stem] = (path, key_facts)
    return dict(found.values())


def damaged_tables() -> list[str]:
    """Return a sentence on every table of distances that cannot be read: its file, what is wrong, and the remedy."""
    sentences = []
    for path in table_files():
        try:
            table_facts(path)
        except StoreError as error:
            sentences.append(str(error))
    return sentences


def table_facts(path: Path) -> Facts:
    """Return ``key_facts``, ``provenance`` and ``checksum`` of a table without its rows.

    A damaged file raises `StoreError`.
    """
    facts = rows_facts(path)
    _refuse_renamed(path, facts)
    return facts


@dataclass(frozen=True)
class Part:
    """A finished batch of a run that has not ended: its file, its rows, and how they came about."""

    path: Path
    rows: pd.DataFrame
    provenance: Facts


def write_part(key_facts: Facts, rows: pd.DataFrame, provenance: Facts) -> None:
    """Keep the rows of a finished batch, so that a killed run loses at most the batch in hand.

    The file is named after the samples, so that another batch never overwrites it.
    """
    name = sha256_of_facts({"samples": sorted(rows["sample_id"])})[:24]
    path = _parts_folder(distances_key(key_facts)) / f"{name}.parquet"
    write_rows(path, rows, {"key_facts": key_facts, "provenance": provenance})


def read_parts(key_facts: Facts) -> list[Part]:
    """Return the finished batches of runs that did not end.

    A damaged one is removed: its rows are computed again.
    """
    parts = []
    for path in sorted(_parts_folder(distances_key(key_facts)).glob("*.parquet")):
        with suppress(StoreError):
            rows, facts = read_rows(path)
            if facts["key_facts"] == json.loads(json.dumps(key_facts)):
                parts.append(Part(path, rows, facts["provenance"]))
                continue
        path.unlink(missing_ok=True)
    return parts


def remove_parts(key_facts: Facts, parts: list[Part]) -> None:
    """Remove batches that a table holds now, and their folder if nothing else is in it."""
    for part in parts:
        part.path.unlink(missing_ok=True)
    with suppress(OSError):
        _parts_folder(distances_key(key_facts)).rmdir()
