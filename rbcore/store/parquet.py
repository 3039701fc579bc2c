"""Rows with a record beside them, as one Parquet file: sealed, and with a checksum of the rows."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from rbcore.errors import StoreError
from rbcore.store.files import REMEDY, write_atomically
from rbcore.store.records import R, Record, parsed, sealed, unsealed

_METADATA_KEY = b"rbcore"
CHECKSUM = "checksum"


def sha256_of_rows(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's columns: names in order, what kind they are, and values.

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


def write_rows(path: Path, rows: pd.DataFrame, record: Record) -> None:
    """Write rows as Parquet, and in its metadata a record, the rows' checksum and the seal."""
    write_arrow(
        path, pa.Table.from_pandas(rows, preserve_index=False), record, sha256_of_rows(rows)
    )


def write_arrow(path: Path, table: pa.Table, record: Record, checksum: str) -> None:
    """Write an Arrow table as `write_rows` does."""
    content = {**record.model_dump(mode="json"), CHECKSUM: checksum}
    text = json.dumps(sealed(content)).encode()
    metadata = {**(table.schema.metadata or {}), _METADATA_KEY: text}
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


def read_rows(path: Path, kind: type[R]) -> tuple[pd.DataFrame, R, str]:
    """Return the rows and the record that `write_rows` wrote, and the rows' checksum.

    What is damaged or altered raises `StoreError` naming the file.
    """
    table, found = read_arrow(path)
    content = unsealed(path, found)
    refuse_altered(path, table, content)
    return table.to_pandas(), _parsed(path, content, kind), str(content[CHECKSUM])


def read_arrow(path: Path) -> tuple[pa.Table, object]:
    """Return a file's Arrow table, and what its metadata say, of any format and seal."""
    try:
        table = pq.read_table(path)
        return table, json.loads(table.schema.metadata[_METADATA_KEY])
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def refuse_altered(path: Path, table: pa.Table, content: Mapping[str, object]) -> None:
    """Raise `StoreError` if rows do not match the checksum beside them."""
    try:
        checksum = sha256_of_rows(table.to_pandas())
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if content.get(CHECKSUM) != checksum:
        raise StoreError(
            f"The rows of {path} do not match their checksum: they were altered. {REMEDY}"
        )


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(f"The cache file {path} is damaged ({reason}). {REMEDY}")


def rows_record(path: Path, kind: type[R]) -> R:
    """Return the record that `write_rows` wrote beside the rows, without reading these.

    A damaged file raises `StoreError`.
    """
    try:
        found: R = record_of(path, path.stat().st_mtime_ns, kind)
        return found
    except _DAMAGE as error:
        raise _damaged(path, error) from error


@lru_cache(4096)
def record_of(path: Path, changed: int, kind: type[R]) -> R:
    """Return the record in a file's metadata, read once as long as the file does not change."""
    content = json.loads(pq.read_schema(path).metadata[_METADATA_KEY])
    return _parsed(path, unsealed(path, content), kind)


def _parsed(path: Path, content: dict[str, object], kind: type[R]) -> R:
    return parsed(path, {name: content[name] for name in content if name != CHECKSUM}, kind)
