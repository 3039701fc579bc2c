"""Rows with facts beside them, as one Parquet file: sealed, and checked by a checksum when it is read."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from rbcore.errors import StoreError
from rbcore.store.files import REMEDY, Facts, sealed, unsealed, write_atomically

_METADATA_KEY = b"rbcore"


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


def write_rows(path: Path, rows: pd.DataFrame, facts: Facts) -> None:
    """Write rows as Parquet, and in its metadata facts, the checksum of the rows and the seal of both."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    text = json.dumps(sealed({**facts, "checksum": sha256_of_rows(rows)})).encode()
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
    content = unsealed(path, facts)
    if content["checksum"] != checksum:
        raise StoreError(
            f"The rows of {path} do not match their checksum: they were altered. {REMEDY}"
        )
    return rows, content


def _damaged(path: Path, error: Exception) -> StoreError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(f"The cache file {path} is damaged ({reason}). {REMEDY}")


def rows_facts(path: Path) -> Facts:
    """Return the facts that `write_rows` wrote beside the rows, without reading these.

    A damaged file raises `StoreError`.
    """
    try:
        return facts_of(path, path.stat().st_mtime_ns)
    except _DAMAGE as error:
        raise _damaged(path, error) from error


@lru_cache(4096)
def facts_of(path: Path, changed: int) -> Facts:
    """Return the facts in a table's metadata, read once as long as the file does not change."""
    return unsealed(path, json.loads(pq.read_schema(path).metadata[_METADATA_KEY]))
