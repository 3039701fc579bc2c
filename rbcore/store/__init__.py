"""What has been computed: where it lies, under which key, and how it is written so that nothing is lost.

A table of distances is one Parquet file. Its name is the hash of everything that determines its
numbers (the *key facts*); beside the rows it holds those facts, the provenance, a checksum of the
rows and a seal. What ships with the project (``cache/bundled``) is read-only and overlaid by what
the user computed.

Everything written here carries a *seal*, the hash of its facts, and tables a checksum of their
rows. What is read is checked against both: a file whose bytes changed is refused by its name, and
never read as other numbers.
"""

import glob
import hashlib
import json
import os
import platform
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
from filelock import FileLock
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from rbcore.errors import StoreError

Facts = dict[str, Any]

REMEDY = "Delete it; it will be computed again."

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parent
_METADATA_KEY = b"rbcore"
_SEAL = "seal"


def cache_root() -> Path:
    """Return the folder for what this user computes.

    ``RBCORE_CACHE`` if it is set, else ``cache/`` of the checkout this package lies in, else the
    user's cache folder.
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
    return checkout if checkout.is_dir() else _PACKAGE / "bundled"


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
    return StoreError(
        f"Cannot write {path}: {reason}. Set RBCORE_CACHE to a folder that can be written."
    )


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary name beside ``path`` and rename the result, so that no reader sees half a file.

    Raises
    ------
    StoreError
        If the folder cannot be made or the file cannot be written; the text names
        it and the remedy.
    """
    temporary = path.with_name(
        f".{path.name}.{_machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    )
    make_folder(path.parent)
    _remove_left_over(path)
    try:
        write(temporary)
        temporary.replace(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):  # on a read-only disk this fails although there is no such file
            temporary.unlink()


@lru_cache(1)
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _remove_left_over(path: Path) -> None:
    """Remove temporary files of a path that killed processes of this machine left.

    Another machine's may be in use.
    """
    with suppress(OSError):
        for left in path.parent.glob(f".{glob.escape(path.name)}.{_machine()}.*.tmp"):
            process = left.name.split(".")[-3]
            if process.isdecimal() and not psutil.pid_exists(int(process)):
                left.unlink(missing_ok=True)


def write_json(path: Path, facts: Facts) -> None:
    """Write facts with their seal as JSON, atomically."""
    text = json.dumps(_sealed(facts), indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(path, lambda temporary: _write_text(temporary, text + "\n"))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Facts:
    """Read facts that `write_json` wrote.

    A file that is unreadable, no JSON object, or altered raises `StoreError`.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"Cannot read {path}: {error}. {REMEDY}") from error
    return _unsealed(path, facts)


def _sealed(facts: Facts) -> Facts:
    """Return facts as JSON gives them back, with their seal."""
    content: Facts = json.loads(json.dumps(facts))
    return {**content, _SEAL: sha256_of_facts(content)}


def _unsealed(path: Path, facts: Facts) -> Facts:
    """Return facts without their seal.

    Those it does not fit, or that have none, raise `StoreError` naming the file.
    """
    if not isinstance(facts, dict):
        raise StoreError(f"Cannot read {path}: it holds no facts. {REMEDY}")
    content = {name: value for name, value in facts.items() if name != _SEAL}
    if _SEAL not in facts:
        raise StoreError(
            f"Cannot trust {path}: it has no seal, so another program or an older version "
            f"wrote it. {REMEDY}"
        )
    if facts[_SEAL] != sha256_of_facts(content):
        raise StoreError(
            f"Cannot trust {path}: it was altered after it was written, or is damaged. {REMEDY}"
        )
    return content


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_facts(facts: Facts) -> str:
    """Return the SHA-256 of facts in canonical JSON, in hex: equal facts, equal hash, whatever their order."""
    return hashlib.sha256(
        json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def sha256_of_rows(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's columns: their names in order, what kind they are, and their values.

    It depends on no library's version: numbers enter as int64 or float64 (all NaN are one),
    everything else as text, where a missing value is not an empty one.
    """
    digest = hashlib.sha256()
    for name in table.columns:
        kind, content = _kind_and_bytes(table[name])
        digest.update(f"{len(str(name))} {name} {kind} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


def _kind_and_bytes(column: pd.Series) -> tuple[str, bytes]:
    if is_bool_dtype(column) and not column.hasnans:
        return "bool", column.to_numpy(np.uint8).tobytes()
    if is_integer_dtype(column) and not column.hasnans:
        return "int", column.to_numpy("<i8").tobytes()
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        numbers = column.to_numpy("<f8", na_value=np.nan) + 0.0  # no negative zero
        return "float", np.where(np.isnan(numbers), np.nan, numbers).tobytes()
    missing = column.isna().to_numpy()
    words = ["" if absent else str(value) for value, absent in zip(column, missing, strict=True)]
    lengths = np.array(
        [-1 if absent else len(word) for word, absent in zip(words, missing, strict=True)],
        dtype="<i8",
    )
    return "text", lengths.tobytes() + "".join(words).encode("utf-8", "surrogatepass")


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


def rows_facts(path: Path) -> Facts:
    """Return the facts that `write_rows` wrote beside the rows, without reading these.

    A damaged file raises `StoreError`.
    """
    try:
        return _facts_of(path, path.stat().st_mtime_ns)
    except _DAMAGE as error:
        raise _damaged(path, error) from error


@lru_cache(4096)
def _facts_of(path: Path, changed: int) -> Facts:
    """Return the facts in a table's metadata, read once as long as the file does not change."""
    return _unsealed(path, json.loads(pq.read_schema(path).metadata[_METADATA_KEY]))


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


def write_rows(path: Path, rows: pd.DataFrame, facts: Facts) -> None:
    """Write rows as Parquet, and in its metadata facts, the checksum of the rows and the seal of both."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    sealed = json.dumps(_sealed({**facts, "checksum": sha256_of_rows(rows)})).encode()
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: sealed}
    write_atomically(
        path, lambda temporary: pq.write_table(table.replace_schema_metadata(metadata), temporary)
    )


_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    MemoryError,
    pa.ArrowException,
)


def read_rows(path: Path) -> tuple[pd.DataFrame, Facts]:
    """Return the rows and facts that `write_rows` wrote.

    What is damaged or altered raises `StoreError` naming the file.
    """
    try:
        table = pq.read_table(path)
        rows, facts = table.to_pandas(), json.loads(table.schema.metadata[_METADATA_KEY])
        checksum = sha256_of_rows(rows)
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    content = _unsealed(path, facts)
    if content["checksum"] != checksum:
        raise StoreError(
            f"The rows of {path} do not match their checksum: they were altered. {REMEDY}"
        )
    return rows, content


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(f"The cache file {path} is damaged ({reason}). {REMEDY}")
