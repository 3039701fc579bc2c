"""What has been computed: where it lies, under which key, and how it is written so that nothing is lost.

A table of distances is one Parquet file. Its name is the hash of everything that determines its numbers (the
*key facts*); beside the rows it holds those facts, the provenance and a checksum of the rows. What ships with the
project (``cache/bundled``) is read-only and overlaid by what the user computed.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import platformdirs
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
from filelock import FileLock

from rbcore.errors import StoreError

Facts = dict[str, Any]

_CHECKOUT = Path(__file__).resolve().parent.parent
_METADATA_KEY = b"rbcore"


def cache_root() -> Path:
    """Return the folder for what this user computes.

    ``RBCORE_CACHE`` if it is set, else ``cache/`` of the checkout this package lies in, else the user's cache folder.
    """
    chosen = os.environ.get("RBCORE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if (_CHECKOUT / "pyproject.toml").is_file():
        return _CHECKOUT / "cache"
    return Path(platformdirs.user_cache_dir("rbcore"))


def bundled_root() -> Path:
    """Return the read-only folder of results that ship with the project; it may be absent."""
    checkout = _CHECKOUT / "cache" / "bundled"
    return checkout if checkout.is_dir() else Path(__file__).resolve().parent / "bundled"


def roots() -> list[Path]:
    """Return the folders that are searched, the user's first."""
    return [cache_root(), bundled_root()]


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or raise `StoreError` naming it and the remedy."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: Exception) -> StoreError:
    reason = getattr(error, "strerror", None) or str(error)
    return StoreError(f"Cannot write {path}: {reason}. Set RBCORE_CACHE to a folder that can be written.")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary name beside ``path`` and rename the result, so that no reader sees half a file.

    Raises
    ------
    StoreError
        If the folder cannot be made or the file cannot be written; the text names it and the remedy.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    make_folder(path.parent)
    try:
        write(temporary)
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, facts: Facts) -> None:
    """Write facts as JSON, atomically."""
    text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(path, lambda temporary: _write_text(temporary, text + "\n"))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Facts:
    """Read facts from JSON; a file that is unreadable or no JSON object raises `StoreError`."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"Cannot read {path}: {error}. Delete it and compute it again.") from error
    if not isinstance(facts, dict):
        raise StoreError(f"Cannot read {path}: it holds no JSON object. Delete it and compute it again.")
    return facts


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_facts(facts: Facts) -> str:
    """Return the SHA-256 of facts in canonical JSON, in hex: equal facts, equal hash, whatever their order."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sha256_of_rows(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's rows as text with 17 digits, which no library version changes."""
    text = table.to_csv(index=False, float_format="%.17g", lineterminator="\n")
    return hashlib.sha256(text.encode()).hexdigest()


def distances_key(key_facts: Facts) -> str:
    """Return the name under which distances with these facts are kept: 32 hex digits."""
    return sha256_of_facts(key_facts)[:32]


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
        Everything that determines the numbers: hash of the weights, fingerprint of the dataset, method, parameters.
    provenance
        How they came about: names, library versions, device, batch size, seconds, forward and backward passes.
    checksum
        SHA-256 of the rows as they were written.
    """

    path: Path
    rows: pd.DataFrame
    key_facts: Facts
    provenance: Facts
    checksum: str


def _table_path(root: Path, key: str) -> Path:
    return root / "distances" / f"{key}.parquet"


def _parts_folder(key: str) -> Path:
    return cache_root() / "parts" / key


def write_table(rows: pd.DataFrame, key_facts: Facts, provenance: Facts) -> Path:
    """Write a table of distances under the key of its facts."""
    path = _table_path(cache_root(), distances_key(key_facts))
    _write_parquet(path, rows, {"key_facts": key_facts, "provenance": provenance, "checksum": sha256_of_rows(rows)})
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
    """Read one table of distances; a damaged or foreign file raises `StoreError`."""
    rows, facts = _read_parquet(path)
    try:
        return StoredTable(path, rows, facts["key_facts"], facts["provenance"], facts["checksum"])
    except KeyError as error:
        raise StoreError(f"{path} is not a table of distances: {error} is missing. Delete it.") from error


def table_files() -> Iterator[Path]:
    """Yield every table of distances there is, the user's first."""
    for root in roots():
        yield from sorted((root / "distances").glob("*.parquet"))


def files_with(facts: Facts) -> dict[Path, Facts]:
    """Return the files and key facts of every table whose key facts include these; where two hold one key, the user's.

    A damaged table is left out: `damaged_tables` names it.
    """
    found: dict[str, tuple[Path, Facts]] = {}
    for path in table_files():
        with suppress(StoreError):
            key_facts = table_facts(path)["key_facts"]
            if path.stem not in found and all(key_facts.get(name) == value for name, value in facts.items()):
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
    """Return ``key_facts``, ``provenance`` and ``checksum`` of a table without its rows; a damaged file raises `StoreError`."""
    try:
        return _facts_of(path, path.stat().st_mtime_ns)
    except _DAMAGE as error:
        raise _damaged(path, error) from error


@lru_cache(4096)
def _facts_of(path: Path, changed: int) -> Facts:
    """Return the facts in a table's metadata, read once as long as the file does not change."""
    facts: Facts = json.loads(pq.read_schema(path).metadata[_METADATA_KEY])
    return {name: facts[name] for name in ("key_facts", "provenance", "checksum")}


@dataclass(frozen=True)
class Part:
    """A finished batch of a run that has not ended: its file, its rows, and how they came about."""

    path: Path
    rows: pd.DataFrame
    provenance: Facts


def write_part(key_facts: Facts, first: str, rows: pd.DataFrame, provenance: Facts) -> None:
    """Keep the rows of a finished batch, so that a killed run loses at most the batch in hand.

    Parameters
    ----------
    first
        Id of the batch's first sample; its hash names the file.
    """
    name = hashlib.sha256(first.encode()).hexdigest()[:24]
    _write_parquet(_parts_folder(distances_key(key_facts)) / f"{name}.parquet", rows, {"provenance": provenance})


def read_parts(key_facts: Facts) -> list[Part]:
    """Return the finished batches of runs that did not end."""
    files = sorted(_parts_folder(distances_key(key_facts)).glob("*.parquet"))
    tables = ((path, *_read_parquet(path)) for path in files)
    return [Part(path, rows, facts["provenance"]) for path, rows, facts in tables]


def remove_parts(key_facts: Facts, parts: list[Part]) -> None:
    """Remove batches that a table holds now, and their folder if nothing else is in it."""
    for part in parts:
        part.path.unlink(missing_ok=True)
    with suppress(OSError):
        _parts_folder(distances_key(key_facts)).rmdir()


def _write_parquet(path: Path, rows: pd.DataFrame, facts: Facts) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: json.dumps(facts).encode()}
    write_atomically(path, lambda temporary: pq.write_table(table.replace_schema_metadata(metadata), temporary))


_DAMAGE = (OSError, ValueError, KeyError, TypeError, pa.ArrowException)


def _read_parquet(path: Path) -> tuple[pd.DataFrame, Facts]:
    try:
        table = pq.read_table(path)
        return table.to_pandas(), json.loads(table.schema.metadata[_METADATA_KEY])
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(f"The cache file {path} is damaged ({reason}). Delete it; it will be computed again.")
